"""Converts a model and its inputs: device, data type, memory format, autocast."""

from __future__ import annotations

from .reports import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inputs import Inputs

DTYPES = {"bf16": "bfloat16", "fp16": "float16"}  # names in torch; fp32 leaves everything as it is


def converted(model: Any, inputs: Inputs, settings: dict[str, Any]) -> tuple[Any, Inputs]:
    """Return model and inputs as ``settings`` ask for them; raises WorkerError if this PyTorch or machine cannot."""
    import torch

    if settings["device"] == "cuda":
        if not torch.cuda.is_available():
            raise WorkerError("device", "--device cuda: PyTorch finds no GPU here", "Use --device cpu.")
        model = _moved(model, "cuda")
        inputs = inputs.changed(lambda t: t.to("cuda"))
    if settings["dtype"] in DTYPES:
        dtype = getattr(torch, DTYPES[settings["dtype"]])
        model = _moved(model, dtype)
        inputs = inputs.changed(lambda t: t.to(dtype) if t.is_floating_point() else t)
    if settings["channels_last"]:
        layout = torch.channels_last
        model = model.to(memory_format=layout) if hasattr(model, "to") else model
        inputs = inputs.changed(lambda t: t.contiguous(memory_format=layout) if t.ndim == 4 else t)
    return model, inputs


def _moved(model: Any, where: Any) -> Any:
    if not hasattr(model, "to"):
        raise WorkerError(
            "workload",
            "the model is not a torch.nn.Module, so its data type and device cannot be changed",
            "Leave --dtype and --device out, or let the function return a module.",
        )
    return model.to(where)
