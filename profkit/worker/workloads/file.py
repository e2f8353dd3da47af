"""A user's own model: ``path/to/file.py:function``, where the function returns ``(model, inputs)``."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys

from .own_code import made_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import Order


def build(order: Order) -> tuple[Any, Any]:
    """Execute the file, call the function, and return its model and inputs; raises WorkerError if this fails."""
    path, function = order["details"]["path"], order["details"]["function"]

    def load() -> Any:
        loader = importlib.machinery.SourceFileLoader("profkit_workload", path)
        spec = importlib.util.spec_from_file_location(loader.name, path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[loader.name] = module  # dataclasses and pickle look up a class's module here
        loader.exec_module(module)
        return module

    name = "%s:%s" % (os.path.basename(path), function)
    return made_by(name, os.path.dirname(path), lambda: getattr(load(), function)())
