"""Who is responsible: the change of the mean forward, split over operators and the time outside them.

The parts are integer nanoseconds and add up exactly, always: means are taken as fractions, and what rounding leaves
over goes to the parts that it took most from (the largest remainders, as seats are dealt out).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from profkit.arrays import Integers
from profkit.compare.records.diff import Attribution, OperatorShare
from profkit.runs.measurement import Measurement
from profkit.trace.operators import Key

_K = TypeVar("_K")


def attribute(baseline: Measurement, candidate: Measurement) -> Attribution:
    """Split the change of the mean forward's wall time over the operators' self host times, largest part first.

    ``outside_operators_ns`` is the rest: Python, the model's own code, gaps. Where operators run on several threads
    at once it also takes back what they did side by side, and may be negative.
    """
    whole = _mean(candidate.forward_ns) - _mean(baseline.forward_ns)
    keys = dict.fromkeys([*baseline.operators, *candidate.operators])
    parts: dict[Key | None, Fraction] = {key: _mean_self(candidate, key) - _mean_self(baseline, key) for key in keys}
    parts[None] = whole - sum(parts.values())
    dealt = deal(parts)
    outside = dealt.pop(None)
    shares = [
        OperatorShare(
            name=key[0],
            input_dims=key[1] if baseline.by == "shape" else None,
            module=key[1] if baseline.by == "module" else None,
            stack=key[1] if baseline.by == "stack" else None,
            delta_ns=ns,
        )
        for key, ns in dealt.items()
        if key is not None
    ]
    return Attribution(
        forward_delta_ns=outside + sum(share.delta_ns for share in shares),
        baseline_ns=round(_mean(baseline.forward_ns)),
        operators=sorted(shares, key=lambda share: (-abs(share.delta_ns), share.name)),
        outside_operators_ns=outside,
    )


def deal(parts: Mapping[_K, Fraction]) -> dict[_K, int]:
    """Round every part to an integer next to it, so that they add up to the rounded sum of all."""
    down = {key: math.floor(part) for key, part in parts.items()}
    left = round(sum(parts.values())) - sum(down.values())
    most_taken = sorted(parts, key=lambda key: down[key] - parts[key])
    for key in most_taken[:left]:
        down[key] += 1
    return down


def _mean(rounds: Sequence[Integers]) -> Fraction:
    return Fraction(sum(int(forwards.sum()) for forwards in rounds), sum(len(forwards) for forwards in rounds))


def _mean_self(side: Measurement, key: Key) -> Fraction:
    series = side.operators.get(key)
    return Fraction(0) if series is None else Fraction(int(series.self_ns.sum()), side.forwards)
