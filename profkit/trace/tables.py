"""Tables for programs: named columns that become a DataFrame, an Arrow table or a Parquet file.

pandas and pyarrow are imported only by the methods that need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np

from profkit.errors import UsageError
from profkit.files import replacing
from profkit.trace.events import Trace
from profkit.trace.forward import find_forwards
from profkit.trace.operators import sum_operators
from profkit.trace.options import By


class Table(msgspec.Struct, frozen=True):
    """Columns of equal length ``(rows,)`` by name; one whose name ends in ``_ns`` holds integer nanoseconds."""

    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame``; raises UsageError if pandas is not installed."""
        return _library("pandas", "pandas").DataFrame(dict(self.columns))

    def to_arrow(self) -> Any:
        """Return a ``pyarrow.Table``; raises UsageError if pyarrow is not installed."""
        return _library("pyarrow", "parquet").table(dict(self.columns))

    def to_parquet(self, path: str | Path) -> None:
        """Write a Parquet file, whole or not at all.

        Raises UsageError if pyarrow is not installed, OSError if the file cannot be written.
        """
        parquet, table = _library("pyarrow.parquet", "parquet"), self.to_arrow()
        with replacing(Path(path)) as part:
            parquet.write_table(table, part)


def _library(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        hint = f"pip install 'profkit[{extra}]' installs it."
        raise UsageError(f"{module.partition('.')[0]} is not installed", hint=hint) from None


def _texts(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=object)


_SECOND = {"shape": "input_dims", "module": "module", "stack": "stack"}
_FLOW_TEXTS = ("phase", "category", "id", "pid", "tid")


def operators_table(trace: Trace, by: By = "name", per_forward: bool = False, forward: str | None = None) -> Table:
    """Return one row per operator, or per forward and operator that it calls.

    Columns: ``forward`` (its position, if ``per_forward``), ``name``, ``input_dims``, ``module`` or ``stack`` (if
    ``by`` says so), ``calls``, ``self_host_ns``, ``total_host_ns``, ``self_device_ns``, ``total_device_ns``.
    ``forward`` is the annotation that is a forward, None to find them. Raises UsageError if ``by`` is not one of name,
    shape, module, stack, or if there is no such annotation.
    """
    if by not in get_args(By):
        raise UsageError(f"operators cannot be grouped by {by!r}", hint=f"Use one of {', '.join(get_args(By))}.")
    samples = sum_operators(trace, find_forwards(trace, forward) if per_forward else None, by)
    row, column = np.nonzero(samples.calls)
    columns: dict[str, np.ndarray] = {"forward": row} if per_forward else {}
    columns["name"] = _texts([key[0] for key in samples.keys])[column]
    if by in _SECOND:
        columns[_SECOND[by]] = _texts([key[1] or "" for key in samples.keys])[column]
    columns |= {
        "calls": samples.calls[row, column],
        "self_host_ns": samples.self_ns[row, column],
        "total_host_ns": samples.total_ns[row, column],
        "self_device_ns": samples.self_device_ns[row, column],
        "total_device_ns": samples.total_device_ns[row, column],
    }
    return Table(columns)


def forwards_table(trace: Trace, forward: str | None = None) -> Table:
    """Return one row per forward: ``rule`` (that found it), ``start_ns`` and ``wall_ns``.

    ``forward`` is as in :func:`operators_table`.
    """
    found = find_forwards(trace, forward)
    rule = _texts([found.rule] * len(found))
    return Table({"rule": rule, "start_ns": found.start_ns, "wall_ns": found.wall_ns})


def spans_table(trace: Trace) -> Table:
    """Return one row per span: ``name``, ``category``, ``pid``, ``tid``, ``start_ns``, ``duration_ns``, ids and shapes.

    ``index``, ``external_id`` and ``correlation`` are -1 and ``input_dims`` is empty if the span has none.
    """
    events = trace.events
    pids, tids = (_texts([str(track[i]) for track in trace.tracks]) for i in (0, 1))
    shapes = _texts([*trace.shapes, ""])
    return Table(
        {
            "name": _texts(list(trace.names))[events.name],
            "category": _texts(list(trace.categories))[events.category],
            "pid": pids[events.track],
            "tid": tids[events.track],
            "start_ns": events.start_ns,
            "duration_ns": events.duration_ns,
            "index": events.index,
            "external_id": np.ascontiguousarray(events.external_id),
            "correlation": np.ascontiguousarray(events.correlation),
            "input_dims": shapes[events.shape],
        }
    )


def flows_table(trace: Trace) -> Table:
    """Return one row per flow record: phase (s starts, f ends), category, id, pid, tid, start_ns."""
    columns = {name: _texts([str(flow[i]) for flow in trace.flow_records]) for i, name in enumerate(_FLOW_TEXTS)}
    start_ns = np.array([flow[-1] for flow in trace.flow_records], dtype=np.int64)
    return Table({**columns, "start_ns": start_ns})
