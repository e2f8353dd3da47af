"""Tables as CSV for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from profkit.report.escape import cell
from profkit.report.formats.rounding import rounded


def render_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Render a header and rows; None is an empty field, floats have 12 significant digits."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_field(value) for value in row])
    return stream.getvalue()


def _field(value: object) -> object:
    if isinstance(value, str):
        return cell(value)
    return rounded(value) if isinstance(value, float) else value
