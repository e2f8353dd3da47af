"""Compares any number of runs with one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from profkit.comparison.latency import Series
from profkit.comparison.many import compare_walls
from profkit.comparison.outputs import compare_outputs
from profkit.comparison.records.many import Overview, RunFindings, WallKind
from profkit.comparison.records.outputs import OutputsChange
from profkit.errors import InputError, UsageError
from profkit.runs.contents import RunContents, RunData
from profkit.runs.measurement import profiled_ns
from profkit.runs.store import Run, find_runs
from profkit.stats.judged import MARGIN
from profkit.trace.options import DEFAULT, ReadOptions
from profkit.views.diff import PendingComparison


def compare_many(
    paths: Sequence[Path], baseline: Path | None = None, options: ReadOptions = DEFAULT, margin: float = MARGIN
) -> Overview:
    """Compare the runs at ``paths`` with the first of them, or with ``baseline``. The runs of a label are one side.

    Latencies are compared. If a run of a workload has none, or ``options`` name an annotation as the forward, the
    profiled forwards of all its runs are compared instead. The traces of two runs are read for findings.
    Raises InputError if a run cannot be read, UsageError if there are fewer than two labels or a label has two runs of
    one workload.
    """
    runs, warnings = usable_runs(by_label(find_in_order([*([baseline] if baseline else []), *paths])))
    if len(runs) < 2:
        raise UsageError("there is only one run", hint="Name at least two, or a folder that contains several.")
    walls, kinds, notes = read_walls(runs, options)
    warnings += notes
    overview = compare_walls(runs, walls, kinds, warnings, margin, dict(_outputs(runs, options)))
    return _explained(overview, runs, options)


def _explained(overview: Overview, runs: Mapping[str, Mapping[str, Run]], options: ReadOptions) -> Overview:
    """Return ``overview`` with the findings of the run that its first sentence is about, if its traces can be read."""
    label = _to_explain(overview)
    before = runs[overview.baseline]
    pairs = [(before[name], run) for name, run in runs.get(label or "", {}).items() if name in before]
    if label is None or not pairs:
        return overview
    try:
        with PendingComparison(pairs, (overview.baseline, label), options=options) as pending:
            found = pending.result(overview.margin)["name"]
    except InputError as error:  # the wall times are known without the traces
        return replace(overview, warnings=[*overview.warnings, f"{label}: no findings: {error}"])
    findings = [
        RunFindings(label=label, workload=change.name, findings=change.findings, ruled_out=change.ruled_out)
        for change in found.workloads
    ]
    return replace(overview, findings=findings)


def _to_explain(overview: Overview) -> str | None:
    """Return the fastest run if it is shown to be faster than the baseline, else the slowest that is shown slower."""
    if overview.fastest and overview.baseline not in overview.fastest:
        return overview.fastest[0]
    slower = [run for run in overview.runs if run.geomean_speedup.verdict == "slower"]
    return min(slower, key=lambda run: run.geomean_speedup.speedup or 0.0).label if slower else None


def usable_runs(found: Mapping[str, Mapping[str, Run]]) -> tuple[dict[str, dict[str, Run]], list[str]]:
    """Return the runs that hold traces, by label and workload, and in words which others are left out.

    Raises InputError if a run of the first label, the baseline, holds none.
    """
    warnings = [
        f"{run.label} {run.workload} is left out: {run.manifest.reason or 'it has no trace'}"
        for group in found.values()
        for run in group.values()
        if not run.traces and run.manifest
    ]
    for run in next(iter(found.values())).values():  # the baseline cannot be left out
        run.require_traces()
    runs = {label: {n: r for n, r in group.items() if r.traces} for label, group in found.items()}
    return {label: group for label, group in runs.items() if group}, warnings


def read_walls(
    runs: Mapping[str, Mapping[str, Run]], options: ReadOptions
) -> tuple[dict[str, dict[str, Series]], dict[str, WallKind], list[str]]:
    """Return the wall times by workload and label, of which kind each workload's are, and warnings."""
    walls: dict[str, dict[str, Series]] = {}
    kinds: dict[str, WallKind] = {}
    warnings: list[str] = []
    for name in dict.fromkeys(run.workload for group in runs.values() for run in group.values()):
        captured = {label: group[name] for label, group in runs.items() if name in group}
        latencies = {label: RunData(run).latency_ns for label, run in captured.items()}
        # a latency is of the whole forward: it says nothing of an annotation that the user named
        kinds[name] = "latency" if all(latencies.values()) and options.forward is None else "profiled"
        if kinds[name] == "latency":
            walls[name] = {**latencies}
            notes = {label: run.warnings for label, run in captured.items()}
        else:
            profiled = {label: profiled_ns(run, options) for label, run in captured.items()}
            walls[name] = {label: found.forward_ns for label, found in profiled.items()}
            notes = {label: found.warnings for label, found in profiled.items()}
        warnings += [f"{captured[label].title}: {text}" for label, texts in notes.items() for text in texts]
    return walls, kinds, warnings


def _outputs(
    runs: Mapping[str, Mapping[str, Run]], options: ReadOptions
) -> Iterator[tuple[tuple[str, str], OutputsChange]]:
    """Yield the outputs of each run but the first, compared with those of the first, by workload and label.

    Each file is read once, and those of one workload are let go before the next one's.
    """
    baseline, *others = runs
    for name, first in runs[baseline].items():
        before = RunData(first, RunContents(first, options).outputs)
        for label in others:
            if (run := runs[label].get(name)) is not None and before.outputs is not None:
                change = compare_outputs(before, RunData(run, RunContents(run, options).outputs))
                if change is not None:
                    yield (name, label), change


def find_in_order(paths: Sequence[Path]) -> list[Run]:
    """Return the runs in the order given, each once; within a folder by ascending version."""
    found: dict[Path, Run] = {}
    for path in paths:
        for run in sorted(find_runs(path), key=lambda run: _natural(run.label)):
            found.setdefault(run.path.resolve(), run)
    return list(found.values())


def by_label(runs: Sequence[Run], label_of: Callable[[Run], str] = lambda run: run.label) -> dict[str, dict[str, Run]]:
    """Return the runs by label and workload, in the order given; raises UsageError if two have the same of both."""
    found: dict[str, dict[str, Run]] = {}
    for run in runs:
        group = found.setdefault(label_of(run), {})
        if run.workload in group:
            both = f"{group[run.workload].path} and {run.path}"
            hint = "Capture one of them with another --label, or leave it out."
            raise UsageError(f"two runs of {run.workload} have the label {run.label}: {both}", hint=hint)
        group[run.workload] = run
    return found


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts 2.2 before 2.10."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]
