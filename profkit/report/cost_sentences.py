"""The answer of a cost report in sentences, and how its prices and relative costs are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from profkit import units
from profkit.comparison.records.cost import CostReport, Relative, RunCost

UNVERIFIED = "unverified"
ONE_STREAM = "Throughput is batch / median latency: one request at a time."


def names_of(runs: Sequence[RunCost]) -> dict[str, str]:
    """Return what the runs are called in sentences and figures, by label.

    That is the instance type if it tells them apart, else the label, with the instance type if that is known.
    """
    types = [run.instance_type for run in runs]
    if len(runs) > 1 and None not in types and len(set(types)) == len(runs):
        return {run.label: str(run.instance_type) for run in runs}
    return {run.label: _named(run) for run in runs}


def _named(run: RunCost) -> str:
    known = run.instance_type
    return run.label if known is None or run.label.endswith(known) else f"{run.label} ({known})"


def price_text(run: RunCost) -> str:
    """Return the price per hour of a run, marked if it is unverified."""
    return units.price(run.price.usd_per_hour) + ("" if run.price.verified else f" {UNVERIFIED}")


def cost_answers(report: CostReport) -> Iterator[str]:
    """Yield the sentences at the top of every report; they are about all runs."""
    names, runs = names_of(report.runs), {run.label: run for run in report.runs}
    baseline = runs.get(report.baseline)
    if not report.cheapest:
        if baseline is not None:
            yield "The runs have no workload in common, so none is the cheapest over all."
        return
    best = runs.get(report.cheapest[0])
    if best is None or baseline is None:  # a saved result of selected runs
        return
    if len(report.runs) == 1:
        yield f"{names[best.label]}: {_amount(best, report)}{_unverified([best])}."
        return
    if report.baseline in report.cheapest:
        amount = _amount(baseline, report)
        yield f"No run is shown to be cheaper than {names[report.baseline]}{_colon(amount)}{_unverified([baseline])}."
        return
    over = f" over {len(report.shared)} workloads" if len(report.shared) > 1 else ""
    than = ""
    if best.mean.relative is not None:
        than = f"{percent(best.mean)} than {names[report.baseline]}{percent_interval(best.mean)}{over}"
    parts = [part for part in (_amount(best, report), than) if part]
    mark = _unverified([best, baseline])
    others = [names[label] for label in report.cheapest[1:] if label in names]
    if not others:
        yield f"{names[best.label]} is cheapest: {', '.join(parts)}{mark}."
    else:
        verb = "is" if len(others) == 1 else "are"
        text = f"{names[best.label]} has the lowest cost: {', '.join(parts)}{mark}"
        yield f"{text}; {', '.join(others)} {verb} not shown to be more expensive."


def _amount(run: RunCost, report: CostReport) -> str:
    """Return the cost of the only workload in words; empty for several, whose costs have no sum."""
    entries = [entry for entry in run.entries if entry.workload in report.shared]
    if len(entries) != 1 or entries[0].amount.usd is None:
        return ""
    return f"{units.dollars(entries[0].amount.usd)} per million inferences"


def _colon(text: str) -> str:
    return f": {text}" if text else ""


def _unverified(runs: Sequence[RunCost]) -> str:
    """Return in brackets whose prices are unverified; empty if none is."""
    named = [
        f"{run.instance_type or run.label} at {units.price(run.price.usd_per_hour)}"
        for run in runs
        if not run.price.verified
    ]
    if not named:
        return ""
    return f" ({UNVERIFIED} price{'s' * (len(named) > 1)}: {', '.join(named)} per hour)"


def percent(found: Relative) -> str:
    """Return a relative cost as percent in words: ``38.2% cheaper``, ``12.0% more expensive``; it must be known."""
    assert found.relative is not None
    change = 100 * (found.relative - 1)
    return f"{-change:.1f}% cheaper" if change < 0 else f"{change:.1f}% more expensive"


def percent_interval(found: Relative) -> str:
    """Return the interval of that percentage, from the smaller to the larger one; empty without an interval."""
    if found.relative is None or found.low is None or found.high is None:
        return ""
    sign = -1 if found.relative < 1 else 1
    bounds = sorted(sign * 100 * (bound - 1) for bound in (found.low, found.high))
    return f" [{bounds[0]:.1f}, {bounds[1]:.1f}]"
