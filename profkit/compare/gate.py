"""Rules such as ``forward > 3%``: failed, passed, or inconclusive, by the whole interval and never by noise."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from profkit.compare.records.diff import Comparison, GateOutcome, GateResult, WorkloadChange
from profkit.compare.records.parts import Judged
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
_UNRESOLVED = "smaller than the clock can show"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: it fails if the figure named ``subject`` is beyond ``limit`` in the direction of ``sign``.

    ``limit`` of a time is its relative change, 0.03 for 3% slower; of the outputs it is the figure itself.
    """

    text: str
    subject: str
    sign: str
    limit: float

    def is_met(self, value: float) -> bool:
        """Whether ``value`` is beyond the limit."""
        return _SIGNS[self.sign](value, self.limit)

    @property
    def outputs_field(self) -> str | None:
        """The field of the outputs' change that the rule is about, None for a time."""
        return _OUTPUTS.get(self.subject)


def parse_rule(text: str) -> Rule:
    """Parse one rule; raises UsageError if it is not one."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a gate rule", hint=HINT)
    subject = match["subject"]
    if (subject in _OUTPUTS) == bool(match["unit"]):
        what = "takes a plain number" if subject in _OUTPUTS else "takes a percentage"
        raise UsageError(f"{text!r}: {subject} {what}", hint=HINT)
    limit = float(match["limit"]) / (100 if match["unit"] else 1)
    return Rule(text.strip(), subject, match["sign"], limit)


def judge(comparison: Comparison, rules: Iterable[Rule]) -> Comparison:
    """Return ``comparison`` with the outcome of each rule, workload by workload.

    A time fails if the whole 95% interval of its change is beyond the limit, passes if the whole interval is within it,
    and is inconclusive otherwise, also without an interval. Raises UsageError if a rule names an operator that no
    workload has.
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
            yield _by_wall_time(rule, workload)
        else:
            yield from _by_operator(rule, workload)


def _by_wall_time(rule: Rule, workload: WorkloadChange) -> GateResult:
    """Judge a wall time; ``forward`` is the latency if it was measured, since the profiler adds time."""
    change: Judged = workload.forward if rule.subject == "profiled" else workload.inference
    if rule.subject in ("p50", "p90", "p99"):
        latency = workload.latency
        if latency is None:
            return _result(rule, workload.name, "inconclusive", "no latency was measured")
        change = {"p50": latency, "p90": latency.p90, "p99": latency.p99}[rule.subject]
    return _by_interval(rule, workload.name, change)


def _by_operator(rule: Rule, workload: WorkloadChange) -> Iterator[GateResult]:
    """Judge an operator; every row of it if the table is grouped by shape, module or stack."""
    name, figure = _operator(rule)
    found = [o for o in workload.operators if o.name == name]
    both = [o for o in found if o.baseline and o.candidate]
    if not both:
        what = f"{found[0].verdict}, on one side only" if found else "not in this workload"
        yield _result(rule, workload.name, "inconclusive", what)
    for o in both:
        where = f"{workload.name} {o.place}" if o.place else workload.name
        yield _by_interval(rule, where, o if figure == "self" else o.total)


def _by_interval(rule: Rule, where: str | None, change: Judged) -> GateResult:
    """Judge a speedup: the time changes by its inverse."""
    if change.speedup is None:
        return _result(rule, where, "inconclusive", "no time on a side")
    shown = _signed(1 / change.speedup - 1)
    if change.low is None or change.high is None:
        return _result(rule, where, "inconclusive", f"{shown}, without an interval: capture more rounds")
    bounds = (1 / change.high - 1, 1 / change.low - 1)
    text = f"{shown} [{_signed(bounds[0])}, {_signed(bounds[1])}]"
    beyond = [rule.is_met(bound) for bound in bounds]
    if change.verdict == "unresolved":
        outcome: GateOutcome = "inconclusive" if any(beyond) else "passed"
        return _result(rule, where, outcome, f"{text}, {_UNRESOLVED}")
    return _result(rule, where, "failed" if all(beyond) else "inconclusive" if any(beyond) else "passed", text)


def _by_outputs(rule: Rule, workload: WorkloadChange) -> GateResult:
    outputs = workload.outputs
    if outputs is not None and not outputs.finite:
        return _result(rule, workload.name, "failed", "a side holds NaN or infinity")
    if outputs is not None and not outputs.same_shapes:
        return _result(rule, workload.name, "failed", "the outputs have other shapes")
    value = None if outputs is None or rule.outputs_field is None else getattr(outputs, rule.outputs_field)
    if value is None:
        return _result(rule, workload.name, "inconclusive", "no outputs to compare")
    return _result(rule, workload.name, "failed" if rule.is_met(value) else "passed", f"{value:.7g}")


def _result(rule: Rule, where: str | None, outcome: GateOutcome, found: str) -> GateResult:
    text = f"{where}: {found}" if where else found
    return GateResult(rule=rule.text, workload=where, outcome=outcome, found=text)


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
