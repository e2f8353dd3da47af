"""The recorded calls of an operator: shapes, types and values of its inputs, as the trace has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from profkit.errors import InputError
from profkit.runs.store import Run
from profkit.shortening import LONGEST, listed
from profkit.trace.options import ReadOptions
from profkit.trace.reading.records import arguments_of

_HINT = "Capture it with profkit, which records shapes, or with record_shapes=True."
_SHOWN = 5  # shapes that an error names
TENSORS = ("float", "double", "c10::BFloat16", "c10::Half", "long int", "int", "bool", "unsigned char", "TensorList")


class _Arguments(msgspec.Struct, frozen=True):
    dims: list[Any] | None = msgspec.field(name="Input Dims", default=None)
    types: list[Any] | None = msgspec.field(name="Input type", default=None)
    strides: list[Any] | None = msgspec.field(name="Input Strides", default=None)
    values: list[Any] | None = msgspec.field(name="Concrete Inputs", default=None)


class Call(msgspec.Struct, frozen=True):
    """The inputs of a call, one entry per argument: shapes, names of types, strides, and values as text.

    A shape is a list of sizes, of tensor lists a list of shapes, and [] for what is no tensor. ``values`` is None if
    the trace does not record any, and a value is "" if there is none; ``strides`` likewise.
    """

    operator: str
    dims: list[Any]
    types: list[str]
    strides: list[Any] | None = None
    values: list[str] | None = None

    @property
    def shape(self) -> str:
        """The shapes of the tensors among the inputs, as text."""
        return shape_text(self.dims)

    def lacks_values(self) -> bool:
        """Whether an argument that is no tensor has a value that the trace does not record."""
        return self.values is None and any(kind and kind not in TENSORS for kind in self.types)


def shape_text(dims: Sequence[Any]) -> str:
    """Return the shapes of the tensors among the inputs as text; other inputs have none."""
    return ", ".join(json.dumps(shape, separators=(",", ":")) for shape in dims if shape)


def calls_of(run: Run, operator: str, reading: ReadOptions) -> dict[str, Call]:
    """Return one call of ``operator`` per shape, by :attr:`Call.shape`, from the run's first trace.

    Raises InputError if it cannot be read, or records no such call with shapes.
    """
    run.require_traces()
    path = run.traces[0]
    found: dict[str, Call] = {}
    for arguments in arguments_of(path, operator, reading.memory_limit):
        call = _call(operator, arguments)
        if call is not None:
            found.setdefault(call.shape, call)
    if not found:
        raise InputError(f"records no call of {operator} with the shapes of its inputs", where=path, hint=_HINT)
    return found


def _call(operator: str, args: Any) -> Call | None:
    """Return a call from the arguments of an event; None if they are not those of an operator with shapes."""
    try:
        found = msgspec.convert(args, type=_Arguments)
    except msgspec.ValidationError:
        return None
    if found.dims is None or found.types is None or len(found.dims) != len(found.types):
        return None
    types = [kind if isinstance(kind, str) else "" for kind in found.types]
    values = found.values if found.values is None or len(found.values) == len(types) else None
    strides = found.strides if found.strides is None or len(found.strides) == len(types) else None
    texts = None if values is None else [value if isinstance(value, str) else "" for value in values]
    return Call(operator, found.dims, types, strides, texts)


def choose_call(sides: Sequence[dict[str, Call]], costs: dict[str, float], shape: str | None) -> Call:
    """Return the call to reproduce: the one with the largest of ``costs`` (by shape) that both sides have.

    ``shape`` is a part of its text, None for any. The call that records values is taken, whichever side it is of.
    Raises InputError if there is none, or neither side records the values of its arguments.
    """
    wanted = "" if shape is None else shape.replace(" ", "")
    common = [text for text in sides[0] if text in sides[-1]]
    shapes = sorted((text for text in common if wanted in text), key=lambda text: -costs.get(text, 0.0))
    if not shapes:
        known = listed(common, LONGEST, _SHOWN) if common else "none that both runs have"
        raise InputError(f"no call with the shape {shape!r}", hint=f"Shapes: {known}.")
    found = [side[shapes[0]] for side in reversed(sides)]
    call = next((call for call in found if not call.lacks_values()), None)
    if call is None:
        raise InputError(
            f"the traces do not record the values of the arguments of {found[0].operator}, such as a stride",
            hint="Capture one side with a newer PyTorch, which records them.",
        )
    return call
