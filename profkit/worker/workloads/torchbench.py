"""Models of TorchBench, through the loader of a checkout of it.

Each of them is a class ``Model``. Its instance for the test "eval" has ``get_module()``, which returns the module and
example inputs: a tuple or list of positional arguments, or a dict of keyword arguments. Source: TorchBench's
``torchbenchmark/__init__.py`` and ``torchbenchmark/util/experiment/instantiator.py``.
"""

from __future__ import annotations

from ..reports import WorkerError
from .own_code import made_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import Order

LOADERS = ("load_model_by_name", "load_canary_model_by_name")  # checkouts before 2023 lack the second one
HINT = "Try it with TorchBench's own run.py in this environment first."


def build(order: Order) -> tuple[Any, Any]:
    """Return the module of a model and its example inputs; raises WorkerError if this fails."""
    details = order["details"]

    def make() -> tuple[Any, Any]:
        model, inputs = _benchmark(details["model"], order["batch"]).get_module()
        return model, tuple(inputs) if isinstance(inputs, list) else inputs

    return made_by("torchbench:%s" % details["model"], details["folder"], make, HINT)


def _benchmark(name: str, batch: int) -> Any:
    """Return an instance of the model for the test "eval" on the CPU."""
    import torchbenchmark

    found = _class_of(torchbenchmark, name)
    try:
        return found(test="eval", device="cpu", batch_size=batch, extra_args=[])
    except NotImplementedError as error:
        fixed = getattr(found, "DEFAULT_EVAL_BSIZE", None)
        if fixed is None or fixed == batch:
            raise
        message = "torchbench:%s does not run with --batch %d: %s" % (name, batch, str(error).rstrip("."))
        raise WorkerError("workload", message, "Use --batch %d." % fixed)


def _class_of(torchbenchmark: Any, name: str) -> Any:
    """Return the class of a model. A loader that does not find it raises ModelNotFoundError, or returns None."""
    for loader in LOADERS:
        try:
            found = getattr(torchbenchmark, loader, lambda name: None)(name)
        except getattr(torchbenchmark, "ModelNotFoundError", ()):
            continue
        if found is not None:
            return found
    raise WorkerError(
        "workload",
        "the TorchBench of --torchbench has no model %r" % name,
        "If it has, a package that the model needs is missing: add it with --with.",
    )
