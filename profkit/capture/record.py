"""Records a model that lives in the user's own process, as one round of a run."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from profkit.capture.filing import Filing, explain_write_errors
from profkit.capture.host import describe_host
from profkit.capture.session import new_session, tool_version
from profkit.errors import CaptureError, OutputError, UsageError
from profkit.runs import Manifest
from profkit.runs.configuration import identity_differences
from profkit.runs.manifest import Python, Round, TensorShape, Tool, Torch, Workload
from profkit.runs.settings import FPMATH, Settings
from profkit.worker.describe import describe_inputs, describe_python, describe_torch
from profkit.worker.measure import Round as RoundUnderWay
from profkit.worker.reports import Reporter, WorkerError
from profkit.worker.weights import weights_sha256


def record_in_process(
    model: Any, inputs: Any, *, name: str, label: str | None, logdir: Path, steps: int, warmup: int, with_stack: bool
) -> Path:
    """Warm up, time and profile ``model(*inputs)`` here, and file it as a round of a run; return the run's folder.

    Raises UsageError if the run there has another configuration, CaptureError if another process is writing it,
    OutputError if it cannot be written.
    """
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    torch = msgspec.convert(describe_torch(), type=Torch)
    filing = Filing(logdir, label or torch.version, name)
    settings = Settings(
        mode="eager",
        fpmath=_fpmath(),
        lru_cache_capacity=int(os.environ.get("LRU_CACHE_CAPACITY", "1024")),
        threads=torch.threads,
        with_stack=with_stack,
        warmup=warmup,
        steps=steps,
    )
    manifest = Manifest(
        status="complete",
        label=label or torch.version,
        workload=Workload(
            name=name,
            source="process",
            inputs=msgspec.convert(describe_inputs(arguments), type=list[TensorShape]),
            weights="own",
            weights_sha256=weights_sha256(model),
        ),
        torch=torch,
        settings=settings,
        python=msgspec.convert(describe_python(), type=Python),
        host=describe_host(),
        tool=Tool(version=tool_version()),
    )
    filing.acquire()
    try:
        if (existing := filing.existing()) is not None:
            differing = identity_differences(existing, manifest)
            if differing:
                hint = "Pass another label, or remove that run."
                raise UsageError(f"holds another configuration: {'; '.join(differing)}", where=filing.folder, hint=hint)
            manifest = existing
        return _add_round(model, arguments, filing, manifest)
    finally:
        filing.release()


def _add_round(model: Any, arguments: tuple[Any, ...], filing: Filing, manifest: Manifest) -> Path:
    index = len(manifest.rounds)
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    metadata = {
        "label": manifest.label,
        "workload": manifest.workload.name,
        "fpmath": manifest.settings.fpmath,
        "mode": manifest.settings.mode,
        "round": index,
        "version": tool_version(),
        "torch": manifest.torch.version if manifest.torch else None,
    }
    filing.open()
    try:
        folder = str(filing.staging.resolve())
        settings = dict(manifest.settings)
        under_way = RoundUnderWay(model, arguments, settings, folder, metadata, Reporter(), chdir=False)
        under_way.warm_up()
        under_way.time(settings["steps"], skip=0, total=settings["steps"])
        under_way.profile(settings["steps"])
        with explain_write_errors(filing.staging):
            measured = under_way.finish()
        place = {"session": new_session(), "block": 0, "order": 0, "started": started}
        round_ = msgspec.convert({**measured, **place, "index": index}, type=Round)
        rounds = [*manifest.rounds, round_]
        filing.commit(msgspec.structs.replace(manifest, rounds=rounds, status="complete", reason=None))
    except WorkerError as error:
        kind = OutputError if error.kind == "output" else CaptureError
        raise kind(str(error), where=filing.folder, hint=error.hint) from None
    finally:
        filing.discard()
    return filing.folder


def _fpmath() -> str:
    """Return the fpmath mode that this process was started with, by the name that users type."""
    chosen = os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE") or os.environ.get("DNNL_DEFAULT_FPMATH_MODE") or "STRICT"
    return next((name for name, value in FPMATH.items() if value == chosen.upper()), "fp32")
