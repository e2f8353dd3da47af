"""The search for a change through versions (``bisect/1``): the first bad version, the tests, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Cell, Column, Document, Paragraph, Table, Tone, cut_note, plural
from profkit.report.figures.bisection import change_text, tests_drawn
from profkit.report.findings import finding_blocks, paragraphs_of
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.page import Block, Page, Picture, Section
from profkit.report.sentences import verdict_words

if TYPE_CHECKING:
    from profkit.comparison.records.bisect import BisectResult, BisectTest

CSV_HEADER = ("order", "label", "decision", "rounds", "value", "low", "high", "reason")
ORDERS = ("tested", "name")
_TONES: dict[str, Tone] = {"good": "good", "bad": "bad", "undecided": "dim", "skipped": "dim"}


def _record() -> type[BisectResult]:
    from profkit.comparison.records.bisect import BisectResult

    return BisectResult


def select(found: BisectResult, selection: Selection) -> BisectResult:
    """Return ``found`` with the selected tests, by label; raises UsageError if none matches."""
    require_match([test.label for test in found.tests], selection, "tests")
    orders = {"tested": lambda test: 0, "name": lambda test: test.label}
    return replace(found, tests=choose(found.tests, selection, lambda test: test.label, orders))


def document(found: BisectResult, selection: Selection, beside: Any = None) -> Document:
    """Lay out the answer, the selected tests, and what changed at the step. There is nothing ``beside``."""
    shown = select(found, selection)
    cut = cut_note(len(select(found, replace(selection, top=0)).tests), selection.top, "tests")
    blocks: list[Table | Paragraph] = [Paragraph(text, "strong") for text in answers(found)]
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in found.warnings]
    blocks.append(_tests(shown, cut))
    if found.step is not None:
        blocks += [*_parts(found), *paragraphs_of(finding_blocks([("", found.step)]))]
    return Document(f"{found.subject}: {found.versions[0]} to {found.versions[-1]}", blocks)


def answers(found: BisectResult) -> Iterator[str]:
    """Yield what the search found, and how sure that is."""
    ends = f"{found.versions[0]} and {found.versions[-1]}"
    if found.outcome == "nothing":
        what = "succeeds under both" if found.unit == "status" else f"shows no change of {found.figure} between"
        yield f"Nothing to find: {found.subject} {what} {ends}."
        return
    if found.last_good is None or found.first_bad is None:
        yield f"Undecided: the budget was not enough to tell whether {found.figure} differs between {ends}."
        return
    if found.outcome == "undecided":
        yield (
            f"Undecided: the change of {found.figure} came after {found.last_good} and not after {found.first_bad}. "
            f"{found.tests[-1].label} lies too close to the boundary of {change_text(found, found.boundary)} to decide "
            "within the budget."
        )
        return
    yield f"First bad version: {found.first_bad}. Last good version: {found.last_good}. Figure: {found.figure}."
    if found.between:
        yield f"Not tested in between: {', '.join(found.between)}. The change may have come with one of them."
    if found.outcome == "not monotonic":
        yield (
            f"The change is not one step: {found.first_bad} is the first to cross the boundary of "
            f"{change_text(found, found.boundary)}, and there are other changes in the range. profkit sweep shows all."
        )
    if found.step is not None:
        yield (
            f"Latency, {found.step.before} → {found.step.after}: {verdict_words(found.step)} "
            f"({units.signed_duration(found.step.delta_ns)})."
        )
    if found.unit == "ratio":
        yield f"The probability that this search names a wrong version is at most {100 * found.error:.0f}%."


def _tests(found: BisectResult, cut: str = "") -> Table:
    is_status = found.unit == "status"
    columns = [Column("version", right=False, flexible=True)]
    if not is_status:
        columns += [Column("rounds"), Column("change"), Column(_interval_name(found), right=False)]
    columns += [Column("reason", right=False, flexible=True), Column("it is", right=False, verdict=True)]
    rows = [_test(found, test) for test in found.tests]
    note = "" if is_status or found.boundary is None else f"Boundary: {change_text(found, found.boundary)}."
    against = "" if is_status else f", against {found.versions[0]}"
    return Table(f"{found.figure}{against}", columns, rows, "\n".join(filter(None, (cut, note))))


def _interval_name(found: BisectResult) -> str:
    return f"{100 * found.confidence:.2f}% interval" if found.unit == "ratio" else "interval"


def _test(found: BisectResult, test: BisectTest) -> list[Cell]:
    cells = [Cell(test.label)]
    if found.unit != "status":
        has_interval = test.low is not None and test.high is not None and test.low != test.high
        interval = f"[{change_text(found, test.low)}, {change_text(found, test.high)}]" if has_interval else ""
        rounds = str(test.rounds) if test.rounds else ""
        cells += [Cell(rounds), Cell(change_text(found, test.value)), Cell(interval)]
    return [*cells, Cell(test.reason or "", "dim"), Cell(test.decision, _TONES[test.decision])]


def _parts(found: BisectResult) -> Iterator[Table]:
    step = found.step
    if step is not None and step.operators:
        rows = [[Cell(part.name), Cell(units.signed_duration(part.delta_ns))] for part in step.operators]
        columns = [Column("operator", right=False, flexible=True), Column("change")]
        note = "Self host times per forward, under the profiler; the largest changes."
        yield Table(f"{step.before} → {step.after}: operators", columns, rows, note)


def csv_rows(found: BisectResult) -> Iterator[Sequence[object]]:
    """Yield one row per test; changes as in the JSON."""
    for number, test in enumerate(found.tests, 1):
        yield [number, test.label, test.decision, test.rounds, test.value, test.low, test.high, test.reason]


def page(found: BisectResult, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``, with the picture."""
    shown = select(found, selection)
    words = [Paragraph(text, "strong") for text in answers(found)]
    words += [Paragraph(f"Warning: {text}", "bad") for text in found.warnings]
    blocks: list[Block] = [_tests(shown)] if found.unit == "status" else [_picture(shown), _tests(shown)]
    sections = [Section(plural(len(shown.tests), "test"), blocks)]
    if found.step is not None:
        evidence: list[Block] = [*_parts(found), *finding_blocks([("", found.step)])]
        if evidence:
            sections.append(Section("What changed", evidence))
    return Page(f"{found.subject}: {found.versions[0]} to {found.versions[-1]}", words, sections)


def _picture(found: BisectResult) -> Picture:
    note = "Points: change from the good version, with its interval. Dotted: the boundary between good and bad."
    return Picture(f"{found.figure} by version", tests_drawn(found), note)


KIND = Kind(
    name="bisect",
    schemas=("bisect/1",),
    record=_record,
    rows="tests",
    orders=ORDERS,
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    pictures={"changes": _picture},
)
