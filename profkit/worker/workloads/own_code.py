"""Runs other people's code that makes a model and its inputs."""

from __future__ import annotations

import contextlib
import sys

from ..explain import advice, described
from ..reports import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

BY_ITSELF = "Run that function by itself in this environment first."


def made_by(name: str, folder: str, make: Callable[[], Any], hint: str = BY_ITSELF) -> tuple[Any, Any]:
    """Return the model and the inputs that ``make()`` returns.

    ``name`` names the code in messages. ``folder`` is searched for modules, unless it is empty. Raises WorkerError,
    with ``hint`` if nothing better is known, if that fails.
    """
    with importable(folder):
        try:
            made = make()
        except WorkerError:
            raise
        except (Exception, SystemExit) as error:  # the code can raise anything; the message shows where
            raise WorkerError("workload", "%s failed %s" % (name, described(error)), advice(error) or hint)
    if not (isinstance(made, tuple) and len(made) == 2 and callable(made[0])):
        raise WorkerError(
            "workload",
            "%s returned %s" % (name, _shape_of(made)),
            "It must return (model, inputs): a callable, and its argument, a tuple of arguments, or a dict of keyword "
            "arguments.",
        )
    return made


def _shape_of(made: Any) -> str:
    """Return in words what a function returned in place of a model and its inputs."""
    if not isinstance(made, tuple):
        return type(made).__name__
    return "a tuple of %d: %s" % (len(made), ", ".join(type(part).__name__ for part in made[:5])) if made else "()"


@contextlib.contextmanager
def importable(folder: str) -> Iterator[None]:
    """Put ``folder`` first on the module path while the context is active, and last afterwards; nothing if it is empty.

    While the code runs, modules beside it take precedence, as with ``python file.py``. Afterwards they must not
    shadow modules that torch imports only when it first needs them.
    """
    if not folder:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:  # the code may have changed the path
            sys.path.remove(folder)
        sys.path.append(folder)
