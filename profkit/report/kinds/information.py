"""What a run or trace is: versions, settings, forwards, anomalies, repairs (``info/1``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from profkit import units
from profkit.report.document import Document, Paragraph, Table, cut_note
from profkit.report.kinds.kind import Kind, Selection, choose, require_match
from profkit.report.manifest_facts import facts_table, manifest_facts, median
from profkit.report.page import Page, Section
from profkit.report.ranks_table import ranks_table
from profkit.shortening import LONGEST_NAME, listed, shorten
from profkit.trace.dialect import in_words

if TYPE_CHECKING:
    from profkit.views.information import RunInformation, TraceInformation

CSV_HEADER = (
    "file",
    "torch",
    "dialect",
    "devices",
    "resolution_ns",
    "spans",
    "operators",
    "tracks",
    "rule",
    "forwards",
    "forward_median_ns",
    "anomalies",
    "repairs",
)
ORDERS: dict[str, Callable[[TraceInformation], object]] = {
    "captured": lambda t: 0,  # the order of the run
    "name": lambda t: t.file,
    "spans": lambda t: -t.spans,
    "forward": lambda t: -(median(t.forward_ns) or 0),
}


def _record() -> type[RunInformation]:
    from profkit.views.information import RunInformation

    return RunInformation


def select(information: RunInformation, selection: Selection) -> RunInformation:
    """Return ``information`` with the selected traces; raises UsageError if no file name matches."""
    require_match((t.file for t in information.traces), selection, "traces")
    traces = choose(information.traces, selection, lambda t: t.file, ORDERS)
    return replace(information, traces=traces)


def document(information: RunInformation, selection: Selection, beside: Any = None) -> Document:
    """Lay out the manifest and a table per trace. There is nothing ``beside``."""
    blocks: list[Table | Paragraph] = []
    blocks += [Paragraph(f"Warning: {text}", "bad") for text in information.warnings]
    blocks += [Paragraph(f"Hint: {text}", "dim") for text in information.hints]
    if information.manifest is not None:
        title = f"{information.manifest.label} {information.workload}"
        blocks.append(facts_table(title, manifest_facts(information.manifest)))
    blocks += ranks_table(information.ranks)
    every = select(information, replace(selection, top=0)).traces
    blocks += [facts_table(trace.file, _facts(trace)) for trace in every[: selection.top or None]]
    if note := cut_note(len(every), selection.top, "traces"):
        blocks.append(Paragraph(note, "dim"))
    return Document(information.path, blocks)


def _facts(trace: TraceInformation) -> list[tuple[str, str]]:
    anomalies = ", ".join(f"{n} {name}" for name, n in trace.anomalies.items() if n)
    repairs = ", ".join(f"{n} × {name}" for name, n in trace.repairs.items())
    others = ", ".join(f"{n} {phase}" for phase, n in trace.other_events.items())
    middle = units.duration(median(trace.forward_ns))
    return [
        ("PyTorch", trace.torch or "not written in the file"),
        ("dialect", in_words(trace.dialect)),
        *([("contents", trace.contents)] if trace.contents is not None else []),
        ("clock resolution", units.duration(trace.resolution_ns)),
        ("forwards", f"{len(trace.forward_ns)} by rule {trace.rule}, median {middle}"),
        *([("annotations", _annotations(trace))] if trace.annotations else []),
        ("spans", f"{trace.spans} on {trace.tracks} tracks, {trace.operators} of them operators"),
        ("categories", ", ".join(f"{n} {name or '(none)'}" for name, n in trace.categories.items())),
        ("other records by phase", others or "none"),
        ("anomalies", anomalies or "none"),
        ("repairs", repairs or "none"),
    ]


def _annotations(trace: TraceInformation) -> str:
    return listed([f"{count} {shorten(name, LONGEST_NAME)}" for name, count in trace.annotations.items()], 120, 10)


def csv_rows(information: RunInformation) -> Iterator[Sequence[object]]:
    """Yield one row per trace; times in ns, anomalies and repairs as total counts."""
    for t in information.traces:
        head = [t.file, t.torch, t.dialect, t.devices, t.resolution_ns, t.spans, t.operators, t.tracks, t.rule]
        yield [*head, len(t.forward_ns), median(t.forward_ns), sum(t.anomalies.values()), sum(t.repairs.values())]


def page(information: RunInformation, selection: Selection, beside: Any = None) -> Page:
    """Lay out the same as ``document``, a section for the run and one for its traces."""
    blocks = list(document(information, selection).blocks)
    count = len(information.warnings) + len(information.hints)
    words = [block for block in blocks[:count] if isinstance(block, Paragraph)]
    rest = blocks[count:]
    about_run = (information.manifest is not None) + len(list(ranks_table(information.ranks)))
    sections = [Section("Run", rest[:about_run])] if about_run else []
    return Page(information.path, words, [*sections, Section("Traces", rest[about_run:])])


def _upgrade(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a document whose manifest may be of an older schema."""
    from profkit.runs.manifest import upgrade_run_1

    manifest = fields["manifest"]
    older = manifest is not None and manifest["schema"] == "run/1"
    return {**fields, "manifest": upgrade_run_1(manifest)} if older else fields


KIND = Kind(
    name="info",
    schemas=("info/1",),
    record=_record,
    rows="traces",
    orders=tuple(ORDERS),
    select=select,
    document=document,
    csv_header=CSV_HEADER,
    csv_rows=csv_rows,
    page=page,
    upgrade=_upgrade,
)
