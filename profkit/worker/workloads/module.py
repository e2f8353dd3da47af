"""A model of an installed package, or of one in the user's folder: ``package.module:function``."""

from __future__ import annotations

import importlib

from .own_code import made_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import Order


def build(order: Order) -> tuple[Any, Any]:
    """Import the module, call the function, and return its model and inputs; raises WorkerError if this fails."""
    details = order["details"]
    name = "%s:%s" % (details["module"], details["function"])

    def make() -> Any:
        return getattr(importlib.import_module(details["module"]), details["function"])()

    return made_by(name, details["folder"], make)
