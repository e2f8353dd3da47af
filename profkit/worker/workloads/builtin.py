"""Models that profkit brings itself, from published measurements."""

from __future__ import annotations

from ..weights import random_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import Order


def build(order: Order) -> tuple[Any, Any]:
    """Return the model that the order names, and one batch."""
    return {"linear-stack": linear_stack}[order["name"]](order)


def linear_stack(order: Order) -> tuple[Any, Any]:
    """Return Linear layers 4096 to 4096 to 11008 to 10, each but the last with ReLU, and a batch of vectors.

    Source: the tutorial "(Beta) PyTorch Inference Performance Tuning on AWS Graviton Processors" (pytorch.org).
    """
    import torch

    sizes = (4096, 4096, 11008, 10)
    layers: list[Any] = []
    for before, after in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    inputs = random_array((order["batch"], sizes[0]), "input", order["seed"])
    return torch.nn.Sequential(*layers[:-1]), torch.from_numpy(inputs)
