"""Mutated oneDNN logs, and logs that say the same in another way, alone and in a run."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.fuzz import hostile, mutate_bytes
from tests.fuzz.bases import LINES_OF_LOG, LOGS, captured_log, log_lines
from tests.fuzz.check import Fault
from tests.fuzz.json_text import encode
from tests.fuzz.runs import CANDIDATE, LOG_LINES, Pair
from tests.fuzz.trial import READING, UNCACHED, Trial, differences, in_any_order

Lines = list[bytes]
PREFIXES = (b"onednn_verbose", b"dnnl_verbose", b"mkldnn_verbose", b"ONEDNN_VERBOSE", b"onednn_verbose ")
VERSIONS = (b"v0", b"v1", b"v2", b"v99999999999", b"")
OPERATIONS = (b"exec", b"create", b"create:cache_hit", b"create:dispatch", b"exec:check", b"compile", b"exec,gpu", b"")
NUMBERS = (
    b"-1",
    b"nan",
    b"inf",
    b"-inf",
    b"1e308",
    b"1e400",
    b"9" * 400,
    b"1_0",
    b"0x1p3",
    b" 1",
    b"",
    b"1.5.2",
    b"1,5",
)
MESSAGES = (
    b"onednn_verbose,info,oneDNN v3.13.3 (commit 0)",
    b"onednn_verbose,info,cpu,runtime:OpenMP,nthr:99999999999999999999",
    b"onednn_verbose,info,cpu,isa:<fuzz>",
    b"onednn_verbose,v1,primitive,create:dispatch,convolution,unsupported datatype combination,src/cpu/fuzz.cpp:1",
    b"onednn_verbose,primitive,exec:check,fuzz,bad number of arguments",
    b"onednn_verbose,common,error,fuzz",
    b"onednn_verbose,v1,graph,info,backend,0:dnnl_backend",
    b"onednn_verbose,",
    b"onednn_verbose",
)
NOISE = (b"", b"Epoch 1/10", b"WARNING: onednn verbose", b"x\xff\xfe\x00", "Zeile äöü".encode(), b"a,b,c,1.5", b"\t")
NUMERIC_FIELDS = ("calls", "exec_ns", "cache_hits", "cache_misses", "create_ns")
_MARKS = (b"onednn_verbose", b"dnnl_verbose", b"mkldnn_verbose")


def _fields(lines: Lines, chance: random.Random) -> str:
    """Change one field of one record: remove, empty, double, swap, or replace it."""
    at = chance.randrange(len(lines))
    parts = lines[at].split(b",")
    place = chance.randrange(len(parts))
    change = chance.choice(("removed", "emptied", "doubled", "swapped", "hostile", "number", "operation"))
    match change:
        case "removed":
            del parts[place]
        case "emptied":
            parts[place] = b""
        case "doubled":
            parts.insert(place, parts[place])
        case "swapped":
            other = chance.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        case "hostile":
            parts[place] = encode(hostile.text(chance)).replace(b"\n", b" ")
        case "number":
            parts[chance.choice((-1, -1, min(1, len(parts) - 1), place))] = chance.choice(NUMBERS)
        case _:
            parts[min(place, 3)] = chance.choice(OPERATIONS)
    lines[at] = b",".join(parts)
    return f"field {place} of line {at} {change}"


def _prefix(lines: Lines, chance: random.Random) -> str:
    new, version = chance.choice(PREFIXES), chance.choice(VERSIONS)
    count = chance.choice((1, len(lines)))
    for at in chance.sample(range(len(lines)), count):
        _, comma, rest = lines[at].partition(b",")
        lines[at] = new + comma + (version + b"," if version else b"") + rest
    return f"prefix {new!r} and version {version!r} in {count} lines"


def _merged(lines: Lines, chance: random.Random) -> str:
    """Let two threads write at once: two records on a line, or one inside the other."""
    if len(lines) < 2:
        return "nothing"
    at = chance.randrange(len(lines) - 1)
    first, second = lines[at : at + 2]
    inside = chance.randrange(len(first) + 1) if chance.random() < 0.5 else len(first)
    lines[at : at + 2] = [first[:inside] + second + first[inside:]]
    return f"record {at + 1} inside record {at}, at byte {inside}"


def _half(lines: Lines, chance: random.Random) -> str:
    at = chance.randrange(len(lines))
    cut = chance.randrange(len(lines[at]) + 1)
    lines[at : at + 1] = [lines[at][:cut], *([lines[at][cut:]] if chance.random() < 0.5 else [])]
    return f"line {at} broken at byte {cut}"


def _message(lines: Lines, chance: random.Random) -> str:
    message = chance.choice(MESSAGES)
    lines.insert(chance.randrange(len(lines) + 1), message)
    return f"message {message[:40]!r}"


MOST_REPEATED = 50_000_000  # bytes


def _repeated(lines: Lines, chance: random.Random) -> str:
    at, times = chance.randrange(len(lines)), chance.choice((2, 100, 3_000))
    times = min(times, 1 + MOST_REPEATED // (1 + len(lines[at])))  # a long line may be repeated after it was made long
    lines[at:at] = [lines[at]] * times
    return f"line {at} {times + 1} times"


def _long(lines: Lines, chance: random.Random) -> str:
    at, length = chance.randrange(len(lines)), chance.choice((1_000, 100_000, hostile.LONGEST))
    place = chance.randrange(len(lines[at]) + 1)
    filling = chance.choice((b"x", b",", b":", b" ", b"src_f32::blocked:abcd::f0 "))
    filling = (filling * (length // len(filling) + 1))[:length]
    lines[at] = lines[at][:place] + filling + lines[at][place:]
    return f"{length} bytes {filling[:3]!r} in line {at}"


LINE_CHANGES: tuple[Callable[[Lines, random.Random], str], ...] = (
    *(_fields, _fields, _fields, _fields, _prefix, _merged, _half, _message, _message, _repeated, _long),
)


def _base(trial: Trial) -> Lines:
    chance = trial.chance
    trial.base = chance.choice(LOGS)
    lines = log_lines(trial.base)
    at = chance.randrange(max(1, len(lines) - LINES_OF_LOG))
    return [*lines[:12], *lines[at + 12 : at + LINES_OF_LOG]]


def mutated(trial: Trial) -> None:
    """Mutate a log; show it alone, and one in four in a run, joined with the trace of the same forwards."""
    chance = trial.chance
    if chance.random() < 0.25:
        _in_a_run(trial)
        return
    lines = _base(trial)
    for _ in range(chance.choice((1, 1, 2, 5))):
        trial.changes.append(chance.choice(LINE_CHANGES)(lines, chance))
    data = chance.choice((b"\n", b"\n", b"\n", b"\r\n", b"\r")).join(lines) + chance.choice((b"\n", b"\n", b""))
    whole_lines = True
    if chance.random() < 0.2:
        data, words = mutate_bytes.mutate(data, chance)
        trial.changes.append(words)
        whole_lines = False
    path = trial.write("mutant.log", data)
    by = chance.choice(("kind", "implementation", "problem"))
    found = trial.document("onednn", path, *READING, "--by", by)
    if found is not None:
        trial.add(_check_counts(data, found), trial.main)
        if whole_lines:
            _check_halves(trial, data, by, found)
    form = chance.choice(("text", "markdown", "csv", "html"))
    trial.command("onednn", path, *READING, "--format", form)


def _check_counts(data: bytes, document: dict[str, Any]) -> list[Fault]:
    """Check that no more is counted than the log has marks for."""
    marks = sum(data.replace(b"\x00", b"").count(mark) for mark in _MARKS)  # UTF-16 and UTF-32 too
    counted = sum(row["calls"] + row["cache_hits"] + row["cache_misses"] for row in document["primitives"])
    if data[:2] != b"\x1f\x8b" and counted + document["skipped_lines"] > marks:
        return [Fault("more records than the log has", f"{counted} + {document['skipped_lines']} of {marks}")]
    return []


def _check_halves(trial: Trial, data: bytes, by: str, whole: dict[str, Any]) -> None:
    """Check that the two halves of a log add up to the whole: each line counts alone, whatever is beside it."""
    lines = data.splitlines(keepends=True)
    if b"\r" in data.replace(b"\r\n", b"") or not data.endswith(b"\n"):
        return  # a line may end, or not, in the middle of a record
    middle = trial.chance.randrange(len(lines) + 1)
    sums: Counter[tuple[str, str]] = Counter()
    for name, part in (("first", lines[:middle]), ("second", lines[middle:])):
        path = trial.write(f"{name}.log", b"".join(part))
        sums.update(_sums(trial.document("onednn", path, *READING, "--by", by)))
    expected = Counter(_sums(whole))
    if sums != expected:
        wrong = next(key for key in (*expected, *sums) if sums[key] != expected[key])
        what = f"cut after line {middle}: {wrong} is {sums[wrong]} in the halves, {expected[wrong]} in the whole"
        trial.add([Fault("the halves of a log do not add up", what)], trial.outcomes[-1])


def _sums(document: dict[str, Any] | None) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for row in document["primitives"] if document is not None else ():
        key = str([row[name] for name in ("kind", "implementation", "fpmath", "data_types", "problem", "post_ops")])
        for name in NUMERIC_FIELDS:
            if row[name]:
                found[key, name] += row[name]
    return found


def _in_a_run(trial: Trial) -> None:
    chance, pair = trial.chance, Pair(trial.folder)
    trial.base = f"the log of {CANDIDATE}"
    lines = list(captured_log(CANDIDATE))[-LOG_LINES:]
    for _ in range(chance.choice((1, 3, 20))):
        trial.changes.append(chance.choice(LINE_CHANGES)(lines, chance))
    data = b"\n".join(lines) + b"\n"
    if chance.random() < 0.2:
        data, words = mutate_bytes.mutate(data, chance)
        trial.changes.append(words)
    packed = data if chance.random() < 0.5 else gzip.compress(data, mutate_bytes.LEVEL, mtime=0)
    pair.replace(pair.candidate / "onednn.log.gz", packed)
    warm = ["--warm"] if chance.random() < 0.5 else []
    trial.command("onednn", pair.candidate, *UNCACHED, *warm, "--format", "json")
    trial.command("onednn", pair.candidate, *UNCACHED, "--warm", "--format", "text")
    match chance.randrange(3):
        case 0:
            trial.command("ops", pair.candidate, *UNCACHED, "--with-primitives", "--format", "json")
        case 1:
            form = chance.choice(("json", "text"))
            trial.command("diff", pair.baseline, pair.candidate, *UNCACHED, "--format", form)
        case _:
            merged = trial.folder / "merged.json"
            done = trial.command("onednn", pair.candidate, *UNCACHED, "--merge", merged, "--quiet")
            if done.status == 0 and trial.document("info", merged, *UNCACHED) is None:
                trial.add([Fault("a merged trace that is refused", trial.outcomes[-1].err[:300])], done)


def same(trial: Trial) -> None:
    """Write a log in another way, and compare every number with the original's."""
    chance = trial.chance
    lines = _base(trial)
    original = trial.write("original.log", b"\n".join(lines) + b"\n")
    trial.changes += chance.sample(("noise", "order", "ends", "behind", "gzip", "time"), chance.choice((1, 2)))
    for change in trial.changes:
        lines = _rewritten(lines, change, chance)
    end = b"\r\n" if "ends" in trial.changes else b"\n"
    data = end.join(lines) + end
    if "gzip" in trial.changes:
        data, _ = mutate_bytes.packed_in_some_way(data, chance)
    path = trial.write("same.log", data)
    by = chance.choice(("kind", "implementation", "problem"))
    wanted = trial.document("onednn", original, *READING, "--by", by)
    found = trial.document("onednn", path, *READING, "--by", by)
    if wanted is None or found is None:
        if wanted is not found:
            trial.add([Fault("the same log is read in one way only", trial.outcomes[-1].err[:300])], trial.outcomes[-1])
        return
    for document in (wanted, found):
        document["primitives"] = in_any_order(document["primitives"])
    if words := differences(wanted, found, ("source",)):
        trial.add([Fault("the same log has other numbers", words)], trial.outcomes[-1])


def _rewritten(lines: Lines, change: str, chance: random.Random) -> Lines:
    """Return the lines changed in a way that must not matter; some changes are not of single lines."""
    match change:
        case "noise":
            for _ in range(10):
                lines.insert(chance.randrange(len(lines) + 1), chance.choice(NOISE))
        case "order":
            chance.shuffle(lines)
        case "behind":
            return [b"[rank0]: " + line for line in lines]
        case "time":
            return [_later(line) for line in lines]
    return lines


def _later(line: bytes) -> bytes:
    """Move the time stamp of a record, if it has one, by a second."""
    parts = line.split(b",")
    for place in (1, 2):
        if len(parts) > place and parts[place].replace(b".", b"", 1).isdigit() and b"." in parts[place]:
            whole, _, decimals = parts[place].partition(b".")
            parts[place] = str(int(whole) + 1_000).encode() + b"." + decimals
            break
    return b",".join(parts)
