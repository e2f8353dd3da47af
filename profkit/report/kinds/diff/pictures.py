"""The pictures of a comparison that ``--plot`` writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from profkit.errors import UsageError
from profkit.report.figures.call_tree import call_tree
from profkit.report.figures.latency import latency
from profkit.report.figures.primitives import primitives
from profkit.report.figures.speedups import speedups
from profkit.report.figures.waterfall import waterfall
from profkit.report.page import Figure, Picture
from profkit.report.sentences import attribution_title

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison, WorkloadChange


def _speedup(comparison: Comparison) -> Picture:
    return Picture(f"Speedup, {_sides(comparison)}", speedups(comparison))


def _of_one_workload(
    name: str, title: str | Callable[[WorkloadChange], str], draw: Callable[[WorkloadChange], Figure]
) -> Callable[[Comparison], Picture]:
    """Return a function that draws the only workload; it raises UsageError if there are several."""

    def picture(comparison: Comparison) -> Picture:
        if len(comparison.workloads) > 1:
            names = ", ".join(workload.name for workload in comparison.workloads)
            hint = "Name the folders of one workload, such as logs/1.13/resnet50 logs/2.0/resnet50."
            raise UsageError(f"a {name} picture shows one workload; these are {names}", hint=hint)
        (workload,) = comparison.workloads
        what = title if isinstance(title, str) else title(workload).capitalize()
        return Picture(f"{what}: {workload.name}, {_sides(comparison)}", draw(workload))

    return picture


def _sides(comparison: Comparison) -> str:
    return f"{comparison.baseline.label} → {comparison.candidate.label}"


PICTURES: dict[str, Callable[[Comparison], Picture]] = {
    "speedup": _speedup,
    "waterfall": _of_one_workload("waterfall", attribution_title, waterfall),
    "latency": _of_one_workload("latency", "Latency distributions", latency),
    "icicle": _of_one_workload("icicle", "Call tree", call_tree),
    "primitives": _of_one_workload("primitives", "Primitives before and after", primitives),
}
