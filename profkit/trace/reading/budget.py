"""Keeps the memory of one trace within its limit: by what was decoded, not by the size of the file."""

from __future__ import annotations

from profkit.trace.reading.decode import Columns

# Bytes per span at the peak of the work on a trace, measured with spans of one name (tests/benchmarks/memory.py): its
# columns while they are joined, those of the operators, their nesting, and the sums over them; per column that some
# detail adds; per entry of a table beside its text (an entry is in a tuple, two dictionaries and a list); per flow.
SPAN_BYTES = 210
EXTRA_BYTES = 24
ENTRY_BYTES = 500
FLOW_BYTES = 450


class TooLargeError(Exception):
    """The columns of the file would take more than the memory limit."""


class Budget:
    """The memory that one trace may take, in bytes."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def spend(self, columns: Columns) -> None:
        """Take what these columns need, now and in later steps; raise TooLargeError if that is more than is left."""
        self._left -= _bytes_of(columns)
        if self._left < 0:
            raise TooLargeError


def _bytes_of(columns: Columns) -> int:
    found = len(columns.start) * (SPAN_BYTES + EXTRA_BYTES * len(columns.extra))
    found += len(columns.signatures) * ENTRY_BYTES + sum(len(signature[2]) for signature in columns.signatures)
    for table in columns.tables.values():
        found += len(table) * ENTRY_BYTES + sum(map(len, table))
    found += len(columns.head.get("flows", ())) * FLOW_BYTES
    return found + (0 if columns.marks is None else _bytes_of(columns.marks))
