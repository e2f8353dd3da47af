"""Tables as CSV for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from profkit.report.escape import CELL, plain
from profkit.report.formats.rounding import rounded


def render_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Render a header and rows; None is an empty field, floats have 12 significant digits."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_field(name) for name in header])
    for row in rows:
        writer.writerow([_field(value) for value in row])
    return stream.getvalue()


# how a spreadsheet recognises a formula, at the start of a field or behind a separator: where the decimal separator is
# a comma, a semicolon separates fields; quotation marks and blanks in front of the sign are dropped
_FORMULA = re.compile(r"""(^|;)(?=["'\s]*[=+\-@\uff1d\uff0b\uff0d\uff20])""")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def _field(value: object) -> object:
    if isinstance(value, str):
        return _text(value)
    return rounded(value) if isinstance(value, float) else value


def _text(text: str) -> str:
    """Return a text with an apostrophe before what a spreadsheet would read as a formula; a number stays one."""
    text = plain(text, CELL)  # line breaks and tabs, which separate too, become escapes
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1'", text)
