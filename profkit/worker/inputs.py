"""The arguments of one forward: by position, by keyword, or both."""

from __future__ import annotations

from .outputs import flatten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class Inputs:
    """``args`` by position and ``kwargs`` by keyword."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs

    @classmethod
    def of(cls, value: Any) -> Inputs:
        """Return what a user's function gives: a dict of keyword arguments, a tuple, or a single argument.

        A dict whose keys are not all names is a single argument.
        """
        if isinstance(value, dict) and value and all(isinstance(k, str) and k.isidentifier() for k in value):
            return cls((), dict(value))
        return cls(value if isinstance(value, tuple) else (value,), {})

    def call(self, model: Any) -> Any:
        """Return what the model returns for these arguments."""
        return model(*self.args, **self.kwargs)

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """Yield ``(name, tensor)`` for every tensor among the arguments; those by position have numbers as names."""
        for place, value in enumerate(self.args):
            yield from flatten(value, str(place))
        for name, value in self.kwargs.items():
            yield from flatten(value, name)

    def changed(self, change: Callable[[Any], Any]) -> Inputs:
        """Return a copy with ``change`` applied to each tensor, also to those in lists, tuples and dicts."""
        args = tuple(_changed(value, change) for value in self.args)
        return Inputs(args, {name: _changed(value, change) for name, value in self.kwargs.items()})


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    if hasattr(value, "detach"):
        return change(value)
    if type(value) is dict:
        return {key: _changed(item, change) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_changed(item, change) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named tuple
        return type(value)(*(_changed(item, change) for item in value))
    return value
