"""Figure 1: the speedup of each model by PyTorch version and fpmath mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from examples.study import published
from examples.study.parts import Figure, Row, counted, strong, table, times
from examples.study.plan import MODELS_PART, NEW, OLD, Plan
from profkit.comparison.records.diff import Comparison, WorkloadChange
from profkit.report.document import Paragraph
from profkit.report.findings import first_finding
from profkit.report.kinds import compare
from profkit.report.page import Block
from profkit.report.sentences import verdict_words
from profkit.views.diff import compare_runs
from profkit.views.many import compare_many


def label(torch: str, fpmath: str = "fp32") -> str:
    """Return the label of a run of the models."""
    return f"{torch}{'' if fpmath == 'fp32' else f'-{fpmath}'}-frozen"


def comparison(logs: Path, before: str, after: str) -> Comparison:
    """Compare two labels of the models."""
    return compare_runs(logs / MODELS_PART / before, logs / MODELS_PART / after)


def figure_1(plan: Plan, logs: Path) -> Figure:
    """Return the speedups of all models: the upgrade in each mode, and BF16 fpmath mode in each version."""
    overview = compare_many([logs / MODELS_PART / label(t, m) for t in plan.torches for m in ("fp32", "bf16")])
    upgrades = [comparison(logs, label(OLD), label(t)) for t in plan.torches[1:]]
    modes = [comparison(logs, label(t), label(t, "bf16")) for t in plan.torches]
    judged = [change.inference for one in (*upgrades, *modes) for change in one.workloads]
    both = comparison(logs, label(OLD), label(NEW, "bf16"))
    blocks: list[Block] = [
        strong(f"{len(judged)} comparisons of one model each: {counted(judged)}."),
        compare.KIND.pictures["heatmap"](overview),
        _changes("Upgrade, in FP32", upgrades),
        _changes("BF16 fpmath mode, in one version", modes),
        table("Whether oneDNN used BF16", ("run", "model", "evidence"), _evidence(modes), words=3),
    ]
    blocks += [Paragraph(text) for one in (*upgrades, *modes) for text in _findings(one)]
    return Figure(
        "Figure 1: speedup of each model",
        (*_upgrade_rows(plan, upgrades[0], both), _mode_row(modes)),
        tuple(blocks),
        tuple(text for one in (*upgrades, *modes) for text in one.warnings),
    )


def _findings(one: Comparison) -> Iterator[str]:
    """Yield the largest finding of each change that is shown."""
    for change in one.workloads:
        text = first_finding(change, change.inference.verdict)
        if text:
            yield f"{one.baseline.label} → {one.candidate.label}, {change.name}: {text}"


def _changes(title: str, comparisons: list[Comparison]) -> Block:
    rows = [
        (
            f"{one.baseline.label} → {one.candidate.label}",
            change.name,
            _times(change),
            verdict_words(change.inference),
        )
        for one in comparisons
        for change in one.workloads
    ]
    return table(title, ("runs", "model", "median latency", "verdict, with its 95% interval"), rows, words=4)


def _times(change: WorkloadChange) -> str:
    if change.latency is None:
        return times(change.forward.baseline_ns, change.forward.candidate_ns)
    return times(change.latency.baseline.p50_ns, change.latency.candidate.p50_ns)


def _evidence(modes: list[Comparison]) -> Iterator[tuple[str, str, str]]:
    for one in modes:
        for change in one.workloads:
            for verdict in change.fpmath:
                yield one.candidate.label, change.name, f"{verdict.outcome}: {'; '.join(verdict.evidence)}"


def _upgrade_rows(plan: Plan, upgrade: Comparison, both: Comparison) -> Iterator[Row]:
    changes = {change.name: change for change in upgrade.workloads}
    for name in plan.models:
        change = changes[name]
        is_image = name.startswith("resnet")
        most = published.RESNET_UP_TO if is_image else published.BERT_UP_TO
        with_bf16 = next(c for c in both.workloads if c.name == name)
        yield Row(
            f"1: {name}, {OLD} → {NEW}",
            f"up to {most}x {'(ResNet-50)' if is_image else '(BERT)'}",
            f"FP32: {verdict_words(change.inference)}; with BF16 in {NEW}: {verdict_words(with_bf16.inference)}",
            "another processor: the study's changes are in kernels for Arm",
        )


def _mode_row(modes: list[Comparison]) -> Row:
    outcomes = [v.outcome for one in modes for change in one.workloads for v in change.fpmath]
    used = sum(outcome == "in effect" for outcome in outcomes)
    judged = [change.inference for one in modes for change in one.workloads]
    return Row(
        "BF16 fpmath mode",
        f"up to {published.BF16_UP_TO:g}x over FP32",
        f"{len(judged)} comparisons: {counted(judged)}; in effect in {used} of {len(outcomes)}",
        "oneDNN uses BF16 where the processor and the primitive have it; see the evidence below figure 1",
    )
