"""What changed between two runs (``diff/2``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profkit.report.kinds.diff.document import document
from profkit.report.kinds.diff.page import page
from profkit.report.kinds.diff.pictures import PICTURES
from profkit.report.kinds.diff.rows import CSV_HEADER, ORDERS, csv_rows, select
from profkit.report.kinds.diff.tables import TABLES
from profkit.report.kinds.kind import Kind

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison


def _upgrade(document: dict[str, Any]) -> dict[str, Any]:
    from profkit.comparison.records.upgrade import upgrade_diff

    return upgrade_diff(document) if document["schema"] == "diff/1" else document


def _record() -> type[Comparison]:
    from profkit.comparison.records.diff import Comparison

    return Comparison


KIND = Kind(
    name="diff",
    schemas=("diff/2", "diff/1"),
    record=_record,
    rows="operators",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures=PICTURES,
    tables=TABLES,
    upgrade=_upgrade,
)
