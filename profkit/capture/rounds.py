"""Takes the round that a worker reported into the run's manifest, or records why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import msgspec

from profkit.capture.disturbance import find_disturbance
from profkit.capture.process import Outcome
from profkit.capture.reports import Report
from profkit.capture.task import INVALID_REPORT, InvalidReportError, Listener, Task, explain_invalid_report
from profkit.files import is_regular_file
from profkit.runs import Manifest
from profkit.runs.configuration import identity_differences
from profkit.runs.manifest import Fallback, Python, Round, Torch, Workload
from profkit.shortening import LONGEST_QUOTED, shorten


@dataclass(frozen=True, slots=True)
class Place:
    """Where a round stands: its session and block, its place in the block (from 0), and its start (ISO 8601, UTC)."""

    session: str
    block: int
    order: int
    started: str


def take_round(task: Task, outcome: Outcome, place: Place, listener: Listener) -> None:
    """Add the round of ``outcome`` to the task's manifest. A failure is told to the listener and recorded in the task.

    The first crash of a round is a fallback: the round is due again, without the settings that are known to crash.
    """
    if outcome.crashed and not _has_fallen_back(task):
        _fall_back(task, outcome.failure or "", listener)
        return
    if outcome.failure is None:
        _add_round(task, outcome.reports, place)
    else:
        task.failure = shorten(f"{outcome.failure}. {outcome.hint}".rstrip(". "), LONGEST_QUOTED)
        task.unwritable = outcome.unwritable
    if task.failure:
        listener.message(f"{task.configuration.name}: failed: {task.failure}")


def _has_fallen_back(task: Task) -> bool:
    """Whether the round that is due was tried before."""
    return any(fallback.round == len(task.manifest.rounds) for fallback in task.manifest.fallbacks)


def _fall_back(task: Task, reason: str, listener: Listener) -> None:
    """Record that this round runs again, and with which settings."""
    manifest = task.manifest
    settings, left_out = manifest.settings.after_crash()
    instead = " ".join(["run again", *left_out])
    fallback = Fallback(round=len(manifest.rounds), reason=reason, instead=instead)
    task.manifest = msgspec.structs.replace(manifest, settings=settings, fallbacks=[*manifest.fallbacks, fallback])
    listener.message(f"{task.configuration.name}: {reason}; {instead}")


def _add_round(task: Task, reports: Mapping[str, Report], place: Place) -> None:
    """Add the worker's round to the manifest, unless its reports are not valid or of another configuration."""
    before = task.manifest
    try:
        updated = _with_round(task, reports, place)
    except INVALID_REPORT as error:
        task.failure = explain_invalid_report(error)
        return
    differing = identity_differences(before, updated) if before.rounds else []
    if differing:
        task.failure = f"the environment changed since the rounds before: {'; '.join(differing)}"
        return
    task.manifest = updated
    task.added += 1
    task.filing.save(updated)


def _with_round(task: Task, reports: Mapping[str, Report], place: Place) -> Manifest:
    """Return the manifest with the round that a worker reported; raises INVALID_REPORT errors."""
    before, measured = task.manifest, reports["round"]
    _check_round(task, measured)
    workload = msgspec.to_builtins(before.workload) | {
        "inputs": reports["workload"]["inputs"],
        "weights_sha256": reports["workload"]["weights_sha256"],
    }
    round_ = msgspec.convert({**measured, "index": len(before.rounds), **asdict(place)}, type=Round)
    round_ = msgspec.structs.replace(round_, disturbed=find_disturbance(round_.load))
    python = {**reports["python"], "chosen_by": task.configuration.python_chosen_by}
    warnings = [*before.warnings, *_warnings(task, reports)]
    updated: Manifest = msgspec.structs.replace(
        before,
        workload=msgspec.convert(workload, type=Workload),
        torch=msgspec.convert(reports["torch"], type=Torch),
        python=msgspec.convert(python, type=Python),
        rounds=[*before.rounds, round_],
        warnings=list(dict.fromkeys(warnings)),
    )
    return updated


def _check_round(task: Task, measured: Report) -> None:
    """Raise InvalidReportError unless the round has the forwards that were ordered, and a trace of its own."""
    trace, steps = measured["trace"], task.manifest.settings.steps
    if trace in {r.trace for r in task.manifest.rounds}:
        raise InvalidReportError(f"the trace {trace!r} is that of an earlier round")
    if not is_regular_file(task.filing.staging / trace):
        raise InvalidReportError(f"there is no trace {trace!r}")
    if len(measured["profiled_ns"]) != steps:
        raise InvalidReportError(f"it has {len(measured['profiled_ns'])} profiled forwards instead of {steps}")
    if not measured["latency_ns"]:
        raise InvalidReportError("it has no forward with the profiler off")


def _warnings(task: Task, reports: Mapping[str, Report]) -> list[str]:
    """Return what the user should know of this round."""
    measured = reports["round"]
    warnings = [*reports["notes"]["notes"]]
    if not measured["stable"]:
        count = len(measured["warmup_ns"])
        warnings.append(f"round {len(task.manifest.rounds)}: latency not stable after {count} warm-up forwards")
    hashes = {r.outputs_sha256 for r in task.manifest.rounds} | {measured["outputs_sha256"]}
    odd = measured.get("not_finite") or {"nan": 0, "infinite": 0}
    if odd["nan"] or odd["infinite"]:
        warnings.append(
            f"of the {odd['values']:,} output values, {odd['nan']:,} are NaN and {odd['infinite']:,} infinite"
        )
    if len(hashes) > 1:
        warnings.append("the outputs differ between rounds: this model is not deterministic")
    return warnings
