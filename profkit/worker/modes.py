"""Prepares a model for a mode: eager, TorchScript (scripted or traced), frozen or compiled."""

from __future__ import annotations

import os
import shutil

from .inputs import Inputs
from .reports import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def prepare(model: Any, inputs: Inputs, settings: dict[str, Any]) -> tuple[Any, Inputs, list[str]]:
    """Return the model in the mode of ``settings``, the inputs that it takes then, and a note for each fallback."""
    mode = settings["mode"]
    notes: list[str] = []
    if settings["freezing"] and mode != "compile":
        raise WorkerError("mode", "--freezing is an option of the compiler", "Use it with --mode compile.")
    if mode == "eager":
        return model, inputs, notes
    if mode == "compile":
        return compiled(model, freezing=settings["freezing"]), inputs, notes
    if settings["autocast"]:
        raise WorkerError("mode", "--autocast is not possible in TorchScript", "Use --mode eager or --mode compile.")
    if mode == "trace":
        scripted, inputs = traced(model, inputs)
    else:
        scripted, inputs = scripted_or_traced(model, inputs, notes)
    if mode == "frozen":
        import torch

        scripted = torch.jit.optimize_for_inference(scripted)
    return scripted, inputs, notes


def scripted_or_traced(model: Any, inputs: Inputs, notes: list[str]) -> tuple[Any, Inputs]:
    """Return the model as TorchScript, scripted if that is possible, and its inputs; ``notes`` says if it was not."""
    import torch

    try:
        return torch.jit.script(model), inputs
    except Exception as error:  # scripting fails in many ways (RuntimeError, NotSupportedError, OSError ...)
        reason = str(error).strip().split("\n")[0]
    notes.append("torch.jit.script failed (%s); used torch.jit.trace instead" % reason)
    return traced(model, inputs)


def traced(model: Any, inputs: Inputs) -> tuple[Any, Inputs]:
    """Return the model as TorchScript, traced, and its inputs by position: PyTorch before 2.0 traces no keywords."""
    import torch

    names = list(inputs.kwargs)
    count = len(inputs.args)
    positional = Inputs((*inputs.args, *inputs.kwargs.values()), {})
    target = _by_position(model, count, names) if names else model
    try:
        # results may be dicts, which are not checked for changes then (strict=False)
        return torch.jit.trace(target, positional.args, strict=False), positional
    except Exception as error:  # tracing runs the model's own code
        raise WorkerError(
            "mode",
            "torch.jit.trace failed: %s: %s" % (type(error).__name__, str(error).strip().split("\n")[0]),
            "Use --mode eager or --mode compile.",
        )


def _by_position(model: Any, count: int, names: list[str]) -> Any:
    """Return a module that takes the keyword arguments ``names`` after ``count`` positional ones."""
    import torch

    class ByPosition(torch.nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: Any) -> Any:
            return self.model(*values[:count], **dict(zip(names, values[count:])))

    return ByPosition()


def compiled(model: Any, *, freezing: bool) -> Any:
    """Return the model under torch.compile, with its weights as constants if ``freezing``.

    Raises WorkerError if torch.compile or a C++ compiler is missing.
    """
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
    if freezing:
        _freeze_weights()
    return torch.compile(model)


def _freeze_weights() -> None:
    """Tell the compiler that weights are constants, and to pack them in advance where it can."""
    import torch
    import torch._inductor.config as compiler

    if not hasattr(compiler, "freezing"):
        raise WorkerError("mode", "PyTorch %s has no --freezing" % torch.__version__, "Use --torch 2.1 or newer.")
    compiler.freezing = True
    if hasattr(compiler.cpp, "weight_prepack"):
        compiler.cpp.weight_prepack = True
