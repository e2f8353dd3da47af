"""The sequel: eager against torch.compile with frozen weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from examples.study import published
from examples.study.parts import Figure, Row, strong, table, times
from examples.study.plan import SEQUEL_PART
from profkit import units
from profkit.comparison.records.diff import Comparison, WorkloadChange
from profkit.report.kinds.diff.pictures import PICTURES
from profkit.report.page import Block
from profkit.report.sentences import verdict_words
from profkit.runs.store import find_runs
from profkit.views.diff import compare_runs

REGION = "Torch-Compiled Region"


def sequel(logs: Path) -> Figure:
    """Return the comparison of both modes, and what is inside the compiled region."""
    labels = {run.manifest.settings.mode: run.label for run in find_runs(logs / SEQUEL_PART) if run.manifest}
    folder = logs / SEQUEL_PART
    found = compare_runs(folder / labels["eager"], folder / labels["compile"])
    rows = [_change(change) for change in found.workloads]
    columns = ("model", "eager → compiled, with its 95% interval", "median latency", "peak memory", "outputs")
    blocks: list[Block] = [
        strong(f"PyTorch {found.baseline.torch}, BF16 fpmath mode, THP_MEM_ALLOC_ENABLE=1, weights frozen."),
        table("Eager and compiled", columns, rows, words=5),
        PICTURES["speedup"](found),
    ]
    blocks += [strong(text) for change in found.workloads for text in _regions(change)]
    return Figure("The sequel: torch.compile", tuple(_rows(found)), tuple(blocks), tuple(found.warnings))


def _change(change: WorkloadChange) -> tuple[str, ...]:
    latency = change.latency
    medians = times(latency.baseline.p50_ns, latency.candidate.p50_ns) if latency else units.NOTHING
    memory = next((r for r in change.resources if r.name == "peak_memory"), None)
    sizes = f"{units.size(memory.baseline)} → {units.size(memory.candidate)}" if memory else units.NOTHING
    outputs = change.outputs
    similar = units.NOTHING
    if outputs is not None and outputs.cosine_similarity is not None:
        similar = f"cosine similarity {outputs.cosine_similarity:.6f}"
    return change.name, verdict_words(change.inference), medians, sizes, similar


def _regions(change: WorkloadChange) -> Iterator[str]:
    """Say how much of the operators' time no operator below the compiled regions explains."""
    whole = sum(o.candidate.self_host_ns for o in change.operators if o.candidate)
    own = sum(o.candidate.self_host_ns for o in change.operators if o.candidate and o.name.startswith(REGION))
    if whole and own:
        text = f"{change.name}: self time of {REGION} is {units.share(own / whole)} of the operators' host time"
        if change.name == "bert":
            text += f"; published for BERT: {units.share(published.COMPILED_REGION_SHARE)}"
        yield f"{text}. It is the code that the compiler made, which calls no operator."


def _rows(found: Comparison) -> Iterator[Row]:
    for change in found.workloads:
        known = published.COMPILED_MS.get(change.name)
        text = "not published" if known is None else f"{known[0] / known[1]:.2f}x: {known[0]} → {known[1]} ms"
        why = "another processor; the lengths of the texts are not published"
        yield Row(f"sequel: {change.name}, compiled", text, verdict_words(change.inference), why)
