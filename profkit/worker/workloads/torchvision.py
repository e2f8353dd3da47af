"""torchvision's models for classification, detection and segmentation, with random images as input."""

from __future__ import annotations

import math
import sys

from ..reports import WorkerError
from ..weights import random_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import Order

# arguments of the constructors that only training needs, or that would download weights for a part of the model
WITHOUT_DOWNLOAD = {"detection": {"weights_backbone": None}, "segmentation": {"weights_backbone": None}}


def build(order: Order) -> tuple[Any, Any]:
    """Return the model and one batch of images.

    It is a tensor of the shape (batch, 3, height, width), float32 of unit variance, as normalised photographs have. A
    detection model normalises and resizes by itself: it takes a list of images of the shape (3, height, width) on
    [0, 1).
    """
    import torch

    try:
        from torchvision import models
    except ImportError as error:
        raise WorkerError(
            "workload", "torchvision cannot be imported: %s" % error, "Install torchvision in this environment."
        )
    name, details = order["name"], order["details"]
    module = getattr(models, details["module"]) if details["module"] else models
    if name not in models.list_models(module=module):
        version = getattr(sys.modules.get("torchvision"), "__version__", "?")
        raise WorkerError(
            "workload",
            "torchvision %s has no model %r for %s" % (version, name, order["task"]),
            "Use a newer --torch, or another model.",
        )
    if order["weights"] == "pretrained":
        model = _pretrained(models, name)
    else:
        model = _untrained(module, name, WITHOUT_DOWNLOAD.get(details["module"], {}))
    images = random_array((order["batch"], 3, *details["image_size"]), "input", order["seed"])
    if details["module"] == "detection":
        return model, ([torch.from_numpy((image + 1.0) / 2.0) for image in images],)
    return model, torch.from_numpy(images * math.sqrt(3.0))


def _pretrained(models: Any, name: str) -> Any:
    try:
        return models.get_model(name, weights="DEFAULT")
    except Exception as error:  # a download can raise URLError, OSError, RuntimeError and others
        raise WorkerError(
            "weights",
            "the pretrained weights of %s are not available: %s" % (name, error),
            "Check the network, or use --weights random.",
        )


def _untrained(module: Any, name: str, options: dict[str, Any]) -> Any:
    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False}
    model = module.__dict__[name](weights=None, **options)
    if hasattr(model, "aux_logits"):
        model.aux_logits = False  # auxiliary heads run in training only; TorchScript warns about them
    return model
