"""Adds oneDNN's primitives to a trace, nested under the operators they ran in."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from profkit.errors import InputError
from profkit.files import read_bounded
from profkit.onednn.join import Joined
from profkit.trace.options import MEMORY_LIMIT

CATEGORY = "onednn"
_GZIP_LEVEL = 6  # as PyTorch's own handler writes


def merge(joined: Joined, memory_limit: int = MEMORY_LIMIT) -> tuple[dict[str, Any], int]:
    """Return the trace of ``joined`` with its warm primitives added, as a document, and their number.

    Each is on the thread of its operator and ends no later than it, so that every viewer nests them. Raises InputError
    as :func:`read_document` does.
    """
    document, events = read_document(Path(joined.trace.source), memory_limit)
    added = _events(joined)
    return {**document, "traceEvents": [*events, *added]}, len(added)


def read_document(path: Path, memory_limit: int = MEMORY_LIMIT) -> tuple[dict[str, msgspec.Raw], list[msgspec.Raw]]:
    """Return the members of a trace file and its events, undecoded.

    ``memory_limit`` is in bytes; the text may take half of it. Raises InputError if the file cannot be read, is
    larger, or is not strict JSON.
    """
    content = read_bounded(path, memory_limit // 2)
    try:
        document = msgspec.json.decode(content.data, type=dict[str, msgspec.Raw])
        return document, msgspec.json.decode(document["traceEvents"], type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
        hint = "profkit repair writes a repaired copy of a damaged trace."
        raise InputError(f"cannot be merged: {error}", where=path, hint=hint) from None


def encode_document(document: dict[str, Any], target: Path) -> bytes:
    """Return the content of a trace file, gzipped if the name of ``target`` ends in .gz."""
    data = msgspec.json.encode(document)
    return gzip.compress(data, _GZIP_LEVEL, mtime=0) if target.suffix == ".gz" else data


def _events(joined: Joined) -> list[dict[str, Any]]:
    log, trace = joined.log, joined.trace
    operators = trace.operator_events
    found = []
    for row in np.flatnonzero(joined.operator >= 0).tolist():
        primitive = log.primitives[log.primitive[row]]
        operator = joined.operator[row]
        start = max(int(log.start_ns[row]) - trace.base_ns, int(operators.start_ns[operator]))
        end = min(start + int(log.duration_ns[row]), int(operators.end_ns[operator]))
        pid, tid = trace.tracks[operators.track[operator]]
        name = f"{primitive.kind} {primitive.implementation}"
        if primitive.operation == "create":
            name = f"create {primitive.kind} ({'hit' if primitive.cached else 'miss'})"
        found.append(
            {
                "ph": "X",
                "cat": CATEGORY,
                "name": name,
                "pid": pid,
                "tid": tid,
                "ts": microseconds(start),
                "dur": microseconds(max(0, end - start)),
                "args": {
                    "implementation": primitive.implementation,
                    "fpmath": primitive.fpmath,
                    "data types": primitive.data_types,
                    "layouts": primitive.layouts,
                    "problem": primitive.problem,
                    "post-ops": primitive.post_ops,
                },
            }
        )
    return found


def microseconds(ns: int) -> msgspec.Raw:
    """Return ns as decimal microseconds; a float64 at epoch microseconds resolves only 0.25 µs."""
    return msgspec.Raw(b"%d.%03d" % divmod(ns, 1000))
