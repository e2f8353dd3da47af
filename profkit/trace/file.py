"""The public face of one trace file: :func:`load` returns a :class:`TraceFile`, which makes its tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from profkit.errors import InputError
from profkit.trace import dialect
from profkit.trace.events import Trace
from profkit.trace.forward import Forwards, find_forwards
from profkit.trace.options import DEFAULT, By, Detail, ReadOptions
from profkit.trace.reading.reader import read
from profkit.trace.tables import Table, flows_table, forwards_table, operators_table, spans_table


class TraceFile:
    """One trace file that was read. ``trace`` holds its columns; the methods return tables of it.

    ``forward`` is the annotation that is a forward, None to find the forwards by rule. Every table has
    ``to_pandas()``, ``to_arrow()`` and ``to_parquet(path)``. Times are integer nanoseconds.
    """

    def __init__(self, trace: Trace, forward: str | None = None) -> None:
        self.trace = trace
        self.forward = forward

    def __repr__(self) -> str:
        version = self.torch_version
        torch = f"{dialect.in_words(self.dialect)} (by its format)" if version is None else f"PyTorch {version}"
        found = self._forwards
        counts = f"{len(self.trace.events)} events, {len(self.trace.operator_events)} operator calls"
        return f"<TraceFile {Path(self.source).name!r}: {torch}, {counts}, {len(found)} forwards ({found.rule})>"

    @cached_property
    def _forwards(self) -> Forwards:
        return find_forwards(self.trace, self.forward)

    @property
    def source(self) -> str:
        """The path of the file."""
        return self.trace.source

    @property
    def torch_version(self) -> str | None:
        """The PyTorch version that profkit wrote into the file; None in other traces."""
        return self.trace.torch_version

    @property
    def dialect(self) -> str:
        """The PyTorch versions that write such a file, such as ``2.4 to 2.7``, another program, or ``unknown``."""
        return self.trace.dialect

    @property
    def repairs(self) -> Mapping[str, int]:
        """How often each kind of defect was mended; empty for a file without defects."""
        return self.trace.repairs

    @property
    def metadata(self) -> Mapping[str, object]:
        """What profkit's worker wrote into the file; empty in other traces."""
        return self.trace.metadata

    @property
    def resolution_ns(self) -> int:
        """The step of the file's clock: 1000 ns up to PyTorch 2.3, then 1 ns."""
        return self.trace.resolution_ns

    def operators(self, by: By = "name", *, per_forward: bool = False) -> Table:
        """Return one row per operator, or per operator and input shapes, module or stack; over the whole file.

        With ``per_forward`` one row per forward and operator that it calls. Columns as
        :func:`profkit.trace.tables.operators_table` says. Raises UsageError if ``by`` is not one of name, shape,
        module, stack.
        """
        return operators_table(self.trace, by, per_forward, self.forward)

    def forwards(self) -> Table:
        """Return one row per forward: the rule it was found by, its start and its wall time in ns."""
        return forwards_table(self.trace, self.forward)

    def spans(self) -> Table:
        """Return one row per span: name, category, pid, tid, start and duration in ns, index, ids, input shapes."""
        return spans_table(self.trace)

    def flows(self) -> Table:
        """Return one row per flow record: phase (s starts, f ends), category (fwdbwd, ac2g, ...), id, pid, tid, ns."""
        return flows_table(self.trace)


def load(path: str | Path, *, options: ReadOptions = DEFAULT) -> TraceFile:
    """Read the trace file at ``path`` with all detail.

    Raises InputError as :func:`profkit.trace.reading.reader.read` does; for a folder it names a trace file in it.
    """
    path = Path(path)
    if path.is_dir():
        found = next((file for file in path.rglob("*.pt.trace.json*") if file.is_file()), None)
        hint = f"Pass one of its trace files, such as {found}." if found else "Pass a .json or .json.gz trace file."
        raise InputError("is a folder, not a trace file", where=path, hint=hint)
    return TraceFile(read(path, detail=Detail.ALL, options=options), options.forward)
