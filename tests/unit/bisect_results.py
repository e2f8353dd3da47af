"""A result of a bisection, of which the step is a real one."""

from __future__ import annotations

from functools import cache

from profkit.comparison.records.bisect import BisectResult, BisectTest
from profkit.runs.store import one_run
from profkit.stats.judged import Judged
from profkit.views.steps import explained_step
from tests.conftest import ROOT


@cache
def example() -> BisectResult:
    """Five versions, of which one could not be tested; the first bad one reorders weights in every forward."""
    runs = [one_run(ROOT / "traces" / label) for label in ("2.0-frozen", "2.15-frozen")]
    return BisectResult(
        subject="resnet50",
        figure="latency",
        unit="ratio",
        versions=["2.0-frozen", "2.1-frozen", "2.2-frozen", "2.14-frozen", "2.15-frozen"],
        boundary=0.085,
        confidence=0.9975,
        error=0.05,
        tests=[
            BisectTest(label="2.15-frozen", decision="bad", rounds=4, value=0.179, low=0.12, high=0.24),
            BisectTest(label="2.2-frozen", decision="good", rounds=6, value=0.004, low=-0.03, high=0.04),
            BisectTest(label="2.14-frozen", decision="skipped", reason="torch 2.14 cannot be installed"),
        ],
        outcome="found",
        last_good="2.2-frozen",
        first_bad="2.15-frozen",
        between=["2.14-frozen"],
        step=explained_step(*runs, Judged(speedup=0.848, low=0.824, high=0.873, q_value=0.001, verdict="slower")),
        warnings=["the two versions of the step were not captured together"],
    )
