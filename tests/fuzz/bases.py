"""The small real inputs that mutations start from: files of the repository, cut to a few dozen events or lines."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz.invoke import REPOSITORY
from tests.fuzz.json_text import Members, parse

DATA = REPOSITORY / "tests/data"
TRACES = REPOSITORY / "traces"
SMALL_BYTES = 10_000  # of a damaged file: a larger one is damaged by its size
EVENTS = 60  # of a real trace, from its beginning on; all of its annotations are kept too
LINES_OF_LOG = 80
SEPARATOR = b"\n  },\n  {"  # between the events that PyTorch writes
DIALECTS = tuple(sorted(path.name for path in (DATA / "dialects").glob("*.json")))
REAL = (
    "aarch64/1.13.1-eager-FP32.pt.trace.json.gz",
    "aarch64/2.0.1-eager-FP32.pt.trace.json.gz",
    "aarch64/2.0.1-frozen-FP32.pt.trace.json.gz",
)
CAPTURED = ("1.13", "1.13-frozen", "2.0", "2.0-bf16-frozen", "2.15", "2.15-frozen")
DAMAGED = tuple(sorted(path.name for path in (DATA / "damaged").glob("*.json") if path.stat().st_size < SMALL_BYTES))
LOGS = tuple(
    sorted(str(path.relative_to(DATA)) for folder in ("aarch64", "onednn") for path in (DATA / folder).glob("*.log*"))
)
SAVED = ("compare-1.json", "diff-1-with-kernels.json", "info-1-run-1.json", "operators-1-kernels.json")
TRACE_NAMES = (*DIALECTS, *REAL, *CAPTURED)


def unpacked(path: Path) -> bytes:
    """Return the content of a file, unpacked if its name ends in .gz."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def rounds_of(label: str) -> list[Path]:
    """Return the traces of a run of ``traces/``, in order of their names."""
    return sorted((TRACES / label / "resnet50").glob("*.pt.trace.json.gz"))


@cache
def trace_text(name: str) -> bytes:
    """Return the text of the trace called ``name``, one of ``TRACE_NAMES`` or ``DAMAGED``; a large one is cut."""
    if name in CAPTURED:
        return cut_trace(rounds_of(name)[0])
    if name in REAL:
        return cut_trace(DATA / name)
    return (DATA / ("damaged" if name in DAMAGED else "dialects") / name).read_bytes()


def cut_trace(path: Path, events: int = EVENTS) -> bytes:
    """Return a trace with its first events and its annotations only, the text as PyTorch wrote it."""
    pieces = unpacked(path).split(SEPARATOR)
    kept = [piece for place, piece in enumerate(pieces[:-1]) if place < events or b'"user_annotation"' in piece]
    return SEPARATOR.join([*kept, pieces[-1]])


def trace(name: str) -> Any:
    """Return the parsed trace called ``name``: ``Members``, or a list for the exporter before kineto."""
    return parse(trace_text(name))


def events_of(document: Any) -> list[Any]:
    """Return the list of events of a parsed trace, to be changed in place."""
    found = document.get("traceEvents") if isinstance(document, Members) else document
    return found if isinstance(found, list) else []


@cache
def log_lines(name: str) -> tuple[bytes, ...]:
    """Return the lines of an oneDNN log, without their ends."""
    return tuple(unpacked(DATA / name).splitlines())


@cache
def captured_log(label: str) -> tuple[bytes, ...]:
    """Return the lines of the oneDNN log of a run of ``traces/``."""
    return tuple(unpacked(TRACES / label / "resnet50" / "onednn.log.gz").splitlines())
