"""Gates: whether a comparison keeps a rule, decided by the whole 95% interval.

Each rule is judged by an estimate and an interval that the records hold and the reports show, so a gate cannot
contradict a table. The relative change is 1 / speedup - 1, and the change of a time is the baseline's shown time
multiplied by it; the bounds of both come from those of the speedup. The candidate's time has an interval of its own.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

import msgspec

from profkit import units
from profkit.comparison.gate_rules import GEOMEAN, HINT, NAN, OUTPUTS, WALL_TIMES, Rule
from profkit.comparison.records.diff import Comparison, GateOutcome, GateResult, OperatorChange, WorkloadChange
from profkit.comparison.records.outputs import OutputsChange
from profkit.comparison.records.parts import Judged, TimeInterval
from profkit.errors import UsageError
from profkit.stats.judged import ROUNDS_NEEDED, ROUNDS_NEEDED_DISTURBED
from profkit.stats.tails import too_few

_TAILS = {"p90": 0.9, "p99": 0.99}
_UNRESOLVED = "smaller than the clock resolution"
_NO_LATENCY = "no latency was measured"
_MORE_ROUNDS = "capture more rounds"
_NO_TIME_INTERVAL = (  # of one side: see typical_interval
    f"no interval: it takes {ROUNDS_NEEDED} rounds or more, {ROUNDS_NEEDED_DISTURBED} if other work disturbed any, "
    "none of 0 ns"
)
_WILDCARD = re.compile(r"[*?\[]")


class _Measured(msgspec.Struct, frozen=True):
    """One time on both sides (ns), and its change; None for what is not known."""

    change: Judged
    baseline_ns: float | None = None
    candidate_ns: float | None = None
    candidate_interval: TimeInterval | None = None


class _Place(msgspec.Struct, frozen=True):
    """What a result is about. ``by_pattern``: a wildcard found the operator, so the text has to name it."""

    workload: str | None
    operator: str | None = None
    by_pattern: bool = False
    row: str | None = None

    @property
    def label(self) -> str | None:
        """The workload and the row."""
        return " ".join(filter(None, (self.workload, self.row))) or None

    def result(self, rule: Rule, outcome: GateOutcome, found: str) -> GateResult:
        """Return the outcome of ``rule`` here; ``found`` is what was measured, in words."""
        where = " ".join(filter(None, (self.workload, self.operator if self.by_pattern else None, self.row)))
        text = f"{where}: {found}" if where else found
        return GateResult(rule=rule.text, workload=self.label, operator=self.operator, outcome=outcome, found=text)


def judge(comparison: Comparison, rules: Iterable[Rule]) -> Comparison:
    """Return ``comparison`` with the outcome of each rule for each workload, operator and row that it is about.

    A rule for a time fails if the whole 95% interval is beyond the limit, and passes if the whole interval is within
    it. Otherwise, and without an interval, it is inconclusive. Raises UsageError if a rule names an operator that no
    workload has, or a pattern that matches none.
    """
    results = [result for rule in rules for result in _judge(comparison, rule)]
    return msgspec.structs.replace(comparison, gates=results)


def judge_one(
    rule: Rule,
    workload: str,
    change: Judged,
    baseline_ns: float | None,
    candidate_ns: float | None,
    operator: str | None = None,
) -> GateResult:
    """Return the outcome of a rule about the change of one time (ns), of an operator or of the workload's forward.

    A rule about the candidate's time alone is inconclusive: a single value has no interval.
    """
    place = _Place(workload, operator, by_pattern=operator is not None)
    return _by_interval(rule, place, _Measured(change, baseline_ns, candidate_ns))


def _judge(comparison: Comparison, rule: Rule) -> Iterator[GateResult]:
    if rule.subject == GEOMEAN:
        yield _by_interval(rule, _Place(None), _Measured(comparison.geomean_speedup))
        return
    matches = _matching_operators(comparison, rule) if rule.operator is not None else set()
    for workload in comparison.workloads:
        if rule.outputs_field is not None:
            yield _by_outputs(rule, workload)
        elif rule.operator is None:
            yield _by_wall_time(rule, workload)
        else:
            yield from _by_operators(rule, workload, matches)


def _by_wall_time(rule: Rule, workload: WorkloadChange) -> GateResult:
    """Judge a wall time; ``forward`` means the latency if it was measured, because the profiler adds time."""
    place, latency, forward = _Place(workload.name), workload.latency, workload.forward
    if rule.subject == "profiled" or (rule.subject == "forward" and latency is None):
        measured = _Measured(forward, forward.baseline_ns, forward.candidate_ns, forward.candidate_interval)
    elif latency is None:
        return place.result(rule, "inconclusive", _NO_LATENCY)
    else:
        before, after = latency.baseline, latency.candidate
        found = {"p90": latency.p90, "p99": latency.p99}.get(rule.subject, latency)
        if found is None:
            return place.result(rule, "inconclusive", too_few(_TAILS[rule.subject]))
        if rule.subject == "p90":
            measured = _Measured(found, before.p90_ns, after.p90_ns, after.p90_interval)
        elif rule.subject == "p99":
            measured = _Measured(found, before.p99_ns, after.p99_ns, after.p99_interval)
        else:
            measured = _Measured(latency, before.p50_ns, after.p50_ns, after.p50_interval)
    return _by_interval(rule, place, measured)


def _by_operators(rule: Rule, workload: WorkloadChange, matches: set[str]) -> Iterator[GateResult]:
    """Judge every operator of ``matches`` that the workload has, in the order of its table.

    A workload without the operator that a rule names is inconclusive, because the name says that it is there. One
    without any operator that matches a wildcard has no result: the pattern describes a set, which may be empty here,
    and a set of workloads such as a CNN and a transformer could not keep a rule for convolutions otherwise.
    """
    by_pattern = rule.operator not in matches
    rows: dict[str, list[OperatorChange]] = {}
    for change in workload.operators:
        if change.name in matches:
            rows.setdefault(change.name, []).append(change)
    if not rows and not by_pattern:
        yield _Place(workload.name, rule.operator).result(rule, "inconclusive", "not in this workload")
    for name, changes in rows.items():
        yield from _by_rows(rule, _Place(workload.name, name, by_pattern), changes)


def _by_rows(rule: Rule, place: _Place, changes: Sequence[OperatorChange]) -> Iterator[GateResult]:
    """Judge one operator, row by row if the table is grouped by shape, module or stack.

    An operator on one side only has no ratio, and is inconclusive for a change, named or matched by a wildcard: taking
    its absent side as 0 ns would fail a candidate that calls the same work by another name, and would pass a rule for
    ever whose operator was renamed. A CI job that accepts this leaves out --fail-inconclusive. The candidate's time
    does not need the baseline, so a rule about it is judged if the candidate has the operator. All rows that cannot be
    judged share one result: Python stacks of two versions may have hundreds of them.
    """
    judged = [o for o in changes if o.candidate and (o.baseline or rule.quantity == "time")]
    for o in judged:
        row = _Place(place.workload, place.operator, place.by_pattern, o.place)
        if o.verdict == "replaced" and rule.quantity != "time":
            reason = f"its times are of different work, because {o.paired_with} does a part of it on the other side"
            yield row.result(rule, "inconclusive", reason)
        elif rule.time == "self" and rule.quantity != "time" and o.judged_on == "total":
            reason = "its self times are of different work, because other operators do its work"
            yield row.result(rule, "inconclusive", f"{reason}; use {o.name}.total")
        else:
            yield _by_interval(rule, row, _measured_operator(rule, o))
    rest = [o for o in changes if o not in judged]
    if rest:
        verdicts = ", ".join(sorted({o.verdict or "unknown" for o in rest}))
        found = f"{len(rest)} of {len(changes)} rows are on one side only ({verdicts})"
        if len(changes) == 1:
            found = f"{verdicts}, on one side only"
        yield place.result(rule, "inconclusive", found)


def _measured_operator(rule: Rule, change: OperatorChange) -> _Measured:
    before, after = change.baseline, change.candidate
    if rule.time == "total" or (rule.time is None and change.judged_on == "total"):
        return _Measured(
            change.total,
            before.total_host_ns if before else None,
            after.total_host_ns if after else None,
            after.total_host_interval if after else None,
        )
    return _Measured(
        change,
        before.self_host_ns if before else None,
        after.self_host_ns if after else None,
        after.self_host_interval if after else None,
    )


def _by_interval(rule: Rule, place: _Place, measured: _Measured) -> GateResult:
    """Judge what a rule tests by its 95% interval."""
    if rule.quantity == "time":
        return _by_candidate_time(rule, place, measured)
    change = measured.change
    text_of: Callable[[float], str] = _signed_percent
    scale = 1.0
    if rule.quantity == "change":
        scale, text_of = measured.baseline_ns or 0.0, units.signed_duration
    if change.speedup is None:
        return place.result(rule, "inconclusive", "one side has no time")
    shown = text_of(scale * (1 / change.speedup - 1))
    if change.low is None or change.high is None:
        return place.result(rule, "inconclusive", f"{shown}, {change.why_no_interval}: {_MORE_ROUNDS}")
    bounds = [scale * (1 / bound - 1) for bound in (change.high, change.low)]
    text = f"{shown} [{text_of(bounds[0])}, {text_of(bounds[1])}]"
    outcome = _outcome(rule, bounds)
    if change.verdict == "unresolved":
        return place.result(rule, "inconclusive" if outcome == "failed" else outcome, f"{text}, {_UNRESOLVED}")
    if outcome == "failed" and change.verdict == "inconclusive":
        text += "; the table leaves it inconclusive, because it controls the false discoveries among all its rows"
    return place.result(rule, outcome, text)


def _by_candidate_time(rule: Rule, place: _Place, measured: _Measured) -> GateResult:
    interval = measured.candidate_interval
    shown = units.duration(measured.candidate_ns)
    if interval is None:
        return place.result(rule, "inconclusive", f"{shown}, {_NO_TIME_INTERVAL}")
    bounds = (interval.low_ns, interval.high_ns)
    return place.result(rule, _outcome(rule, bounds), f"{shown} [{', '.join(map(units.duration, bounds))}]")


def _outcome(rule: Rule, bounds: Sequence[float]) -> GateOutcome:
    beyond = [rule.is_beyond(bound) for bound in bounds]
    return "failed" if all(beyond) else "inconclusive" if any(beyond) else "passed"


def _by_outputs(rule: Rule, workload: WorkloadChange) -> GateResult:
    place, outputs = _Place(workload.name), workload.outputs
    value = None if outputs is None or rule.outputs_field is None else getattr(outputs, rule.outputs_field)
    if outputs is not None and rule.subject != NAN:  # NaN can be counted in any outputs
        if not outputs.finite:
            return place.result(rule, "failed", "the outputs of a side contain NaN or infinity")
        if not outputs.same_shapes:
            return place.result(rule, "failed", "the shapes of the outputs differ")
    if value is None:
        return place.result(rule, "inconclusive", _without_value(rule, outputs))
    return place.result(rule, "failed" if rule.is_beyond(value) else "passed", f"{value:.7g}")


def _without_value(rule: Rule, outputs: OutputsChange | None) -> str:
    """Return in words why outputs have no value for a rule."""
    if outputs is None or not outputs.comparable:
        return "no outputs to compare"
    return f"{rule.subject} is of a single output of the shape (samples, classes) only"


def _matching_operators(comparison: Comparison, rule: Rule) -> set[str]:
    """Return the names that a rule is about: its own if an operator has it, else all that match it as a pattern.

    Raises UsageError if no workload has one.
    """
    wanted = rule.operator or ""
    names = {o.name for workload in comparison.workloads for o in workload.operators}
    if wanted in names:
        return {wanted}
    if matches := {name for name in names if fnmatchcase(name, wanted)}:
        return matches
    is_pattern = _WILDCARD.search(wanted) is not None
    near = _similar(wanted, names, is_pattern=is_pattern)
    what = f"an operator that matches {wanted!r}" if is_pattern else repr(wanted)
    raise UsageError(f"gate {rule.text!r}: no workload has {what}", hint=f"Did you mean {near}?" if near else HINT)


def _similar(wanted: str, names: Iterable[str], *, is_pattern: bool) -> str | None:
    """Return a subject that may have been meant; None if no one is similar."""
    if is_pattern:
        return min((name for name in names if fnmatchcase(name.lower(), wanted.lower())), default=None)
    return next(iter(difflib.get_close_matches(wanted, [*names, *WALL_TIMES, GEOMEAN, *OUTPUTS], n=1)), None)


def _signed_percent(change: float) -> str:
    return f"{100 * change:+.1f}%"
