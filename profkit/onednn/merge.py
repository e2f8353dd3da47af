"""A trace with oneDNN's primitives in it, nested under the operators they ran in."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from profkit.errors import InputError
from profkit.onednn.join import Joined

CATEGORY = "onednn"
_GZIP_LEVEL = 6


def merge(joined: Joined) -> tuple[dict[str, Any], int]:
    """Return the trace of ``joined`` with its warm primitives in it, as a document, and how many they are.

    They stand on the thread of their operator and never reach beyond it, so that every viewer nests them.
    Raises InputError where the trace is not strict JSON.
    """
    document, events = read_document(Path(joined.trace.source))
    added = _events(joined)
    return {**document, "traceEvents": [*events, *added]}, len(added)


def read_document(path: Path) -> tuple[dict[str, msgspec.Raw], list[msgspec.Raw]]:
    """Return a trace file's members and its events, undecoded; raises InputError where it is not strict JSON."""
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        document = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        return document, msgspec.json.decode(document["traceEvents"], type=list[msgspec.Raw])
    except (OSError, EOFError, msgspec.DecodeError, KeyError) as error:
        hint = "profkit repair writes a damaged trace anew."
        raise InputError(f"cannot be merged: {error}", where=path, hint=hint) from None


def encode_document(document: dict[str, Any], target: Path) -> bytes:
    """Return the content of a trace file, gzipped where its name says so."""
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
    """Return ns as decimal microseconds: a float of the epoch's would be off by a quarter of one."""
    return msgspec.Raw(b"%d.%03d" % divmod(ns, 1000))
