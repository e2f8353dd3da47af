"""What a forward costs beside time: CPU time of all threads, and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from profkit.comparison.latency import judged_fields
from profkit.comparison.records.diff import ResourceChange, ResourceName
from profkit.runs.contents import RunData
from profkit.runs.manifest import Round
from profkit.stats.inference import Rounds, compare_samples, one_row, typical
from profkit.stats.judged import UNPAIRED, Design

_FIGURES: dict[ResourceName, Callable[[Round], Sequence[int]]] = {
    "cpu_time": lambda r: r.counters.cpu_ns,
    "peak_memory": lambda r: [] if r.peak_memory_bytes is None else [r.peak_memory_bytes],
}


def compare_resources(baseline: RunData, candidate: RunData, design: Design = UNPAIRED) -> list[ResourceChange]:
    """Compare what both sides recorded in every round that counts: CPU time (ns) and peak memory (bytes)."""
    found = []
    for name in _FIGURES:
        before, after = (samples(side.chosen_rounds, name) for side in (baseline, candidate))
        if before is None or after is None:
            continue
        (judged,) = compare_samples(before, after, design=design)
        found.append(
            ResourceChange(
                name=name,
                baseline=float(typical(before)[0]),
                candidate=float(typical(after)[0]),
                **judged_fields(judged),
            )
        )
    return found


def typical_resource(rounds: Sequence[Round], name: ResourceName) -> float | None:
    """Return the value that stands for the rounds, as a comparison shows it; None if a round did not record any."""
    recorded = samples(rounds, name)
    return None if recorded is None else float(typical(recorded)[0])


def samples(rounds: Sequence[Round], name: ResourceName) -> Rounds | None:
    """Return the values of each round, as a table of one row; None if a round did not record any."""
    values = [_FIGURES[name](round_) for round_ in rounds]
    return one_row([np.array(v, dtype=np.int64) for v in values]) if values and all(map(len, values)) else None
