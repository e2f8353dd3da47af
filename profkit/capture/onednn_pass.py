"""The pass with oneDNN's log: one more process per run, which records what oneDNN executed."""

from __future__ import annotations

import msgspec

from profkit.capture.task import Listener, Task, start_worker
from profkit.files import is_regular_file
from profkit.runs.manifest import PrimitivesPass

FAILED_PASS = "the pass with oneDNN's log"  # how the warning about a failed pass begins
STEPS = 10  # forwards under the log at most: each prints a line per primitive
# oneDNN 2 (PyTorch 1.13) reads the DNNL names only
_LOG_VARIABLES = {
    **dict.fromkeys(("ONEDNN_VERBOSE", "DNNL_VERBOSE"), "2"),
    **dict.fromkeys(("ONEDNN_VERBOSE_TIMESTAMP", "DNNL_VERBOSE_TIMESTAMP"), "1"),
}


def wants_pass(task: Task) -> bool:
    """Whether the pass was asked for and is still to be done."""
    return bool(task.settings.onednn) and task.failure is None and task.manifest.primitives is None


def pass_failed(task: Task) -> bool:
    """Whether the manifest warns that the pass failed."""
    return any(text.startswith(FAILED_PASS) for text in task.manifest.warnings)


def run_pass(task: Task, listener: Listener) -> None:
    """Run the pass and record it; if it fails, the run is complete without it and carries a warning."""
    listener.activity(f"{task.configuration.name}: pass with oneDNN's log")
    manifest, staging = task.manifest, task.filing.staging
    settings = manifest.settings.changed(with_stack=False, steps=min(manifest.settings.steps, STEPS))
    variables = {**manifest.environment, **_LOG_VARIABLES}
    with start_worker(task, listener, settings=settings, variables=variables, onednn=True) as worker:
        outcome = worker.outcome()
    failure = outcome.failure
    if failure is None:
        described = {**outcome.reports["onednn"], "log": outcome.reports["log"]["name"]}
        primitives = msgspec.convert(described, type=PrimitivesPass)
        absent = [name for name in (primitives.log, primitives.trace) if not is_regular_file(staging / name)]
        if absent:
            failure = f"failed: it left no {' and no '.join(absent)}"
    if failure is None:
        warnings = [text for text in manifest.warnings if not text.startswith(FAILED_PASS)]
        task.manifest = msgspec.structs.replace(manifest, primitives=primitives, warnings=warnings)
    else:
        text = f"{FAILED_PASS} {failure}"
        listener.message(f"{task.configuration.name}: {text}")
        task.manifest = msgspec.structs.replace(manifest, warnings=[*manifest.warnings, text])
    if not task.missing_rounds:
        task.filing.save(task.manifest)
