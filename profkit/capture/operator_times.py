"""How exactly the times of large operators are known, from the traces of the rounds that a capture has so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from profkit.arrays import Integers
from profkit.capture.task import Task
from profkit.errors import InputError
from profkit.runs.pairing import pair_rounds
from profkit.stats.discoveries import LARGE_SHARE
from profkit.stats.inference import log_ratios, typical
from profkit.stats.quantiles import median
from profkit.trace.forward import find_forwards
from profkit.trace.operators import sum_operators
from profkit.trace.reading.reader import read


class _OfRound(NamedTuple):
    """Self host times (ns) of the operators of a round by name, of the shape (forwards,), and the median forward."""

    self_ns: Mapping[str, Integers]
    forward_ns: float


@dataclass(slots=True)
class OperatorTimes:
    """The times of operators in the rounds of tasks; each trace is read once."""

    _rounds: dict[Path, _OfRound | None] = field(default_factory=dict)

    def half_widths(self, first: Task, task: Task, *, without_last: int = 0) -> dict[str, float]:
        """Return half the 95% interval of the log ratio of each large operator's self host time, by name.

        The interval is that of a comparison. Large operators are those that every round has, and that take
        :data:`LARGE_SHARE` of the forward or more on a side. ``without_last`` leaves out that many rounds at the end of
        each side. Nothing is returned if a trace cannot be read.
        """
        pairing = pair_rounds(first.manifest, task.manifest)
        sides = []
        for of_task, chosen in ((first, pairing.baseline), (task, pairing.candidate)):
            rounds = [self._of(of_task, index) for index in chosen[: len(chosen) - without_last]]
            sides.append([of_round for of_round in rounds if of_round is not None])
            if not rounds or len(sides[-1]) < len(rounds):
                return {}
        names = _large(sides)
        if not names:
            return {}
        before, after = ([_table(of_round, names) for of_round in side] for side in sides)
        return dict(zip(names, log_ratios(before, after, design=pairing.design()).half_width.tolist(), strict=True))

    def _of(self, task: Task, index: int) -> _OfRound | None:
        """Return the times of a round; None if its trace cannot be read, or has no forward."""
        name = task.manifest.rounds[index].trace
        staged = task.filing.staging / name
        path = staged if staged.exists() else task.filing.folder / name
        if path not in self._rounds:
            self._rounds[path] = _read(path)
        return self._rounds[path]


def _read(path: Path) -> _OfRound | None:
    try:
        trace = read(path)
        forwards = find_forwards(trace)
        samples = sum_operators(trace, forwards)
    except InputError:
        return None
    if not len(forwards):
        return None
    self_ns = {name: times for (name, _), times in zip(samples.keys, samples.self_ns.T, strict=True)}
    return _OfRound(self_ns, max(1.0, float(median(forwards.wall_ns))))


def _large(sides: Sequence[Sequence[_OfRound]]) -> list[str]:
    """Return the names of the large operators, in the order of the first round."""
    every = [of_round for side in sides for of_round in side]
    names = [name for name in every[0].self_ns if all(name in of_round.self_ns for of_round in every)]
    if not names:
        return []
    shares = [
        typical([_table(of_round, names) for of_round in side]) / np.median([of_round.forward_ns for of_round in side])
        for side in sides
    ]
    return [name for name, share in zip(names, np.maximum(*shares).tolist(), strict=True) if share >= LARGE_SHARE]


def _table(of_round: _OfRound, names: Sequence[str]) -> Integers:
    return np.stack([of_round.self_ns[name] for name in names])
