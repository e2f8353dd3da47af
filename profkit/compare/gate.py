"""Gate rules such as ``forward > 3%``: failed, passed or inconclusive, decided by the whole 95% interval."""

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
from profkit.stats.quantiles import too_few

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
_WALL_TIMES = ("forward", "profiled", "p50", "p90", "p99", "geomean")
HINT = (
    "Examples of rules: 'forward > 3%', 'p90 > 5%', 'aten::conv2d.self > 10%', 'aten::conv2d.total > 10%', "
    "'geomean > 2%', 'outputs.cosine < 0.999'."
)
_TAILS = {"p90": 0.9, "p99": 0.99}
_UNRESOLVED = "smaller than the clock resolution"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. It fails if the value of ``subject`` is beyond ``limit`` in the direction of ``sign``.

    For a time, ``limit`` is the relative change (0.03 is 3% slower); for outputs, it is the value itself.
    """

    text: str
    subject: str
    sign: str
    limit: float

    def is_beyond(self, value: float) -> bool:
        """Whether ``value`` is beyond the limit."""
        return _SIGNS[self.sign](value, self.limit)

    @property
    def outputs_field(self) -> str | None:
        """The field of OutputsChange that the rule tests; None for a time."""
        return _OUTPUTS.get(self.subject)


def parse_rule(text: str) -> Rule:
    """Parse one rule; raises UsageError if it is not valid."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a gate rule", hint=HINT)
    subject = match["subject"]
    if (subject in _OUTPUTS) == bool(match["unit"]):
        limit_type = "number" if subject in _OUTPUTS else "percentage"
        raise UsageError(f"{text!r}: the limit of {subject} must be a {limit_type}", hint=HINT)
    limit = float(match["limit"]) / (100 if match["unit"] else 1)
    return Rule(text.strip(), subject, match["sign"], limit)


def judge(comparison: Comparison, rules: Iterable[Rule]) -> Comparison:
    """Return ``comparison`` with the outcome of each rule for each workload.

    A rule for a time fails if the whole 95% interval of the change is beyond the limit, and passes if the whole
    interval is within it. Otherwise, and without an interval, it is inconclusive. Raises UsageError if a rule names an
    operator that no workload has.
    """
    results = [result for rule in rules for result in _judge(comparison, rule)]
    return msgspec.structs.replace(comparison, gates=results)


def _judge(comparison: Comparison, rule: Rule) -> Iterator[GateResult]:
    if rule.subject == "geomean":
        yield _by_interval(rule, None, comparison.geomean_speedup)
        return
    if rule.subject not in _WALL_TIMES and rule.outputs_field is None:
        _require_operator(comparison, rule)
    for workload in comparison.workloads:
        if rule.outputs_field is not None:
            yield _by_outputs(rule, workload)
        elif rule.subject in _WALL_TIMES:
            yield _by_wall_time(rule, workload)
        else:
            yield from _by_operator(rule, workload)


def _by_wall_time(rule: Rule, workload: WorkloadChange) -> GateResult:
    """Judge a wall time; ``forward`` means the latency if it was measured, because the profiler adds time."""
    change: Judged = workload.forward if rule.subject == "profiled" else workload.inference
    if rule.subject in ("p50", "p90", "p99"):
        latency = workload.latency
        if latency is None:
            return _result(rule, workload.name, "inconclusive", "no latency was measured")
        found = {"p50": latency, "p90": latency.p90, "p99": latency.p99}[rule.subject]
        if found is None:
            return _result(rule, workload.name, "inconclusive", too_few(_TAILS[rule.subject]))
        change = found
    return _by_interval(rule, workload.name, change)


def _by_operator(rule: Rule, workload: WorkloadChange) -> Iterator[GateResult]:
    """Judge an operator, row by row if the table is grouped by shape, module or stack."""
    name, time = _operator(rule)
    found = [o for o in workload.operators if o.name == name]
    both = [o for o in found if o.baseline and o.candidate]
    if not both:
        reason = f"{found[0].verdict}, on one side only" if found else "not in this workload"
        yield _result(rule, workload.name, "inconclusive", reason)
    for o in both:
        label = f"{workload.name} {o.place}" if o.place else workload.name
        if o.verdict == "replaced":
            reason = f"its times are of different work, because {o.paired_with} does a part of it on the other side"
            yield _result(rule, label, "inconclusive", reason)
        elif time == "self" and o.judged_on == "total":
            reason = f"its self times are of different work, because other operators do its work; use {name}.total"
            yield _result(rule, label, "inconclusive", reason)
        else:
            yield _by_interval(rule, label, o.total if time == "total" else o)


def _by_interval(rule: Rule, label: str | None, change: Judged) -> GateResult:
    """Judge a speedup; the relative change of the time is 1 / speedup - 1."""
    if change.speedup is None:
        return _result(rule, label, "inconclusive", "one side has no time")
    shown = _signed(1 / change.speedup - 1)
    if change.low is None or change.high is None:
        return _result(rule, label, "inconclusive", f"{shown}, no interval: capture more rounds")
    bounds = (1 / change.high - 1, 1 / change.low - 1)
    text = f"{shown} [{_signed(bounds[0])}, {_signed(bounds[1])}]"
    beyond = [rule.is_beyond(bound) for bound in bounds]
    if change.verdict == "unresolved":
        outcome: GateOutcome = "inconclusive" if any(beyond) else "passed"
        return _result(rule, label, outcome, f"{text}, {_UNRESOLVED}")
    if all(beyond) and change.verdict == "inconclusive":
        text += "; the table leaves it inconclusive, because it controls the false discoveries among all its rows"
    return _result(rule, label, "failed" if all(beyond) else "inconclusive" if any(beyond) else "passed", text)


def _by_outputs(rule: Rule, workload: WorkloadChange) -> GateResult:
    outputs = workload.outputs
    if outputs is not None and not outputs.finite:
        return _result(rule, workload.name, "failed", "the outputs of a side contain NaN or infinity")
    if outputs is not None and not outputs.same_shapes:
        return _result(rule, workload.name, "failed", "the shapes of the outputs differ")
    value = None if outputs is None or rule.outputs_field is None else getattr(outputs, rule.outputs_field)
    if value is None:
        return _result(rule, workload.name, "inconclusive", "no outputs to compare")
    return _result(rule, workload.name, "failed" if rule.is_beyond(value) else "passed", f"{value:.7g}")


def _result(rule: Rule, label: str | None, outcome: GateOutcome, found: str) -> GateResult:
    text = f"{label}: {found}" if label else found
    return GateResult(rule=rule.text, workload=label, outcome=outcome, found=text)


def _operator(rule: Rule) -> tuple[str, str]:
    """Return the operator's name, and the time to test: ``self``, ``total``, or the one that its row is judged on."""
    name, _, time = rule.subject.rpartition(".")
    return (name, time) if time in ("self", "total") and name else (rule.subject, "judged")


def _require_operator(comparison: Comparison, rule: Rule) -> None:
    name, _ = _operator(rule)
    names = {o.name for workload in comparison.workloads for o in workload.operators}
    if name not in names:
        near = difflib.get_close_matches(name, [*names, *_WALL_TIMES, *_OUTPUTS], n=1)
        hint = f"Did you mean {near[0]}?" if near else HINT
        raise UsageError(f"gate {rule.text!r}: no workload has {name!r}", hint=hint)


def _signed(change: float) -> str:
    return f"{100 * change:+.1f}%"
