"""Runs a user's function that makes ``(model, inputs)``."""

from __future__ import annotations

import contextlib
import sys
import traceback

from ..reports import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


def made_by(name: str, function: str, folder: str, load: Callable[[], Any]) -> tuple[Any, Any]:
    """Return the model and the inputs that ``function`` of the module that ``load()`` returns makes.

    ``name`` names the function in messages. ``folder`` is searched for modules, unless it is empty. Raises WorkerError
    if that fails.
    """
    with importable(folder):
        try:
            made = getattr(load(), function)()
        except Exception as error:  # the user's code can raise anything; the message shows where
            frame = traceback.extract_tb(sys.exc_info()[2])[-1]
            raise WorkerError(
                "workload",
                "%s failed at %s:%s: %s: %s" % (name, frame[0], frame[1], type(error).__name__, error),
                "Add the package with --with."
                if isinstance(error, ImportError)
                else "Run that function by itself in this environment first.",
            )
    if not (isinstance(made, tuple) and len(made) == 2 and callable(made[0])):
        raise WorkerError(
            "workload",
            "%s returned %s" % (name, type(made).__name__),
            "It must return (model, inputs): a callable, and its argument, a tuple of arguments, or a dict of keyword "
            "arguments.",
        )
    return made


@contextlib.contextmanager
def importable(folder: str) -> Iterator[None]:
    """Put ``folder`` first on the module path while the context is active, and last afterwards; nothing if it is empty.

    While the user's code runs, modules beside it take precedence, as with ``python file.py``. Afterwards they must not
    shadow modules that torch imports only when it first needs them.
    """
    if not folder:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        sys.path.append(folder)
