"""Mutated traces, and traces that say the same in another way, through every command that reads traces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz import hostile, mutate_bytes, mutate_trace, same_trace
from tests.fuzz.bases import DAMAGED, TRACE_NAMES, trace, trace_text
from tests.fuzz.check import Fault, check_text
from tests.fuzz.json_text import STYLES, dump, encode
from tests.fuzz.reference import check_reference
from tests.fuzz.trial import READING, UNCACHED, Trial, differences, in_any_order

# the names of the file, records without a duration, and the dialect, which is recognised by the text of the file
SAME_IGNORED = ("source", "path", "file", "workload", "other_events", "dialect")
BY = ("name", "shape", "module", "stack")


def mutated(trial: Trial) -> None:
    """Mutate a trace, and give it to ``ops``, ``info`` and two more commands."""
    chance = trial.chance
    data = _mutant(trial)
    name = "mutant.pt.trace.json" if chance.random() < 0.95 else f"{hostile.text(chance)[:60]}.json".replace("/", "_")
    path = trial.write(name, data)
    found = trial.document("ops", path, *UNCACHED)
    trial.command("info", path, *UNCACHED, "--format", "json")
    if found is not None:
        trial.add(check_reference(data, found), trial.main)
    for further in chance.sample(FURTHER, 2):
        further(trial, path)


def _mutant(trial: Trial) -> bytes:
    chance = trial.chance
    if chance.random() < 0.05:
        trial.base = chance.choice(DAMAGED)
        data = trace_text(trial.base)
    else:
        trial.base = chance.choice(TRACE_NAMES)
        document = trace(trial.base)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            trial.changes.append(mutate_trace.mutate(document, chance))
        data = encode(dump(document, chance.choice(STYLES)))
        if chance.random() < 0.8:
            return data
    data, words = mutate_bytes.mutate(data, chance)
    trial.changes.append(words)
    return data


def _original(trial: Trial) -> Path:
    path = trial.folder / "original.json"
    if not path.exists():
        path.write_bytes(trace_text(trial.base))
    return path


def _operators(trial: Trial, path: Path) -> None:
    """Show the operators in another grouping and format."""
    chance = trial.chance
    form = chance.choice(("text", "markdown", "csv", "html", "json"))
    words = ["--by", chance.choice(BY), "--format", form]
    words += ["--per-forward"] if chance.random() < 0.5 else []
    words += ["--sort", chance.choice(("self", "total", "calls", "name"))] if chance.random() < 0.3 else []
    trial.command("ops", path, *UNCACHED, *words)


def _information(trial: Trial, path: Path) -> None:
    form = trial.chance.choice(("text", "markdown", "csv", "html"))
    trial.command("info", path, *UNCACHED, "--format", form)


def _difference(trial: Trial, path: Path) -> None:
    """Compare with the original, in either order."""
    chance = trial.chance
    sides = [_original(trial), path]
    chance.shuffle(sides)
    form = chance.choice(("json", "json", "text", "markdown", "csv", "html"))
    words = ["--by", chance.choice(("name", "name", "shape", "module")), "--format", form]
    trial.command("diff", *sides, *UNCACHED, *words)


def _comparison(trial: Trial, path: Path) -> None:
    form = trial.chance.choice(("json", "text", "csv", "html"))
    words = ["--format", form]
    trial.command("compare", _original(trial), path, *UNCACHED, *words)


def _repair(trial: Trial, path: Path) -> None:
    """Repair the file: the result must need no repair, and have the same operators."""
    target = trial.folder / "mended" / "mended.json"
    target.parent.mkdir()
    done = trial.command("repair", path, target, *READING, checked=False)
    trial.add(check_text(done.out))
    before = trial.document("ops", path, *UNCACHED)
    refusal = trial.outcomes[-1].err
    if done.status != 0:
        if before is not None:
            trial.add([Fault("repair refuses what ops reads", done.err[:300])], done)
        return
    after = trial.document("ops", target, *UNCACHED)
    if after is None:
        err = trial.outcomes[-1].err
        if before is not None or err.replace(str(target), str(path)) != refusal:  # it is no damage that is refused
            trial.add([Fault("a repaired file is refused", err[:300])], done)
        return
    if after["repairs"]:
        trial.add([Fault("a repaired file needs repair", str(after["repairs"])[:300])], done)
    if before is not None and (words := differences(before["operators"], after["operators"])):
        trial.add([Fault("a repaired file has other operators", words)], done)


def _lanes(trial: Trial, path: Path) -> None:
    """Put the file beside its original: the result must be a sound trace."""
    target = trial.folder / "both" / "lanes.json"
    target.parent.mkdir()
    done = trial.command("lanes", _original(trial), path, "--output", target, *UNCACHED, checked=False)
    if done.status == 0:
        both = trial.document("info", target, *UNCACHED)
        if both is None or both["traces"][0]["repairs"]:
            trial.add([Fault("lanes that need repair", str(both)[:300])], done)


def _export(trial: Trial, path: Path) -> None:
    done = trial.command("export", path, "--parquet", trial.folder / "tables", *UNCACHED, checked=False)
    trial.add(check_text(done.out))


def _folder(trial: Trial, path: Path) -> None:
    """Read the file as one of two rounds of a folder."""
    folder = trial.folder / "rounds"
    folder.mkdir()
    (folder / "vm_1.1.pt.trace.json").write_bytes(trace_text(trial.base))
    (folder / "vm_2.2.pt.trace.json").write_bytes(path.read_bytes())
    trial.command("ops", folder, *UNCACHED, "--format", "json")
    trial.command("info", folder, *UNCACHED, "--format", trial.chance.choice(("json", "text")))


FURTHER: tuple[Callable[[Trial, Path], None], ...] = (
    *(_operators, _operators, _information, _difference, _difference, _comparison, _repair, _lanes, _export, _folder),
)


def same(trial: Trial) -> None:
    """Write a trace in another way, and compare every number with the original's."""
    chance = trial.chance
    trial.base = chance.choice(TRACE_NAMES)
    document = trace(trial.base)
    ignored: tuple[str, ...] = SAME_IGNORED
    for change in chance.sample(same_trace.CHANGES, chance.choice((0, 1, 1, 2, 3))):
        trial.changes.append(change(document, chance))
    if chance.random() < 0.3:
        data, words = same_trace.harmless_damage(document, chance)
        ignored = (*ignored, "repairs")
    else:
        data, words = same_trace.written(document, chance)
    trial.changes.append(words)
    if chance.random() < 0.3:
        data, words = mutate_bytes.packed_in_some_way(data, chance)
        trial.changes.append(words)
    path, original = trial.write("same.json", data), _original(trial)
    by = chance.choice(BY)
    for command, *options in (("ops", "--by", by), ("ops", "--by", by, "--per-forward"), ("info",)):
        wanted = trial.document(command, original, *options, *UNCACHED)
        _compare(trial, wanted, trial.document(command, path, *options, *UNCACHED), ignored)
    _no_change(trial, trial.document("diff", original, path, *UNCACHED, "--by", by))


def _compare(trial: Trial, wanted: Any, found: Any, ignored: tuple[str, ...]) -> None:
    last = trial.outcomes[-1]
    if (wanted is None) != (found is None):
        trial.add([Fault("the same trace is read in one way only", last.err[:300])], last)
    elif words := differences(_sorted(wanted), _sorted(found), ignored):
        trial.add([Fault(f"the same trace has other numbers: {last.words[0]} {_field(words)}", words)], last)


def _field(difference: str) -> str:
    """Return the field that differs, without the positions in lists."""
    return re.sub(r"\d+", "", difference.partition(" ")[0])


def _sorted(document: Any) -> Any:
    """Return a result with rows and times in one order: that of equal rows is by their place in the file."""
    if document is None:
        return None
    document = json.loads(json.dumps(document))
    if "operators" in document:
        document["operators"] = in_any_order(document["operators"])
        document["forwards"]["wall_ns"].sort()
    for one in document.get("traces", ()):
        one["forward_ns"].sort()
    return document


def _no_change(trial: Trial, document: dict[str, Any] | None) -> None:
    """Check that a comparison of a trace with itself finds nothing."""
    if document is None:
        return
    for workload in document["workloads"]:
        moved = [row for row in workload["operators"] if row["delta_ns"] or row["verdict"] in ("added", "removed")]
        if moved or workload["attribution"]["forward_delta_ns"]:
            what = f"{workload['attribution']['forward_delta_ns']} ns; {str(moved)[:250]}"
            trial.add([Fault("the same trace differs from itself", what)], trial.outcomes[-1])
