"""How a run is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from pathlib import Path


def capture(
    model: Any,
    inputs: Any,
    *,
    name: str | None = None,
    label: str | None = None,
    logdir: str | os.PathLike[str] = "logs",
    steps: int = 20,
    warmup: int = 10,
    with_stack: bool = False,
) -> Path:
    """Capture ``model(*inputs)`` in this process, as one round of a run; return the run's folder.

    Runs at least ``warmup`` forwards, times ``steps`` of them with the profiler off, then profiles as many, each
    in an annotation of profkit's own. ``inputs`` is a tensor or a tuple of positional arguments. The run is
    ``logdir/label/name``; ``label`` is the PyTorch version and ``name`` the model's class, in lower case, unless
    given. Where that run is already there, a round is added to it; call this in several fresh processes, since
    one process says nothing of how processes differ.

    Raises UsageError where another configuration has that place, CaptureError where it cannot be written.
    """
    from pathlib import Path

    from profkit.capture.record import capture_in_process

    return capture_in_process(
        model,
        inputs,
        name=name or type(model).__name__.lower(),
        label=label,
        logdir=Path(logdir),
        steps=steps,
        warmup=warmup,
        with_stack=with_stack,
    )
