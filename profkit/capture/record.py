"""The profiler wrapper: captures a model that lives in the user's own process."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from profkit.capture import worker
from profkit.capture.filing import Filing
from profkit.capture.host import describe_host
from profkit.capture.session import tool_version
from profkit.errors import UsageError
from profkit.runs import Manifest
from profkit.runs.configuration import identity_differences
from profkit.runs.manifest import Python, Round, TensorShape, Tool, Torch, Workload
from profkit.runs.settings import FPMATH, Settings


def capture_in_process(
    model: Any, inputs: Any, *, name: str, label: str | None, logdir: Path, steps: int, warmup: int, with_stack: bool
) -> Path:
    """Warm up, time and profile ``model(*inputs)`` here, and file it as a round of a run; return the run's folder."""
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    torch = msgspec.convert(worker.describe_torch(), type=Torch)
    filing = Filing(logdir, label or torch.version, name)
    manifest = Manifest(
        status="complete",
        label=label or torch.version,
        workload=Workload(
            name=name,
            source="process",
            inputs=msgspec.convert(worker.describe_inputs(arguments), type=list[TensorShape]),
            weights="own",
            weights_sha256=worker.weights_sha256(model),
        ),
        torch=torch,
        settings=Settings(
            mode="eager",
            fpmath=_fpmath(),
            lru_cache_capacity=int(os.environ.get("LRU_CACHE_CAPACITY", "1024")),
            threads=torch.threads,
            with_stack=with_stack,
            record_shapes=True,
            warmup=warmup,
            steps=steps,
        ),
        python=msgspec.convert(worker.describe_python(), type=Python),
        host=describe_host(),
        tool=Tool(version=tool_version()),
    )
    filing.acquire()
    try:
        return _add_round(model, arguments, filing, manifest)
    finally:
        filing.release()


def _add_round(model: Any, arguments: tuple[Any, ...], filing: Filing, manifest: Manifest) -> Path:
    if (existing := filing.existing()) is not None:
        differing = identity_differences(existing, manifest)
        if differing:
            hint = "Pass another label, or remove that run."
            raise UsageError(f"holds another configuration: {'; '.join(differing)}", where=filing.folder, hint=hint)
        manifest = existing
    return _measure(model, arguments, filing, manifest)


def _measure(model: Any, arguments: tuple[Any, ...], filing: Filing, manifest: Manifest) -> Path:
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
        settings = dict(manifest.settings)
        measured = worker.measure(
            model, arguments, settings, str(filing.staging.resolve()), metadata, worker.Reporter(), chdir=False
        )
        round_ = msgspec.convert({**measured, "index": index, "order": 0, "started": started}, type=Round)
        rounds = [*manifest.rounds, round_]
        filing.commit(
            msgspec.structs.replace(manifest, rounds=rounds, status="complete", reason=None),
            overwrite=False,
        )
    finally:
        filing.discard()
    return filing.folder


def _fpmath() -> str:
    """Return the fpmath mode that this process was started with, by the name users call it."""
    chosen = os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE") or os.environ.get("DNNL_DEFAULT_FPMATH_MODE") or "STRICT"
    return next((name for name, value in FPMATH.items() if value == chosen.upper()), "fp32")
