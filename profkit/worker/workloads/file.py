"""A user's own model: ``path/to/file.py:function``, where the function returns ``(model, inputs)``."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
import traceback

from ..reports import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from . import Inputs, Order


def build(order: Order) -> tuple[Any, Inputs]:
    """Execute the file, call the function, and return its model and inputs; raises WorkerError if this fails."""
    path, function = order["path"], order["function"]
    name = "%s:%s" % (os.path.basename(path), function)
    with importable(os.path.dirname(path)):
        try:
            loader = importlib.machinery.SourceFileLoader("profkit_workload", path)
            spec = importlib.util.spec_from_file_location(loader.name, path, loader=loader)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[loader.name] = module  # dataclasses and pickle look up a class's module here
            loader.exec_module(module)
            made = getattr(module, function)()
        except Exception as error:  # the user's code can raise anything; the message shows where
            frame = traceback.extract_tb(sys.exc_info()[2])[-1]
            raise WorkerError(
                "workload",
                "%s failed at %s:%s: %s: %s" % (name, frame[0], frame[1], type(error).__name__, error),
                "Run that function by itself in this environment first.",
            )
    if not (isinstance(made, tuple) and len(made) == 2 and callable(made[0])):
        raise WorkerError(
            "workload",
            "%s returned %s" % (name, type(made).__name__),
            "It must return (model, inputs): a callable and its argument, or a tuple of its arguments.",
        )
    model, inputs = made
    return model, inputs if isinstance(inputs, tuple) else (inputs,)


@contextlib.contextmanager
def importable(folder: str) -> Iterator[None]:
    """Put ``folder`` first on the module path while the context is active, and last afterwards.

    While the user's file runs, modules beside it take precedence, as with ``python file.py``. Afterwards they must not
    shadow modules that torch imports only when it first needs them.
    """
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        sys.path.append(folder)
