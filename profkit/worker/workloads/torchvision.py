"""torchvision's classification models, with random images as input."""

from __future__ import annotations

import math
import sys

from ..reports import WorkerError
from ..weights import random_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import Order


def build(order: Order) -> tuple[Any, Any]:
    """Return the model and one batch of images of the shape (batch, 3, size, size), float32 of unit variance."""
    import torch

    try:
        from torchvision import models
    except ImportError as error:
        raise WorkerError(
            "workload", "torchvision cannot be imported: %s" % error, "Install torchvision in this environment."
        )
    name = order["name"]
    if name not in models.list_models(module=models):
        version = getattr(sys.modules.get("torchvision"), "__version__", "?")
        raise WorkerError(
            "workload",
            "torchvision %s has no classification model %r" % (version, name),
            "Use a newer --torch, or another model.",
        )
    model = _pretrained(models, name) if order["weights"] == "pretrained" else _untrained(models, name)
    size = order["details"]["image_size"]
    image = random_array((order["batch"], 3, size, size), "input", order["seed"]) * math.sqrt(3.0)
    return model, torch.from_numpy(image)


def _pretrained(models: Any, name: str) -> Any:
    try:
        return models.get_model(name, weights="DEFAULT")
    except Exception as error:  # a download can raise URLError, OSError, RuntimeError and others
        raise WorkerError(
            "weights",
            "the pretrained weights of %s are not available: %s" % (name, error),
            "Check the network, or use --weights random.",
        )


def _untrained(models: Any, name: str) -> Any:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = models.__dict__[name](weights=None, **options)
    if hasattr(model, "aux_logits"):
        model.aux_logits = False  # auxiliary heads run in training only; TorchScript warns about them
    return model
