"""What an index holds, in figures."""

from __future__ import annotations

from profkit.comparison.records.index import IndexedNow, IndexEntry, IndexFailure, IndexOverview
from profkit.fleet.columns import TABLES
from profkit.fleet.dataset import Dataset
from profkit.fleet.session import Indexed
from profkit.fleet.sql import Tables

_SHOWN = 100  # failures
_ENTRIES = """
SELECT workload, label, CASE WHEN count(DISTINCT torch) = 1 THEN min(torch) END, count(DISTINCT run), count(*),
  count(DISTINCT host), count(DISTINCT rank), min(date), max(date), median(coalesce(latency_ns, profiled_ns))
FROM rounds GROUP BY workload, label ORDER BY workload, label
"""
_FIELDS = ("workload", "label", "torch", "runs", "rounds", "hosts", "ranks", "first", "last", "wall_ns")


def describe(dataset: Dataset, now: Indexed | None = None) -> IndexOverview:
    """Return what is in an index, after ``now`` was added; raises as :class:`profkit.fleet.sql.Tables` does."""
    with Tables(dataset) as tables:

        def rows(sql: str) -> list[tuple[object, ...]]:
            return list(tables.ask(sql).rows)

        ((traces, size, hosts),) = rows(
            "SELECT count(*), coalesce(sum(bytes), 0)::BIGINT, count(DISTINCT host) FROM rounds"
        )
        failures = rows(f"SELECT path, what FROM failures ORDER BY path LIMIT {_SHOWN}")
        counts = {table: rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}
        days = rows("SELECT coalesce(date, 'unknown'), count(*) FROM rounds GROUP BY 1 ORDER BY 1")
        return IndexOverview(
            index=str(dataset.storage),
            now=None
            if now is None
            else IndexedNow(
                indexed=now.indexed,
                copies=now.copies,
                failed=now.failed,
                unchanged=now.unchanged,
                bytes=now.bytes,
                seconds=now.seconds,
            ),
            traces=int(str(traces)),
            bytes=int(str(size)),
            index_bytes=dataset.bytes,
            hosts=int(str(hosts)),
            rows={table: int(str(count)) for table, count in counts.items()},
            days={str(day): int(str(count)) for day, count in days},
            entries=[IndexEntry(**dict(zip(_FIELDS, row, strict=True))) for row in rows(_ENTRIES)],  # type: ignore[arg-type]  # by name
            failed=int(str(counts["failures"])),
            failures=[IndexFailure(path=str(path), what=str(what)) for path, what in failures],
        )
