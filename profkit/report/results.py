"""Results for scripts and notebooks: what ``profkit.diff`` and ``profkit.compare`` return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from profkit.errors import OutputError, UsageError
from profkit.fetching import local
from profkit.report.findings import findings_of
from profkit.report.formats.fragment import render_fragment
from profkit.report.kinds import kind_of
from profkit.report.kinds.kind import DataTable, Kind, Selection, header_of
from profkit.report.rendering import make_picture, render

if TYPE_CHECKING:
    import pandas

    from profkit.comparison.records.diff import Comparison
    from profkit.comparison.records.findings import Finding
    from profkit.comparison.records.many import Overview
    from profkit.report.page import Picture
    from profkit.trace.options import By, ReadOptions

T = TypeVar("T", bound=msgspec.Struct)
SHOWN = 10  # rows of a table in a notebook


class Image:
    """A picture: a notebook shows it, :meth:`save` writes it."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def __repr__(self) -> str:
        return f"<Image {self._picture.title!r}>"

    def _repr_svg_(self) -> str:
        return self.svg

    @property
    def svg(self) -> str:
        """The picture as SVG."""
        return self._drawn("svg").decode()

    @property
    def png(self) -> bytes:
        """The picture as PNG, 1800 pixels wide."""
        return self._drawn("png")

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a file whose name ends in .svg or .png; raises UsageError for others, OutputError if it fails."""
        from profkit.files import write_whole

        target = Path(path)
        form = target.suffix.lstrip(".").lower()
        if form not in ("svg", "png"):
            raise UsageError(f"cannot write a picture as {target.name!r}", hint="Its name ends in .svg or .png.")
        try:
            write_whole(target, self._drawn(form))
        except OSError as error:
            raise OutputError(f"cannot be written: {error.strerror or error}", where=target) from error
        return target

    def _drawn(self, form: str) -> bytes:
        from profkit.report.formats.pictures import render_picture

        return render_picture(self._picture, form)


class Result(Generic[T]):
    """A result: ``record`` is the immutable value that all reports show, with the fields of the JSON."""

    def __init__(self, kind: Kind, record: T, beside: Mapping[str, T] | None = None) -> None:
        self.record = record
        self._kind = kind
        self._beside = beside

    def __repr__(self) -> str:
        return f"<{self._kind.name}: {next(iter(self.summary().splitlines()), 'empty')}>"

    def _repr_html_(self) -> str:
        return render_fragment(self._kind.document(self.record, Selection(top=SHOWN), self._beside))

    def summary(self) -> str:
        """Return the headline, the findings and what is ruled out as text, one paragraph per line."""
        from profkit.report.document import Table

        lines = []
        for block in self._kind.document(self.record, Selection(), self._beside).blocks:
            if isinstance(block, Table):
                break
            lines.append(block.text)
        return "\n".join(lines)

    @property
    def findings(self) -> list[Finding]:
        """What can explain the change, per workload the largest time first."""
        return findings_of(self.record)

    def figure(self, name: str | None = None) -> Image:
        """Draw a picture, by default the first of the kind; raises UsageError, naming them, for a wrong name."""
        return Image(make_picture(self._kind, self.record, name or next(iter(self._kind.pictures))))

    def to_pandas(self, table: str | None = None) -> pandas.DataFrame:
        """Return a table as a DataFrame; times are in ns, and what is unknown is NaN.

        By default it is the table of the CSV file. Raises UsageError, naming the tables, for a wrong name, and if
        pandas is not installed.
        """
        from profkit.report.frames import data_frame

        own = DataTable(header_of(self._kind, self.record), self._kind.csv_rows)
        tables = {self._kind.rows: own, **self._kind.tables}
        if table is not None and table not in tables:
            raise UsageError(f"a {self._kind.name} has no table {table!r}", hint=f"Tables: {', '.join(tables)}.")
        chosen = tables[table or self._kind.rows]
        return data_frame(chosen.header, chosen.rows(self.record))

    def to_html(self) -> str:
        """Return the page that ``--output FILE.html`` writes."""
        return render(self._kind, self.record, "html", Selection(), self._beside)

    def to_json(self) -> str:
        """Return the JSON that ``--output FILE.json`` writes."""
        return render(self._kind, self.record, "json", Selection(), self._beside)


def diff(
    baseline: str | PathLike[str], candidate: str | PathLike[str], by: By, margin: float, forward: str | None
) -> Result[Comparison]:
    """Compare two sides; see :func:`profkit.diff`."""
    from profkit.views.diff import PendingComparison

    _check(margin, by)
    with PendingComparison.of(local(baseline), local(candidate), by, _options(forward), for_page=True) as pending:
        found = pending.result(margin)
    return Result(kind_of("diff"), found[by], {str(other): found[other] for other in found if other != by})


def compare(
    runs: Sequence[str | PathLike[str]], baseline: str | PathLike[str] | None, margin: float, forward: str | None
) -> Result[Overview]:
    """Compare any number of runs; see :func:`profkit.compare`."""
    from profkit.views.many import compare_many

    _check(margin)
    paths = [local(run) for run in runs]
    first = None if baseline is None else local(baseline)
    return Result(kind_of("compare"), compare_many(paths, first, _options(forward), margin))


def _options(forward: str | None) -> ReadOptions:
    from profkit.trace.options import ReadOptions

    return ReadOptions(forward=forward)


def _check(margin: float, by: str = "name") -> None:
    """Raise UsageError for values that the options of the commands refuse."""
    if not 0 < margin <= 1:
        raise UsageError(f"margin must be above 0 and at most 1, not {margin!r}", hint="0.02 is 2%.")
    if by not in ("name", "shape", "module", "stack"):
        raise UsageError(f"cannot group operators by {by!r}", hint="Give name, shape, module or stack.")
