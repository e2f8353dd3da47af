"""Builds the workload of an order: one file per source of workloads, with ``build(order) -> (model, inputs)``.

``inputs`` is a dict of keyword arguments, a tuple of positional ones, or a single one.
"""

from __future__ import annotations

import importlib

from ..inputs import Inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    Order = Dict[str, Any]

SOURCES = ("torchvision", "huggingface", "torchbench", "builtin", "file", "module")


def build(order: Order) -> tuple[Any, Inputs]:
    """Return the model and its inputs; raises WorkerError if this fails."""
    source = order["source"]
    if source not in SOURCES:
        raise ValueError("unknown workload source %r" % source)
    model, inputs = importlib.import_module("." + source, __name__).build(order)
    return model.eval() if hasattr(model, "eval") else model, Inputs.of(inputs)
