"""A result of repro."""

from __future__ import annotations

from profkit.comparison.records.repro import ReproResult, ReproSide
from profkit.stats.judged import Judged


def example() -> ReproResult:
    """A convolution that is slower alone too."""
    sides = [
        ReproSide(
            label=label,
            torch=torch,
            onednn=onednn,
            context_ns=context,
            alone_ns=alone,
            variables={"LRU_CACHE_CAPACITY": "1024"},
            benchdnn=["benchdnn --mode=P --conv --dir=FWD_I --dt=f32 mb1_ic3oc64_ih224"],
        )
        for label, torch, onednn, context, alone in (
            ("2.7-frozen", "2.7.1", "3.7.1", 6.4e5, 6.1e5),
            ("2.8-frozen", "2.8.0", "3.8.1", 9.3e5, 9.0e5),
        )
    ]
    slower = Judged(speedup=0.68, low=0.66, high=0.7, p_value=1e-6, q_value=1e-6, verdict="slower")
    return ReproResult(
        operator="aten::conv2d",
        shape="[1,3,224,224], [64,3,7,7]",
        types=["float", "float", "", "ScalarList"],
        values=["", "", "", "[2, 2]"],
        threads=None,
        host="Intel Xeon, 2 cores",
        rounds=7,
        sides=sides,
        context=slower,
        alone=slower,
        outcome="reproduces",
        script="repro/operator_alone.py",
        warnings=["a warning"],
    )
