"""The change from one run to the next along versions or a setting, with what can explain it."""

from __future__ import annotations

from msgspec.structs import replace

from profkit.comparison.latency import judged_fields, summarise_run
from profkit.comparison.records.parts import Judged
from profkit.comparison.records.sweep import OperatorStep, SweepStep
from profkit.runs.contents import RunData
from profkit.runs.store import Run
from profkit.trace.options import DEFAULT, ReadOptions
from profkit.views.diff import PendingComparison

EXPLAINING = 5  # operators that are named for a step


def explained_step(before: Run, after: Run, judged: Judged, options: ReadOptions = DEFAULT) -> SweepStep:
    """Return the step between two runs of which the latency is ``judged``; one that is shown has its findings.

    Raises InputError if a run cannot be read.
    """
    walls = [summarise_run(run, RunData(run).latency_ns) for run in (before, after)]
    step = SweepStep(
        before=before.label, after=after.label, delta_ns=walls[1].p50_ns - walls[0].p50_ns, **judged_fields(judged)
    )
    if not judged.is_shown:
        return step
    with PendingComparison([(before, after)], (str(before.path), str(after.path)), options=options) as pending:
        (change,) = pending.result()["name"].workloads
    shares = change.attribution.operators[:EXPLAINING]
    return replace(
        step,
        operators=[OperatorStep(name=share.name, delta_ns=share.delta_ns) for share in shares],
        findings=change.findings,
        ruled_out=change.ruled_out,
    )
