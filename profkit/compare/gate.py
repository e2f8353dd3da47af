"""A rule such as ``forward > 3%`` → passed or failed; it fails on what is shown, never on noise."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from profkit.compare.records.diff import Comparison, Estimate, GateResult, WorkloadChange
from profkit.errors import UsageError

_RULE = re.compile(
    r"\s*(?P<subject>.+?)\s*(?P<sign>[<>]=?)\s*(?P<limit>[-+]?\d+(\.\d+)?([eE][-+]?\d+)?)\s*(?P<unit>%?)\s*"
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_OUTPUTS = {"outputs.cosine": "cosine_similarity", "outputs.error": "max_abs_error"}
_WALLS = ("forward", "profiled", "p50", "p90", "p99", "geomean")
HINT = (
    "Write it like 'forward > 3%', 'p90 > 5%', 'aten::conv2d.self > 10%', 'aten::conv2d.total > 10%', "
    "'geomean > 2%' or 'outputs.cosine < 0.999'."
)
_UNRESOLVED = "less than the clock resolves"


@dataclass(frozen=True, slots=True)
class Rule:
    """``limit`` of a time is its relative change, 0.03 for 3% slower; of the outputs the figure itself."""

    text: str
    subject: str
    sign: str
    limit: float

    def holds(self, value: float) -> bool:
        return _SIGNS[self.sign](value, self.limit)

    @property
    def outputs_field(self) -> str | None:
        return _OUTPUTS.get(self.subject)


def parse_rule(text: str) -> Rule:
    """Parse one rule; raises UsageError where it is none."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no rule for a gate", hint=HINT)
    subject = match["subject"]
    if (subject in _OUTPUTS) == bool(match["unit"]):
        what = "takes a plain number" if subject in _OUTPUTS else "takes a percentage"
        raise UsageError(f"{text!r}: {subject} {what}", hint=HINT)
    limit = float(match["limit"]) / (100 if match["unit"] else 1)
    return Rule(text.strip(), subject, match["sign"], limit)


def judge(comparison: Comparison, rules: Iterable[Rule]) -> Comparison:
    """Return ``comparison`` with what became of each rule, workload by workload.

    A time fails where the whole 95% interval of its change lies beyond the limit; where there is no interval it is
    not judged. Raises UsageError where a rule names an operator that no workload has.
    """
    results = [result for rule in rules for result in _judge(comparison, rule)]
    return msgspec.structs.replace(comparison, gates=results)


def _judge(comparison: Comparison, rule: Rule) -> Iterator[GateResult]:
    if rule.subject == "geomean":
        yield _by_interval(rule, None, comparison.geomean_speedup)
        return
    if rule.subject not in _WALLS and rule.outputs_field is None:
        _require_operator(comparison, rule)
    for workload in comparison.workloads:
        if rule.outputs_field is not None:
            yield _by_outputs(rule, workload)
        elif rule.subject in _WALLS:
            yield _by_wall(rule, workload)
        else:
            yield from _by_operator(rule, workload)


def _by_wall(rule: Rule, workload: WorkloadChange) -> GateResult:
    """Judge a wall time; ``forward`` is the latency where it was measured, for the profiler slows things down."""
    found = workload.forward if rule.subject == "profiled" else workload.inference
    change = Estimate(value=found.speedup, low=found.low, high=found.high)
    if rule.subject in ("p50", "p90", "p99"):
        latency = workload.latency
        if latency is None:
            return GateResult(
                rule=rule.text, workload=workload.name, outcome="not judged", found=f"{workload.name}: no latency"
            )
        change = {"p50": change, "p90": latency.p90, "p99": latency.p99}[rule.subject]
    return _by_interval(rule, workload.name, change, resolved=found.verdict != "unresolved")


def _by_operator(rule: Rule, workload: WorkloadChange) -> Iterator[GateResult]:
    """Judge an operator; by shape, module or stack every row of it."""
    name, figure = _operator(rule)
    found = [o for o in workload.operators if o.name == name]
    both = [o for o in found if o.baseline and o.candidate]
    if not both:
        what = f"{found[0].verdict}, on one side only" if found else "not in this workload"
        yield GateResult(rule=rule.text, workload=workload.name, outcome="not judged", found=f"{workload.name}: {what}")
    for o in both:
        own = Estimate(value=o.speedup, low=o.low, high=o.high)
        change, shown = (own, o.verdict) if figure == "self" else (o.total, o.total_verdict)
        where = f"{workload.name} {o.place}" if o.place else workload.name
        yield _by_interval(rule, where, change, resolved=shown != "unresolved")


def _by_interval(rule: Rule, workload: str | None, speedup: Estimate, *, resolved: bool = True) -> GateResult:
    """Judge a speedup: time changes by its inverse, and the bound nearest to the limit must lie beyond it."""
    where = f"{workload}: " if workload else ""
    outcome: Literal["passed", "failed", "not judged"] = "not judged"
    if speedup.value is None:
        text = "no time on a side"
    elif speedup.low is None or speedup.high is None:
        text = f"{_signed(1 / speedup.value - 1)}, but nothing is known of how rounds differ"
    else:
        bounds = (1 / speedup.high - 1, 1 / speedup.low - 1)
        text = f"{_signed(1 / speedup.value - 1)} [{_signed(bounds[0])}, {_signed(bounds[1])}]"
        outcome = "failed" if resolved and all(map(rule.holds, bounds)) else "passed"
        text += "" if resolved else f", {_UNRESOLVED}"
    return GateResult(rule=rule.text, workload=workload, outcome=outcome, found=where + text)


def _by_outputs(rule: Rule, workload: WorkloadChange) -> GateResult:
    outputs = workload.outputs
    value = None if outputs is None or rule.outputs_field is None else getattr(outputs, rule.outputs_field)
    outcome: Literal["passed", "failed", "not judged"] = "not judged"
    if outputs is not None and not outputs.finite:
        outcome, text = "failed", "a side holds NaN or infinity"
    elif outputs is not None and not outputs.same_shapes:
        outcome, text = "failed", "the outputs have other shapes"
    elif value is None:
        text = "no outputs to compare"
    else:
        outcome, text = "failed" if rule.holds(value) else "passed", f"{value:.7g}"
    return GateResult(rule=rule.text, workload=workload.name, outcome=outcome, found=f"{workload.name}: {text}")


def _operator(rule: Rule) -> tuple[str, str]:
    name, _, figure = rule.subject.rpartition(".")
    return (name, figure) if figure in ("self", "total") and name else (rule.subject, "self")


def _require_operator(comparison: Comparison, rule: Rule) -> None:
    name, _ = _operator(rule)
    names = {o.name for workload in comparison.workloads for o in workload.operators}
    if name not in names:
        near = difflib.get_close_matches(name, [*names, *_WALLS, *_OUTPUTS], n=1)
        hint = f"Did you mean {near[0]}?" if near else HINT
        raise UsageError(f"gate {rule.text!r}: no workload has {name!r}", hint=hint)


def _signed(change: float) -> str:
    return f"{100 * change:+.1f}%"
