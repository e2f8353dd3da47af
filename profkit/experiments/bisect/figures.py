"""What a bisection watches: latency, peak memory, an operator's host time, or the outputs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import msgspec
import numpy as np

from profkit.arrays import Integers
from profkit.capture.stopping import latency_ratio
from profkit.comparison.gate_rules import OUTPUTS
from profkit.comparison.outputs import compare_outputs
from profkit.comparison.records.outputs import OutputsChange
from profkit.comparison.resources import samples
from profkit.errors import InputError, UsageError
from profkit.runs.contents import RunContents, RunData
from profkit.runs.manifest import Manifest
from profkit.runs.measurement import measure
from profkit.runs.pairing import pair_rounds
from profkit.runs.store import Run
from profkit.stats.inference import LogRatios, Rounds, log_ratios
from profkit.trace.options import ReadOptions

HINT = "Examples: latency, peak_memory, 'aten::conv2d.self', 'aten::linear.total', outputs.cosine, outputs.error."
_OPERATOR = re.compile(r"(.+)\.(self|total)", re.DOTALL)
_WORSE_BELOW = ("outputs.cosine", "outputs.top1")  # 1 is best: the change is 1 - value
_Measure = Callable[[Run, Run], LogRatios]


class Figure(msgspec.Struct, frozen=True):
    """A figure of a run. ``measure`` returns how it changed from one run to another, larger for a larger figure.

    The change is the logarithm of a ratio if ``is_ratio``, else a difference that is known without an interval. It
    raises InputError if a run does not have the figure.
    """

    name: str
    is_ratio: bool
    measure: _Measure


def parse_figure(text: str, reading: ReadOptions) -> Figure:
    """Return the figure of a name; raises UsageError, with examples, if there is none."""
    if text == "latency":
        return Figure(text, True, _latency)
    if text == "peak_memory":
        return Figure(text, True, _peak_memory)
    if text in OUTPUTS and text != "outputs.nan":
        return Figure(text, False, _outputs(text, reading))
    match = _OPERATOR.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a figure that can be bisected", hint=HINT)
    return Figure(text, True, _operator(match[1], match[2], reading))


def parse_threshold(text: str | None, figure: Figure) -> float | None:
    """Return the change at which a version counts as bad, in the terms of the figure; None if not given.

    Raises UsageError if it is not a percentage, or for outputs not a number.
    """
    if text is None:
        return None
    number, percent = (text[:-1], True) if text.endswith("%") else (text, False)
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if figure.is_ratio and percent and 0 < value < math.inf:
        return math.log1p(value / 100)
    if not figure.is_ratio and not percent and 0 <= value < math.inf:
        found = 1 - value if figure.name in _WORSE_BELOW else value
        if found >= 0:
            return found
    wanted = "a percentage such as 5%" if figure.is_ratio else "a number such as 0.999, the value at the boundary"
    raise UsageError(f"the threshold of {figure.name} is {wanted}, not {text!r}")


def _latency(before: Run, after: Run) -> LogRatios:
    found = latency_ratio(*_manifests(before, after))
    if found is None:
        raise InputError("has no latency of its forwards", where=after.path)
    return _inverted(found)


def _peak_memory(before: Run, after: Run) -> LogRatios:
    sides = [samples(manifest.rounds, "peak_memory") for manifest in _manifests(before, after)]
    if sides[0] is None or sides[1] is None:
        raise InputError("does not say how much memory each round took", where=after.path)
    return _paired((before, after), (sides[0], sides[1]))


def _operator(name: str, time: str, reading: ReadOptions) -> _Measure:
    def change(before: Run, after: Run) -> LogRatios:
        return _paired((before, after), (_times(before, name, time, reading), _times(after, name, time, reading)))

    return change


def _times(run: Run, name: str, time: str, reading: ReadOptions) -> list[Integers]:
    table = measure(run, ("name",), reading).tables["name"]
    keys = [key for key in table.keys if key[0] == name]
    if not keys:
        raise InputError(f"runs no {name} in its forwards", where=run.path)
    return table.rounds(f"{time}_ns", keys)


def _outputs(name: str, reading: ReadOptions) -> _Measure:
    def change(before: Run, after: Run) -> LogRatios:
        sides = [RunData(run, RunContents(run, reading).outputs) for run in (before, after)]
        found = compare_outputs(*sides)
        value = None if found is None else _value(found, name)
        if value is None:
            reason = found.reason if found is not None and found.reason else "no outputs were kept"
            raise InputError(f"its outputs cannot be compared: {reason}", where=after.path)
        exact = np.zeros(1)
        return LogRatios(np.array([value]), exact, np.full(1, np.inf), np.ones(1))

    return change


def _value(found: OutputsChange, name: str) -> float | None:
    value: float | None = getattr(found, OUTPUTS[name])
    return None if value is None else 1 - value if name in _WORSE_BELOW else value


def shown_value(figure: Figure, change: float) -> float:
    """Return a change as it is shown: a relative change (0.05 is 5% more), or the value of the outputs' figure."""
    if figure.is_ratio:
        return math.expm1(change)
    return 1 - change if figure.name in _WORSE_BELOW else change


def _manifests(before: Run, after: Run) -> tuple[Manifest, Manifest]:
    assert before.manifest is not None
    assert after.manifest is not None
    return before.manifest, after.manifest


def _paired(runs: tuple[Run, Run], sides: tuple[Rounds, Rounds]) -> LogRatios:
    """Return the change from the first to the second, over the rounds that are compared with each other."""
    pairing = pair_rounds(*_manifests(*runs))
    chosen = [
        [side[index] for index in indices]
        for side, indices in zip(sides, (pairing.baseline, pairing.candidate), strict=True)
    ]
    return _inverted(log_ratios(chosen[0], chosen[1], design=pairing.design()))


def _inverted(ratio: LogRatios) -> LogRatios:
    """Return candidate / baseline of what is baseline / candidate."""
    return msgspec.structs.replace(ratio, value=-ratio.value)
