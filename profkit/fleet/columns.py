"""The tables of an index and their columns: the one place that names, types and describes them.

Every row says by ``batch`` and ``trace`` which file it comes from; the columns of :data:`ORIGIN` repeat what the run
and the round of that file are, so that most questions need no join. They take almost no space: Parquet stores a value
that repeats once.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from profkit.errors import UsageError

SCHEMA = "tables/1"
"""The version of the tables; an index with another one is not read."""

Type = Literal["text", "integer", "number", "truth"]


class Column(NamedTuple):
    """A column: its name, its type and what it means, with its unit. Every column may be null."""

    name: str
    type: Type
    meaning: str


ORIGIN = (
    Column("batch", "text", "part of the index that the row was written with"),
    Column("trace", "text", "hash of the trace file's content; of the manifest's in runs and primitives"),
    Column("run", "text", "folder of the run, or of the traces"),
    Column("workload", "text", "name of the workload; without a manifest, of the folder"),
    Column("label", "text", "label of the configuration; without a manifest, name of the folder above"),
    Column("torch", "text", "PyTorch version"),
    Column("fpmath", "text", "oneDNN's fpmath mode (fp32, bf16, ...)"),
    Column("mode", "text", "how the model ran (eager, frozen, compile, ...)"),
    Column("host", "text", "name of the machine"),
    Column("rank", "integer", "rank in a distributed job"),
    Column("date", "text", "day on which it was recorded, as YYYY-MM-DD (UTC)"),
)

_HOST_TIMES = (
    Column("self_ns", "number", "host time without the operators that it calls (ns)"),
    Column("total_ns", "number", "host time with at least one call of it on the stack (ns)"),
    Column("self_device_ns", "number", "device time of the kernels that it launched directly (ns)"),
    Column("total_device_ns", "number", "device time of the kernels that it and its callees launched (ns)"),
)

_OPERATOR = (
    Column("forwards", "integer", "forwards that the row is the median of; 0: a sum over the whole file"),
    Column("name", "text", "operator"),
    Column("calls", "number", "calls per forward, or in the whole file"),
    *_HOST_TIMES,
)

TABLES: Mapping[str, tuple[Column, ...]] = {
    "runs": (
        *ORIGIN,
        Column("source", "text", "where the model comes from (torchvision, huggingface, file, ...)"),
        Column("samples", "integer", "samples per forward (batch size)"),
        Column("status", "text", "complete or failed"),
        Column("reason", "text", "why the capture failed"),
        Column("rounds", "integer", "rounds in the manifest"),
        Column("cpu", "text", "CPU model"),
        Column("cores", "integer", "CPU cores available to the process"),
        Column("instance_type", "text", "instance type of the cloud"),
        Column("usd_per_hour", "number", "price of the machine (US dollars per hour)"),
        Column("manifest", "text", "the manifest as JSON, without its rounds"),
        Column("written", "text", "when the row was written (ISO 8601, UTC)"),
    ),
    "rounds": (
        *ORIGIN,
        Column("path", "text", "the trace file"),
        Column("bytes", "integer", "size of the file"),
        Column("round", "integer", "number of the round in its run"),
        Column("session", "text", "the capture that the round is of"),
        Column("block", "integer", "number of the block in the session; rounds of one block are compared pairwise"),
        Column("started", "text", "start time (ISO 8601, UTC)"),
        Column("process", "text", "process id"),
        Column("world_size", "integer", "number of ranks of the distributed job"),
        Column("rule", "text", "rule that found the forwards"),
        Column("forwards", "integer", "forwards under the profiler"),
        Column("profiled_ns", "number", "median wall time of these (ns)"),
        Column("latency_ns", "number", "median wall time of the forwards with the profiler off (ns)"),
        Column("cpu_ns", "number", "median CPU time of these (ns)"),
        Column("peak_memory_bytes", "integer", "largest resident set of the process (bytes)"),
        Column("disturbed", "text", "why the round was disturbed by other work"),
        Column("operators", "integer", "operator calls in the file"),
        Column("resolution_ns", "integer", "resolution of the trace's clock (ns)"),
        Column("format", "text", "PyTorch versions that write traces like this"),
        Column("repairs", "integer", "defects that were mended"),
        Column("anomalies", "integer", "events that are odd"),
        Column("samples", "integer", "samples per forward (batch size)"),
        Column("recording", "text", "without a manifest: what tells whether two files are of one process, as JSON"),
    ),
    "forwards": (
        *ORIGIN,
        Column("profiled", "truth", "whether the profiler was on"),
        Column("forward", "integer", "place in the round, from 0"),
        Column("wall_ns", "integer", "wall time (ns)"),
    ),
    "operators": (*ORIGIN, *_OPERATOR),
    "operator_shapes": (*ORIGIN, *_OPERATOR, Column("input_dims", "text", "input shapes as JSON text")),
    "primitives": (
        *ORIGIN,
        Column("operator", "text", "operator that it ran in; null if none is known"),
        Column("kind", "text", "kind of the oneDNN primitive"),
        Column("implementation", "text", "implementation"),
        Column("math", "text", "fpmath mode of the primitive"),
        Column("data_types", "text", "data types of the arguments"),
        Column("problem", "text", "problem descriptor as oneDNN logs it"),
        Column("forwards", "integer", "traced forwards of the log"),
        Column("calls", "integer", "executions in these forwards"),
        Column("exec_ns", "integer", "execution time in these forwards (ns)"),
    ),
    "kernels": (
        *ORIGIN,
        Column("name", "text", "kernel or copy on a device"),
        Column("category", "text", "category, such as kernel or gpu_memcpy"),
        Column("calls", "integer", "times that it ran in the file"),
        Column("device_ns", "integer", "sum of its durations (ns)"),
    ),
    "failures": (
        *ORIGIN,
        Column("path", "text", "the file that could not be read"),
        Column("what", "text", "why, and what to do"),
    ),
    "sources": (
        Column("batch", "text", "part of the index that the row was written with"),
        Column("path", "text", "a file that was looked at"),
        Column("stamp", "text", "size and change time, or the store's checksum, by which an unchanged file is known"),
        Column("bytes", "integer", "size"),
        Column("trace", "text", "hash of its content"),
        Column("manifest", "text", "hash of the manifest that it was read with"),
        Column(
            "state",
            "text",
            "indexed; copy: its content is indexed from another file; beside: read with its manifest; failed; "
            "left out: not of its folder's manifest",
        ),
        Column("written", "text", "when the row was written (ISO 8601, UTC)"),
    ),
}
"""The columns of each table. ``sources`` is written last: what a batch wrote counts once its sources are there."""

_ARROW = {"text": "string", "integer": "int64", "number": "float64", "truth": "bool_"}
_SQL = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "truth": "BOOLEAN"}


def require(*libraries: str) -> None:
    """Raise UsageError if one of the libraries that an index needs is not installed."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        hint = "pip install 'profkit[fleet]' installs what an index needs."
        raise UsageError(f"{' and '.join(missing)} {verb} not installed", hint=hint)


def arrow_schema(table: str) -> Any:
    """Return the ``pyarrow.Schema`` of a table."""
    import pyarrow

    return pyarrow.schema([(column.name, getattr(pyarrow, _ARROW[column.type])()) for column in TABLES[table]])


def sql_columns(table: str) -> str:
    """Return the columns of a table as a list of typed NULLs, for a view of a table without rows."""
    return ", ".join(f'NULL::{_SQL[column.type]} AS "{column.name}"' for column in TABLES[table])
