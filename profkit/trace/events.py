"""The immutable event columns of one trace, names interned, and the :class:`Trace` around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from profkit.arrays import Ids, Integers, Mask
from profkit.trace import dialect

if TYPE_CHECKING:
    from profkit.trace.options import By
    from profkit.trace.tables import Table

Flow = tuple[str, str, int | str, int | str, int | str, int]
"""Phase, category, id, pid, tid and time in ns of one end of a flow."""


@dataclass(frozen=True, slots=True)
class Events:
    """The spans of a trace as columns of equal length, in file order.

    ``start_ns`` and ``duration_ns`` are integer nanoseconds, the start since the trace's epoch. ``name``,
    ``category``, ``track``, ``shape``, ``call_stack`` and ``module`` are positions in the tables of the
    :class:`Trace`. ``index`` is the profiler's own event index, ``external_id`` and ``correlation`` tie device work
    to operators and runtime calls. -1 stands where an event has none, or where it was not asked for.
    """

    start_ns: Integers
    duration_ns: Integers
    name: Ids
    category: Ids
    track: Ids
    index: Integers
    shape: Integers
    external_id: Integers
    correlation: Integers
    call_stack: Integers
    module: Integers

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def end_ns(self) -> Integers:
        return self.start_ns + self.duration_ns

    def take(self, selection: Mask | Integers) -> Events:
        """Return the selected rows, by mask or by position."""
        start_ns = self.start_ns[selection]
        columns = (getattr(self, column.name) for column in fields(self)[1:])
        # a column that repeats one value, of what was not asked for, takes no memory, and goes on so
        return Events(
            start_ns,
            *(np.broadcast_to(c[:1], len(start_ns)) if c.strides == (0,) and len(c) else c[selection] for c in columns),
        )

    def with_track(self, track: Ids) -> Events:
        """Return the same rows on other tracks."""
        return replace(self, track=track)


@dataclass(frozen=True)
class Trace:
    """One trace file: its spans and what the file says of itself.

    ``names``, ``categories``, ``tracks`` (pid, tid), ``shapes`` (JSON text of ``Input Dims``), ``call_stacks`` and
    ``hierarchies`` are what the columns of ``events`` point into; ``flow_records`` are read with full detail.
    ``other_events`` counts the records that are no spans, by phase. ``dialect`` names the PyTorch versions that write
    like this, ``devices`` is the number of accelerators that the file names. ``metadata`` is what profkit's worker
    wrote into the file, empty for other people's; ``repairs`` counts the defects that were mended.
    """

    source: str
    events: Events
    names: tuple[str, ...]
    categories: tuple[str, ...]
    tracks: tuple[tuple[int | str, int | str], ...]
    shapes: tuple[str, ...]
    resolution_ns: int
    call_stacks: tuple[str, ...] = ()
    hierarchies: tuple[str, ...] = ()
    flow_records: tuple[Flow, ...] = ()
    base_ns: int = 0
    dialect: str = dialect.UNKNOWN
    devices: int = 0
    other_events: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    repairs: Mapping[str, int] = field(default_factory=dict)

    def has_category(self, wanted: frozenset[str]) -> Mask:
        """Return the mask of events whose category, lower-cased, is one of ``wanted``."""
        hits = np.array([name.lower() in wanted for name in self.categories], dtype=bool)
        return hits[self.events.category] if len(hits) else np.zeros(0, dtype=bool)

    def has_name(self, predicate: Mask) -> Mask:
        """Return the mask of events for whose name ``predicate`` (one flag per name) holds."""
        return predicate[self.events.name] if len(predicate) else np.zeros(0, dtype=bool)

    def name_mask(self, *, equal: str | None = None, prefix: str | None = None) -> Mask:
        """Return one flag per name: equal to a text, or starting with one."""
        return np.array([n == equal or (prefix is not None and n.startswith(prefix)) for n in self.names], dtype=bool)

    @cached_property
    def operator_events(self) -> Events:
        """The events that are operators: category cpu_op (Operator before 1.12), steps left out."""
        is_step = self.has_name(self.name_mask(prefix=dialect.STEP_PREFIX))
        return self.events.take((self.has_category(dialect.OPERATOR) | self._legacy_operators()) & ~is_step)

    def _legacy_operators(self) -> Mask:
        legacy = np.array([pid == dialect.LEGACY_HOST_PID for pid, _ in self.tracks], dtype=bool)
        return legacy[self.events.track] if legacy.any() else np.zeros(len(self.events), dtype=bool)

    def operators(self, by: By = "name", *, per_forward: bool = False) -> Table:
        """Return the operator table: one row per operator, or per operator and input shape, module or stack.

        Columns: name (and what ``by`` says), calls, self and total host time, self and total device time in ns; over
        the whole file, or with ``per_forward`` one row per forward and operator that it calls.
        """
        from profkit.trace.tables import operators_table

        return operators_table(self, by, per_forward)

    def forwards(self) -> Table:
        """Return the forwards: the rule they were found by, start since the epoch of the trace and wall time in ns."""
        from profkit.trace.tables import forwards_table

        return forwards_table(self)

    def spans(self) -> Table:
        """Return every span: name, category, pid, tid, start and duration in ns, index, ids and input shapes."""
        from profkit.trace.tables import spans_table

        return spans_table(self)

    def flows(self) -> Table:
        """Return the flow records: phase (s starts, f ends), category (fwdbwd, ac2g, ...), id, pid, tid and ns."""
        from profkit.trace.tables import flows_table

        return flows_table(self)

    @property
    def torch_version(self) -> str | None:
        """The PyTorch version that profkit wrote into the file; None in other people's traces."""
        version = self.metadata.get("torch")
        return version if isinstance(version, str) else None
