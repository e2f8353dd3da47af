"""Was an fpmath mode real? Whether oneDNN took it, and whether anything came of it."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Iterator

from profkit import units
from profkit.compare.latency import compare_latency
from profkit.compare.outputs import compare_outputs
from profkit.compare.records.diff import FpmathVerdict, LatencyChange, Outcome, OutputsChange
from profkit.errors import InputError
from profkit.onednn.grammar import STRICT
from profkit.runs import Run, find_runs
from profkit.runs.configuration import runs_the_same
from profkit.runs.measurement import wall_times
from profkit.runs.store import MANIFEST_NAME
from profkit.trace.options import DEFAULT, ReadOptions
from profkit.views.primitives import read_primitives

_SHOWN = ("faster", "slower")
SAME_OUTPUTS = 1e-6  # largest error over the largest output, up to which the order of additions may be the reason


def judge_fpmath(strict: Run | None, run: Run, options: ReadOptions = DEFAULT) -> FpmathVerdict | None:
    """Judge the fpmath mode of ``run`` by its log, and against ``strict``, the same in FP32; None where it has none.

    Raises InputError where a file cannot be read.
    """
    mode = run.manifest.settings.fpmath if run.manifest is not None else STRICT
    if mode == STRICT:
        return None
    marked, executions = _executions(run, mode, options)
    outputs = compare_outputs(strict, run) if strict is not None else None
    before, after = (wall_times(r, options).latency_ns if r is not None else () for r in (strict, run))
    latency = compare_latency(before, after)
    outcome: Outcome = "unknown"
    if marked == 0 and executions:
        outcome = "not accepted"
    elif outputs is not None and outputs.comparable:
        # arithmetic in another precision leaves no output as it was, whatever the clock says
        outcome = "in effect" if _outputs_moved(outputs) else "accepted without effect" if marked else "unknown"
    elif marked and latency is not None and latency.verdict in _SHOWN:
        outcome = "in effect"
    evidence = [_of_log(mode, marked), *_of_outputs(outputs), *_of_latency(latency)]
    return FpmathVerdict(mode=mode, outcome=outcome, marked_executions=marked, evidence=evidence, outputs=outputs)


def _executions(run: Run, mode: str, options: ReadOptions) -> tuple[int | None, int]:
    """Return how many executions the log names the mode in, None without a log, and how many there are."""
    joined = read_primitives(run, options)
    if joined is None:
        return None, 0
    log = joined.log
    executed = [p.operation == "exec" for p in log.primitives]
    marked = [p.fpmath == mode and p.operation == "exec" for p in log.primitives]
    return int(log.where(marked).sum()), int(log.where(executed).sum())


def _of_log(mode: str, marked: int | None) -> str:
    if marked is None:
        return "the run has no log of oneDNN"
    return f"oneDNN's log names {mode} in {marked or 'none'} of its executions"


def _of_outputs(outputs: OutputsChange | None) -> Iterator[str]:
    if outputs is not None and outputs.max_abs_error is not None:
        cosine = outputs.cosine_similarity
        near = "" if cosine is None else f", cosine similarity {cosine:.7f}"
        off = f"outputs differ from FP32 by {outputs.max_abs_error:.2g} at most{near}"
        yield off if outputs.max_abs_error else "outputs identical to FP32"


def _of_latency(latency: LatencyChange | None) -> Iterator[str]:
    if latency is not None:
        interval = units.interval(latency.low, latency.high)
        shown = latency.verdict if latency.verdict in _SHOWN else "the same within the noise"
        yield f"latency {shown}: {units.ratio(latency.speedup)} {interval}".rstrip()


def is_strict_twin(run: Run, other: Run) -> bool:
    """Whether ``other`` ran the same in FP32: same model, settings, PyTorch and machine."""
    a, b = run.manifest, other.manifest
    if a is None or b is None or a.torch is None or b.torch is None or b.settings.fpmath != STRICT:
        return False
    return runs_the_same(a, b, but_for="settings.fpmath")


def find_strict(run: Run) -> Run | None:
    """Return the FP32 run of the same configuration that lies beside ``run``, among the labels of its log folder."""
    for folder in sorted(run.path.parent.parent.glob(f"*/{glob.escape(run.path.name)}")):
        if (folder / MANIFEST_NAME).is_file() and folder != run.path:
            with contextlib.suppress(InputError):
                (other,) = find_runs(folder)
                if is_strict_twin(run, other):
                    return other
    return None


def _outputs_moved(outputs: OutputsChange | None) -> bool:
    return outputs is not None and (outputs.relative_error or 0.0) > SAME_OUTPUTS
