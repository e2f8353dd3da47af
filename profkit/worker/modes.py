"""Prepares a model for a mode: eager, TorchScript, frozen or compiled."""

from __future__ import annotations

import os
import shutil

from .reports import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Inputs = tuple[Any, ...]


def prepare(model: Any, inputs: Inputs, mode: str) -> tuple[Any, list[str]]:
    """Return ``(callable, notes)``: the model in ``mode``, and a note for each fallback."""
    import torch

    notes: list[str] = []
    if mode == "eager":
        return model, notes
    if mode == "compile":
        return compiled(model), notes
    try:
        scripted = torch.jit.script(model)
    except Exception as error:  # scripting fails in many ways (RuntimeError, NotSupportedError, OSError ...)
        notes.append("torch.jit.script failed (%s); used torch.jit.trace instead" % str(error).strip().split("\n")[0])
        scripted = torch.jit.trace(model, inputs)
    if mode == "frozen":
        scripted = torch.jit.optimize_for_inference(scripted)
    return scripted, notes


def to_channels_last(model: Any, inputs: Inputs) -> tuple[Any, Inputs]:
    """Return model and inputs in channels-last memory format; only four-dimensional tensors are converted."""
    import torch

    layout = torch.channels_last
    moved = tuple(t.contiguous(memory_format=layout) if getattr(t, "ndim", 0) == 4 else t for t in inputs)
    return model.to(memory_format=layout) if hasattr(model, "to") else model, moved


def compiled(model: Any) -> Any:
    """Return the model under torch.compile; raises WorkerError if torch.compile or a C++ compiler is missing."""
    import torch

    if not hasattr(torch, "compile"):
        raise WorkerError("mode", "PyTorch %s has no torch.compile" % torch.__version__, "Use --torch 2.0 or newer.")
    compilers = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "cl"]
    if not any(shutil.which(name) for name in compilers):
        raise WorkerError(
            "mode",
            "--mode compile needs a C++ compiler and found none of: %s" % ", ".join(compilers),
            "Install one (Debian: apt-get install g++), or set CXX to its path.",
        )
    return torch.compile(model)
