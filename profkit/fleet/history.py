"""A series of days per workload: where its level changes, what did it, and whether the newest day fits.

The day is the unit of evidence. A step has to stand out from the scatter of the days around it. The newest day is
compared with the level before it by that scatter; the two days before it are left out of that level, so that a change
is still reported while it is too young to be a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from profkit.arrays import Floats
from profkit.comparison.gate import judge_one
from profkit.comparison.gate_rules import Rule
from profkit.comparison.latency import judged_fields
from profkit.comparison.records.diff import GateResult
from profkit.comparison.records.history import (
    HistoryOperator,
    HistoryPart,
    HistoryPoint,
    HistoryResult,
    HistorySeries,
    HistoryStep,
)
from profkit.comparison.records.parts import Judged
from profkit.errors import UsageError
from profkit.fleet.days import Day, Days, Told, by_name, walls
from profkit.fleet.sql import Tables
from profkit.shortening import listed
from profkit.stats.changepoint import FEWEST, Step, against_level, change_between, find_steps
from profkit.stats.discoveries import control_discoveries
from profkit.stats.inference import LEVEL, LogRatios, join, judge

EXPLAINING = 5  # operators that are named for a step
FEWEST_DAYS = 5  # of a level that a new day is judged by
_YOUNG = FEWEST - 1  # days of a change that is not a step yet


def follow(
    tables: Tables, index: str, where: str, told: Told | None, margin: float, rules: Iterable[Rule] = ()
) -> HistoryResult:
    """Return the series of every workload that meets the condition ``where``, and the outcome of each rule.

    Raises UsageError if the condition is wrong, nothing meets it, or a rule is about what no series has.
    """
    days = Days(tables, where, told)
    if not days.series:
        hint = "profkit query 'SELECT DISTINCT workload, label, date FROM rounds' shows what there is."
        raise UsageError("no round of the index meets the condition", where=where, hint=hint)
    series = [_series(days, workload, group, found, margin) for (workload, group), found in days.series.items()]
    series = _judged_together(series, margin)
    result = HistoryResult(index=index, margin=margin, series=series, warnings=list(_warnings(days)))
    return replace(result, gates=[gate for rule in rules for gate in _gates(rule, series)])


def _series(days: Days, workload: str, group: str | None, found: list[Day], margin: float) -> HistorySeries:
    kind, wall_ns = walls(found)
    operators = days.operators(workload, group, found)
    steps = _shown_steps(wall_ns, margin)
    level = _level(wall_ns, steps)
    return HistorySeries(
        workload=workload,
        group=group,
        kind=kind,
        points=[
            HistoryPoint(date=day.date, wall_ns=ns, rounds=day.rounds, versions=list(day.versions))
            for day, ns in zip(found, wall_ns.tolist(), strict=True)
        ],
        steps=[_step(found, wall_ns, steps, number, operators, margin) for number in range(len(steps))],
        spread=float(np.log(level).std(ddof=1)) if len(level) > 1 else None,
        level_ns=float(np.exp(np.log(level).mean())) if len(level) else None,
        operators=[_operator(name, ns, found, margin) for name, ns in operators.items()],
    )


def _shown_steps(wall_ns: Floats, margin: float) -> list[Step]:
    """Return the steps that are shown to be faster or slower; the levels beside another one are one level."""
    steps = find_steps(np.log(wall_ns))
    while steps:
        sides = [_stretches(steps, number, len(wall_ns)) for number in range(len(steps))]
        ratios = [change_between(wall_ns[before], wall_ns[after]) for before, after in sides]
        small = [number for number, judged in enumerate(judge(join(ratios), margin=margin)) if not judged.is_shown]
        if not small:
            break
        least = min(small, key=lambda number: abs(float(ratios[number].value[0])))
        steps = [step for number, step in enumerate(steps) if number != least]
    return steps


def _level(wall_ns: Floats, steps: Sequence[Step]) -> Floats:
    """Return the days that the newest one is judged by; without days of a young change if enough others are left."""
    begin = steps[-1].at if steps else 0
    known = wall_ns[begin:-1]
    settled = known[: len(known) - _YOUNG]
    return settled if len(settled) >= FEWEST_DAYS else known


def _newest(wall_ns: Floats, steps: Sequence[Step]) -> LogRatios | None:
    """Return the newest day against the level before it; None if that has too few days."""
    level = _level(wall_ns, steps)
    if len(level) < FEWEST_DAYS or not (level > 0).all() or not wall_ns[-1] > 0:
        return None
    return against_level(level, float(wall_ns[-1]))


def _stretches(steps: Sequence[Step], number: int, count: int) -> tuple[slice, slice]:
    edges = [0, *(step.at for step in steps), count]
    return slice(edges[number], edges[number + 1]), slice(edges[number + 1], edges[number + 2])


def _step(
    days: Sequence[Day],
    wall_ns: Floats,
    steps: Sequence[Step],
    number: int,
    operators: Mapping[str, Floats],
    margin: float,
) -> HistoryStep:
    step = steps[number]
    before, after = _stretches(steps, number, len(days))
    judged = judge(change_between(wall_ns[before], wall_ns[after]), margin=margin)[0]
    what = [by_name(list(days[stretch])) for stretch in (before, after)]
    differing = [name for name in what[0] if what[0][name] != what[1][name]]
    changed = [f"{name}: {listed(what[0][name])} → {listed(what[1][name])}" for name in differing]
    return HistoryStep(
        date=days[step.at].date,
        earliest=days[step.earliest].date,
        latest=days[step.latest].date,
        chance=step.p_value,
        before_ns=float(np.exp(np.log(wall_ns[before]).mean())),
        after_ns=float(np.exp(np.log(wall_ns[after]).mean())),
        operators=_parts(operators, before, after, margin),
        changed=changed,
        **judged_fields(judged),
    )


def _parts(operators: Mapping[str, Floats], before: slice, after: slice, margin: float) -> list[HistoryPart]:
    """Return the operators with the largest changes between two stretches, judged as one table."""
    if not operators:
        return []
    ratios = [change_between(ns[before], ns[after]) for ns in operators.values()]
    found = [
        HistoryPart(
            name=name,
            before_ns=float(ns[before].mean()),
            delta_ns=float(ns[after].mean() - ns[before].mean()),
            **judged_fields(judged),
        )
        for (name, ns), judged in zip(operators.items(), judge(join(ratios), margin=margin), strict=True)
    ]
    return sorted(found, key=lambda part: -abs(part.delta_ns))[:EXPLAINING]


def _operator(name: str, ns: Floats, days: Sequence[Day], margin: float) -> HistoryOperator:
    """Return an operator's series; without steps if there are days on which it took no time."""
    steps = _shown_steps(ns, margin) if (ns > 0).all() else []
    found = [_step(days, ns, steps, number, {}, margin) for number in range(len(steps))]
    level = float(_level(ns, steps).mean()) if len(ns) > 1 else None
    return HistoryOperator(name=name, wall_ns=ns.tolist(), steps=found, level_ns=level)


def _judged_together(series: Sequence[HistorySeries], margin: float) -> list[HistorySeries]:
    """Return the series with the verdicts on their newest days, and without operators' steps that may be chance.

    Forwards are one table and operators another one, each with false-discovery control.
    """
    newest = _verdicts([_newest(_walls_of(one), _steps_of(one)) for one in series], margin)
    flat = [operator for one in series for operator in one.operators]
    dates = [[point.date for point in one.points] for one in series for _ in one.operators]
    of_operators = _verdicts(
        [
            _newest(np.array(operator.wall_ns), _steps_at(operator.steps, known))
            for operator, known in zip(flat, dates, strict=True)
        ],
        margin,
    )
    chances = np.array([step.chance for operator in flat for step in operator.steps])
    kept = iter((control_discoveries(chances) <= LEVEL).tolist() if len(chances) else [])
    verdicts = iter(of_operators)
    found = []
    for one, verdict in zip(series, newest, strict=True):
        operators = [
            replace(operator, newest=next(verdicts), steps=[step for step in operator.steps if next(kept)])
            for operator in one.operators
        ]
        found.append(replace(one, newest=verdict, operators=operators))
    return found


def _walls_of(series: HistorySeries) -> Floats:
    return np.array([point.wall_ns for point in series.points])


def _steps_of(series: HistorySeries) -> list[Step]:
    return _steps_at(series.steps, [point.date for point in series.points])


def _steps_at(steps: Sequence[HistoryStep], dates: Sequence[str]) -> list[Step]:
    return [Step(dates.index(s.date), dates.index(s.earliest), dates.index(s.latest), s.chance) for s in steps]


def _verdicts(ratios: Sequence[LogRatios | None], margin: float) -> list[Judged]:
    known = [ratio for ratio in ratios if ratio is not None]
    found = iter(judge(join(known), margin=margin) if known else [])
    # more rounds on that day would not make the scatter of the days smaller
    return [Judged() if ratio is None else replace(next(found), rounds_needed=None) for ratio in ratios]


def _gates(rule: Rule, series: Sequence[HistorySeries]) -> list[GateResult]:
    """Return the outcome of a rule about the newest day of each series; raises UsageError if none has its subject."""
    if rule.operator is None:
        if rule.subject not in ("latency", "forward", "profiled"):
            hint = "Rules of a history are about latency, forward, profiled, or OPERATOR.self."
            raise UsageError(f"gate {rule.text!r}: an index has one figure per round and no {rule.subject}", hint=hint)
        return [judge_one(rule, one.name, one.newest, one.level_ns, one.points[-1].wall_ns) for one in series]
    found = [
        judge_one(rule, one.name, operator.newest, operator.level_ns, operator.wall_ns[-1], operator.name)
        for one in series
        for operator in one.operators
        if rule.matches(operator.name)
    ]
    if not found:
        hint = "An operator has a series if it takes 1% of the forward or more on some day."
        raise UsageError(f"gate {rule.text!r}: no series has such an operator", hint=hint)
    return found


def _warnings(days: Days) -> Iterable[str]:
    for (workload, group), found in days.series.items():
        name = " ".join(filter(None, (workload, group)))
        hosts = {host for day in found for host in day.hosts}
        if len(hosts) > 1 and days.told != "host" and len({day.hosts for day in found}) > 1:
            those = listed(sorted(hosts))
            yield f"{name}: the machines differ from day to day ({those}); --group-by host tells them apart"
        if len(found) < FEWEST_DAYS + 1:
            yield f"{name}: {len(found)} days are too few to judge a new one; {FEWEST_DAYS + 1} are needed"
