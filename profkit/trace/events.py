"""The immutable event columns of one trace, with interned names, and the :class:`Trace` around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from profkit.arrays import Ids, Integers, Mask
from profkit.trace import dialect

Flow = tuple[str, str, int | str, int | str, int | str, int]
"""Phase, category, id, pid, tid and time in ns of one end of a flow."""


@dataclass(frozen=True, slots=True)
class Events:
    """The spans of a trace as columns of equal length ``(events,)``, in file order.

    ``start_ns`` and ``duration_ns`` are integer nanoseconds, the start relative to the trace's ``base_ns``. ``name``,
    ``category``, ``track``, ``shape``, ``call_stack`` and ``module`` are positions in the tables of
    :class:`TraceHead`. ``index`` is the profiler's own event index; ``external_id`` and ``correlation`` tie device
    work to operators and runtime calls. -1 means that the event has none, or that it was not read.
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

    @classmethod
    def of(cls, *, start_ns: Integers, **columns: NDArray[np.signedinteger]) -> Events:
        """Make events of the columns given; every other column is -1 in all rows and takes no memory.

        Raises TypeError for a column that does not exist.
        """
        known = {column.name for column in fields(cls)}
        if unknown := columns.keys() - known:
            raise TypeError(f"no such column: {', '.join(sorted(unknown))}")
        missing = np.broadcast_to(np.int64(-1), len(start_ns))
        return cls(start_ns, *(columns.get(column.name, missing) for column in fields(cls)[1:]))

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def end_ns(self) -> Integers:
        """The end of each span, in ns on the clock of ``start_ns``; int64, shape ``(events,)``."""
        return self.start_ns + self.duration_ns

    @property
    def stored(self) -> dict[str, NDArray[np.signedinteger]]:
        """The columns that take memory, by name: :meth:`of` makes the same events of them."""
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        return {name: column for name, column in columns.items() if name == "start_ns" or column.strides != (0,)}

    def take(self, selection: Mask | Integers) -> Events:
        """Return the selected rows: by a mask of shape ``(events,)``, or by positions."""
        # columns that were not read are zero-stride broadcasts: they are broadcast again, not copied
        return Events.of(**{name: column[selection] for name, column in self.stored.items()})

    def with_track(self, track: Ids) -> Events:
        """Return the same rows with other tracks, one per row."""
        return replace(self, track=track)


@dataclass(frozen=True, kw_only=True)
class TraceHead:
    """Everything that a trace file says besides its spans. The cache stores it as a whole.

    ``names``, ``categories``, ``tracks`` (pid, tid), ``shapes`` (``Input Dims`` as JSON in one spelling),
    ``call_stacks`` and ``hierarchies`` are the tables that the columns of :class:`Events` point into. ``resolution_ns``
    is the step of the clock. ``flow_records`` are read with full detail. ``base_ns`` is the epoch time, in ns, of the
    file's time 0; 0 if its times are epoch times. ``dialect`` names the PyTorch versions, or the other program, that
    write like this, ``devices`` is the number of accelerators that the file names. ``other_events`` counts the records
    that are not spans, by phase. ``metadata`` is written by profkit's worker, and empty in other traces; ``repairs``
    counts the mended defects.
    ``rank`` and ``world_size`` are those of a distributed job, ``host`` is the machine that wrote the file, and
    ``first_external_id`` is the least ``External id`` at the beginning of the file; None if the file does not say.
    """

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
    rank: int | None = None
    world_size: int | None = None
    host: str | None = None
    first_external_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Trace(TraceHead):
    """One trace file in memory: its path (``source``), its spans, and its head."""

    source: str
    events: Events

    @classmethod
    def of(cls, source: str, events: Events, head: TraceHead) -> Trace:
        """Put a trace together from its parts."""
        return cls(source=source, events=events, **{f.name: getattr(head, f.name) for f in fields(TraceHead)})

    @property
    def head(self) -> TraceHead:
        """The head alone."""
        return TraceHead(**{f.name: getattr(self, f.name) for f in fields(TraceHead)})

    def has_category(self, wanted: frozenset[str]) -> Mask:
        """Return the mask of events, shape ``(events,)``, whose category in lower case is in ``wanted``."""
        hits = np.array([name.lower() in wanted for name in self.categories], dtype=bool)
        return hits[self.events.category] if len(hits) else np.zeros(0, dtype=bool)

    def has_name(self, predicate: Mask) -> Mask:
        """Return the mask of events whose name has its flag set in ``predicate``, shape ``(names,)``."""
        return predicate[self.events.name] if len(predicate) else np.zeros(0, dtype=bool)

    def name_mask(self, *, equal: str | None = None, prefix: str | None = None) -> Mask:
        """Return one flag per name, shape ``(names,)``: whether it equals a text, or starts with one."""
        return np.array([n == equal or (prefix is not None and n.startswith(prefix)) for n in self.names], dtype=bool)

    @cached_property
    def operator_events(self) -> Events:
        """The events that are operators: category cpu_op (Operator before 1.12), without the profiler's steps."""
        is_step = self.has_name(self.name_mask(prefix=dialect.STEP_PREFIX))
        return self.events.take((self.has_category(dialect.OPERATOR) | self._legacy_operators()) & ~is_step)

    def _legacy_operators(self) -> Mask:
        legacy = np.array([pid == dialect.LEGACY_HOST_PID for pid, _ in self.tracks], dtype=bool)
        return legacy[self.events.track] if legacy.any() else np.zeros(len(self.events), dtype=bool)

    @property
    def torch_version(self) -> str | None:
        """The PyTorch version that profkit wrote into the file; None in other traces."""
        version = self.metadata.get("torch")
        return version if isinstance(version, str) else None
