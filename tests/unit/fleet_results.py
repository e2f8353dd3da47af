"""Results about many traces, small and made by hand, for the tests that go over every kind of result."""

from __future__ import annotations

from profkit.comparison.records.history import (
    HistoryOperator,
    HistoryPart,
    HistoryPoint,
    HistoryResult,
    HistorySeries,
    HistoryStep,
)
from profkit.comparison.records.index import IndexEntry, IndexFailure, IndexOverview
from profkit.comparison.records.parts import Judged
from profkit.comparison.records.query import QueryResult
from profkit.comparison.records.ranks import RankEntry, RankJob, RanksResult, Straggler


def overview() -> IndexOverview:
    entries = [
        IndexEntry(
            workload="resnet50",
            label=label,
            torch="2.0.1",
            runs=1,
            rounds=5,
            hosts=2,
            ranks=0,
            first="2026-11-22",
            last="2026-11-23",
            wall_ns=31e6,
        )
        for label in ("2.0", "2.0-frozen")
    ]
    return IndexOverview(
        index="index",
        traces=10,
        bytes=10**6,
        index_bytes=10**5,
        hosts=2,
        rows={"rounds": 10, "operators": 330},
        days={"2026-11-22": 4, "2026-11-23": 6},
        entries=entries,
        failed=1,
        failures=[IndexFailure(path="logs/x.pt.trace.json", what="is not a trace.")],
    )


def answer() -> QueryResult:
    return QueryResult(
        index="index",
        sql="SELECT label, count(*) AS rounds FROM rounds GROUP BY label",
        columns=["label", "rounds"],
        rows=[["2.0", 5], ["2.0-frozen", 5]],
    )


def history() -> HistoryResult:
    judged = Judged(speedup=0.9, low=0.88, high=0.92, p_value=0.0, q_value=0.0, verdict="slower")
    fits = Judged(speedup=1.0, low=0.95, high=1.05, p_value=0.9, q_value=0.9, verdict="inconclusive")
    known = {"speedup": 0.9, "low": 0.88, "high": 0.92, "verdict": "slower"}
    step = HistoryStep(
        date="2026-11-23",
        earliest="2026-11-22",
        latest="2026-11-24",
        chance=1e-9,
        before_ns=30e6,
        after_ns=33e6,
        operators=[HistoryPart(name="aten::conv2d", before_ns=20e6, delta_ns=3e6, **known)],  # type: ignore[arg-type]  # by name
        changed=["PyTorch: 2.0.1 → 2.1.0"],
        **known,  # type: ignore[arg-type]  # by name
    )
    points = [
        HistoryPoint(date=f"2026-11-{20 + k}", wall_ns=30e6 + (k >= 3) * 3e6, rounds=2, versions=["2.0.1"])
        for k in range(6)
    ]
    operator = HistoryOperator(name="aten::conv2d", wall_ns=[20e6] * 6, steps=[step], level_ns=20e6, newest=fits)
    shared = {"kind": "latency", "points": points, "level_ns": 33e6, "spread": 0.01, "operators": [operator]}
    return HistoryResult(
        index="index",
        series=[
            HistorySeries(workload="bert", steps=[], newest=fits, **shared),  # type: ignore[arg-type]  # by name
            HistorySeries(workload="resnet50", steps=[step], newest=judged, **shared),  # type: ignore[arg-type]  # by name
        ],
    )


def ranks() -> RanksResult:
    jobs = [
        RankJob(
            run=f"jobs/{name}",
            workload=name,
            label="nightly",
            date="2026-11-23",
            world_size=2,
            ranks=[RankEntry(rank=k, host=f"host-{k}", traces=1, wall_ns=30e6 + 1e6 * k) for k in range(2)],
            spread=1.02,
            slowest=1,
            operator="aten::mm",
            extra_ns=9e5,
        )
        for name in ("bert", "resnet50")
    ]
    return RanksResult(index="index", jobs=jobs, stragglers=[Straggler(host="host-1", jobs=2, slowest=2)])
