"""Builds the workload of an order: one file per source of workloads, with ``build(order) -> (model, inputs)``."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

    Order = Dict[str, Any]
    Inputs = Tuple[Any, ...]

SOURCES = ("torchvision", "file")


def build(order: Order) -> tuple[Any, Inputs]:
    """Return ``(model, inputs)``; inputs is a tuple of positional arguments. Raises WorkerError if this fails."""
    source = order["source"]
    if source not in SOURCES:
        raise ValueError("unknown workload source %r" % source)
    model, inputs = importlib.import_module("." + source, __name__).build(order)
    return model.eval() if hasattr(model, "eval") else model, inputs
