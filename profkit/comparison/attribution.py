"""Attribution of the change: the change of the mean forward, split over operators and the time outside them.

The parts are integer nanoseconds and always add up exactly: means are fractions, and what rounding leaves over goes to
the parts that lost most by it (the largest-remainder method, as for seats in a parliament).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from profkit.arrays import Integers
from profkit.comparison.records.diff import Attribution, OperatorShare
from profkit.comparison.records.parts import place_fields
from profkit.runs.measurement import Measurement
from profkit.trace.operators import Key
from profkit.trace.options import By

_K = TypeVar("_K")


def attribute(baseline: Measurement, candidate: Measurement, by: By = "name") -> Attribution:
    """Split the change of the mean forward's wall time over the operators' self host times, largest part first.

    ``outside_operators_ns`` is the rest: Python, the model's own code, gaps. If operators run on several threads at
    once it also subtracts what they did in parallel, and may be negative.
    """
    whole = _mean(candidate.forward_ns) - _mean(baseline.forward_ns)
    before, after = _mean_self(baseline, by), _mean_self(candidate, by)
    zero = Fraction(0)
    parts: dict[Key | None, Fraction] = {
        key: after.get(key, zero) - before.get(key, zero) for key in dict.fromkeys([*before, *after])
    }
    parts[None] = whole - sum(parts.values())
    rounded = round_to_sum(parts)
    outside = rounded.pop(None)
    shares = [
        OperatorShare(name=key[0], **place_fields(by, key), delta_ns=ns)
        for key, ns in rounded.items()
        if key is not None
    ]
    return Attribution(
        forward_delta_ns=outside + sum(share.delta_ns for share in shares),
        baseline_ns=round(_mean(baseline.forward_ns)),
        operators=sorted(shares, key=lambda share: (-abs(share.delta_ns), share.name)),
        outside_operators_ns=outside,
    )


def round_to_sum(parts: Mapping[_K, Fraction]) -> dict[_K, int]:
    """Round every part to a neighbouring integer, so that they add up to the rounded sum of all."""
    down = {key: math.floor(part) for key, part in parts.items()}
    left = round(sum(parts.values())) - sum(down.values())
    largest_remainders = sorted(parts, key=lambda key: down[key] - parts[key])
    for key in largest_remainders[:left]:
        down[key] += 1
    return down


def _mean(rounds: Sequence[Integers]) -> Fraction:
    return Fraction(sum(int(forwards.sum()) for forwards in rounds), sum(len(forwards) for forwards in rounds))


def _mean_self(side: Measurement, by: By) -> dict[Key, Fraction]:
    table = side.tables[by]
    sums = table.self_ns.sum(axis=1).tolist()
    forwards = table.self_ns.shape[1]  # those of the side, or one per round where only medians are known
    return {key: Fraction(ns, forwards) for key, ns in zip(table.keys, sums, strict=True)}
