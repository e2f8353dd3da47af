"""Whether an fpmath mode had an effect: oneDNN's log, the outputs, and the latency as evidence."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from profkit import units
from profkit.comparison.latency import compare_latency
from profkit.comparison.outputs import compare_outputs
from profkit.comparison.records.diff import FpmathVerdict, LatencyChange, Outcome
from profkit.comparison.records.outputs import OutputsChange
from profkit.onednn.join import Joined
from profkit.onednn.records import STRICT
from profkit.runs.contents import RunData
from profkit.runs.pairing import pair_rounds
from profkit.stats.judged import MARGIN, Design

WITHOUT_EFFECT: tuple[Outcome, ...] = ("accepted without effect", "not accepted")
SAME_OUTPUTS = 1e-6  # relative error up to which another order of additions in float32 may be the reason


def judge_fpmath(reference: RunData | None, tested: RunData, margin: float = MARGIN) -> FpmathVerdict | None:
    """Judge the fpmath mode of ``tested`` by its log and against ``reference``, the same configuration in FP32.

    A latency that differs is evidence only if the arithmetic may differ too: if the log marks no execution, or the
    outputs are identical, another cause moved it. None if the run is in FP32 itself.
    """
    manifest = tested.run.manifest
    mode = manifest.settings.fpmath if manifest is not None else STRICT
    if mode == STRICT:
        return None
    marked, executions = _executions(tested.primitives, mode)
    outputs = compare_outputs(reference, tested) if reference is not None else None
    latency = _latency(reference, tested, margin) if reference is not None else None
    outcome: Outcome = "unknown"
    if marked == 0 and executions:
        outcome = "not accepted"
    elif outputs is not None and outputs.comparable:
        # arithmetic in another precision changes some output bit, so identical outputs rule out an effect
        outcome = "in effect" if _moved(outputs) else "accepted without effect" if marked else "unknown"
    elif marked and latency is not None and latency.is_shown:
        outcome = "in effect"
    where = None if reference is None else str(reference.run.path)
    evidence = [_of_log(mode, marked, executions), *_of_outputs(outputs, where)]
    has_no_effect = outcome in WITHOUT_EFFECT or (outputs is not None and outputs.comparable and not _moved(outputs))
    evidence += _of_another_cause(latency) if has_no_effect else _of_latency(latency)
    return FpmathVerdict(
        mode=mode,
        outcome=outcome,
        marked_executions=marked,
        executions=executions,
        reference=where,
        evidence=evidence,
        outputs=outputs,
    )


def _executions(joined: Joined | None, mode: str) -> tuple[int | None, int | None]:
    """Return how many executions the log marks with the mode, and how many there are; None without a log."""
    if joined is None:
        return None, None
    log = joined.log
    executed = [p.operation == "exec" for p in log.primitives]
    marked = [p.fpmath == mode and p.operation == "exec" for p in log.primitives]
    return int(log.where(marked).sum()), int(log.where(executed).sum())


def _of_log(mode: str, marked: int | None, executions: int | None) -> str:
    if marked is None or executions is None:
        return "the run has no oneDNN log"
    return f"{marked} of {executions} oneDNN executions are marked {mode}"


def _of_outputs(outputs: OutputsChange | None, reference: str | None) -> Iterator[str]:
    if outputs is None or outputs.max_abs_error is None:
        return
    against = f"FP32 ({reference})"
    if not outputs.max_abs_error:
        yield f"outputs are identical to {against}"
        return
    cosine = outputs.cosine_similarity
    similarity = "" if cosine is None else f", cosine similarity {cosine:.7f}"
    yield f"outputs differ from {against} by at most {outputs.max_abs_error:.2g}{similarity}"


def _of_latency(latency: LatencyChange | None) -> Iterator[str]:
    if latency is not None:
        interval = units.interval(latency.low, latency.high)
        yield f"latency {latency.verdict}: {units.ratio(latency.speedup)} {interval}".rstrip()


def _of_another_cause(latency: LatencyChange | None) -> Iterator[str]:
    """Name a latency that is shown to differ, in either direction, without an effect of the mode."""
    if latency is not None and latency.is_shown:
        interval = units.interval(latency.low, latency.high)
        yield f"the latency differs by {units.ratio(latency.speedup)} {interval} for another reason"


def _latency(reference: RunData, tested: RunData, margin: float) -> LatencyChange | None:
    """Compare the latencies as a diff of the two runs does, so that both come to the same verdict."""
    a, b = reference.run.manifest, tested.run.manifest
    if a is None or b is None:
        return compare_latency(reference.latency_ns, tested.latency_ns, Design(margin))
    pairing = pair_rounds(a, b)
    before, after = replace(reference, rounds=pairing.baseline), replace(tested, rounds=pairing.candidate)
    return compare_latency(before.latency_ns, after.latency_ns, pairing.design(margin))


def _moved(outputs: OutputsChange) -> bool:
    return (outputs.relative_error or 0.0) > SAME_OUTPUTS
