"""The results of a campaign: lines of JSON, the table of them, and what the faults have in common."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]
COLUMNS = ("kind", "mutants", "answers", "refused", "faults", "by sort", "slowest (s)", "largest memory (MiB)")
LONGEST_SORT = 90  # characters


def load(path: Path, seed: int | None = None) -> list[Result]:
    """Return the results in a file, those of one seed if it is given; the line that an interruption cut is ignored."""
    results: list[Result] = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            result = json.loads(line)
        except ValueError:
            continue
        if isinstance(result, dict) and (seed is None or result.get("seed") == seed):
            results.append(result)
    return results


def append(path: Path, result: Result) -> None:
    """Add a line; a line before it that was cut is ended first, so that it spoils no other."""
    with path.open("ab+") as stream:
        stream.seek(0, 2)
        if stream.tell():
            stream.seek(-1, 2)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
        stream.write(json.dumps(result).encode() + b"\n")


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table by kind."""
    by_kind: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_kind[result["kind"]].append(result)
    rows = [_row(kind, found) for kind, found in by_kind.items()]
    if len(rows) > 1:
        rows.append(_row("all", results))
    rule = [":---", "---:", "---:", "---:", "---:", ":---", "---:", "---:"]
    return "\n".join(f"| {' | '.join(row)} |" for row in (COLUMNS, rule, *rows))


def _row(kind: str, results: Sequence[Result]) -> list[str]:
    verdicts = Counter(result["verdict"] for result in results)
    sorts = Counter(fault["sort"].partition(":")[0].partition(" in ")[0] for r in results for fault in r["faults"])
    memory = max((result["bytes"] or 0 for result in results), default=0)
    return [
        kind,
        str(len(results)),
        *(str(verdicts[verdict]) for verdict in ("answer", "refused", "fault")),
        ", ".join(f"{sort} {count}" for sort, count in sorts.most_common()) or "none",
        f"{max((result['seconds'] for result in results), default=0):.1f}",
        str(memory >> 20),
    ]


def distinct_faults(results: Iterable[Result]) -> str:
    """Return a list of the sorts of faults: how often, and the command that shows the first one again."""
    found: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        for fault in result["faults"]:
            found[fault["sort"]].append(result)
    lines = []
    for sort, those in sorted(found.items(), key=lambda item: -len(item[1])):
        kinds = ", ".join(dict.fromkeys(result["kind"] for result in those))
        lines.append(f"{len(those):5} × {sort[:LONGEST_SORT]} ({kinds})\n        {reproduction(those[0])}")
    return "\n".join(lines)


def reproduction(result: Result) -> str:
    """Return the command that runs one mutation again."""
    words = f"--seed {result['seed']} --kind {result['kind']} --number {result['number']}"
    return f"python -m tests.fuzz.campaign {words} --keep FOLDER"


def report(result: Result) -> str:
    """Return everything about one mutation."""
    lines = [f"{result['kind']} {result['number']}, of {result['base']}: {result['verdict']}"]
    lines += [f"  change: {change}" for change in result["changes"]]
    lines += [f"  message: {result['message']}"] if result["message"] else []
    lines += [f"  fault: {fault['sort']}\n{fault['what']}" for fault in result["faults"]]
    return "\n".join(lines)
