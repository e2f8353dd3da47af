"""A result of tuning, whose points are those of real runs."""

from __future__ import annotations

from functools import cache

from profkit.comparison.records.sweep import SweepPoint
from profkit.comparison.records.tune import Part, Recipe, Tried, TuneResult
from profkit.views.sweep import view_sweep
from tests.conftest import ROOT
from tests.unit.load_results import example as load_example

_LABELS = ["2.0", "2.0-frozen", "2.0-bf16", "2.0-bf16-frozen"]


def _tried(factor: str, name: str, options: str, point: SweepPoint, *, promising: bool) -> Tried:
    return Tried(
        factor=factor,
        name=name,
        source="https://docs.pytorch.org",
        options=options,
        point=point,
        outputs_kept=None if point.wall is None else True,
        is_promising=promising,
    )


@cache
def example() -> TuneResult:
    """Three candidates, of which one could not be captured, and two of them together."""
    (workload,) = view_sweep(ROOT / "traces", _LABELS, ["resnet50"]).workloads
    baseline, frozen, bf16, both = workload.points
    failed = SweepPoint(label="2.0-compile", reason="torch.compile needs a C++ compiler")
    return TuneResult(
        workload="resnet50",
        baseline=baseline,
        least_cosine=0.999,
        tried=[
            _tried("mode", "frozen TorchScript", "--mode frozen", frozen, promising=True),
            _tried("mode", "torch.compile", "--mode compile", failed, promising=False),
            _tried("precision", "oneDNN's BF16 fpmath mode", "--fpmath bf16", bf16, promising=True),
        ],
        parts=[
            Part(name="frozen TorchScript", factor="mode", alone=frozen.over_first, beside=both.over_first),
            Part(name="oneDNN's BF16 fpmath mode", factor="precision", alone=bf16.over_first, beside=bf16.over_first),
        ],
        product=1.35,
        together=both,
        recipe=Recipe(
            names=["frozen TorchScript", "huge pages"],
            command="profkit capture resnet50 --torch 2.0 --mode frozen --env THP_MEM_ALLOC_ENABLE=1",
            settings={"mode": "frozen"},
            variables={"THP_MEM_ALLOC_ENABLE": "1"},
            point=frozen,
        ),
        serving=load_example().points[:2],
        warnings=["2.0 resnet50: later rounds are 13.0% slower"],
    )
