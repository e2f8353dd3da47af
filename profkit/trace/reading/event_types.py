"""The msgspec types that the JSON of a trace is decoded to: structs with the wanted fields only."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from profkit.trace.options import Detail

_RAW = msgspec.Raw(b"")
_INDEX_KEYS = ("Ev Idx", "Profiler Event Index")
_DECIMALS = re.compile(rb'"ts":\s*-?[0-9]+\.')
# Decoding a Literal returns the one string object of the type: no string is made, and its hash is cached.
_PHASES = Literal["X", "M", "i", "s", "f", "t", "C", "n", "b", "e"]
_CATEGORIES = Literal[
    "",
    "cpu_op",
    "user_annotation",
    "python_function",
    "cuda_runtime",
    "cuda_driver",
    "kernel",
    "gpu_memcpy",
    "gpu_memset",
    "gpu_user_annotation",
    "ac2g",
    "fwdbwd",
    "cpu_instant_event",
    "overhead",
    "cuda_sync",
    "Trace",
    "Operator",
    "Runtime",
    "Kernel",
    "Memcpy",
    "Memset",
    "async",
    "async_gpu",
    "async_cpu_to_gpu",
]
_DETAIL_FIELDS: dict[Detail, list[tuple[str, Any, str, Any]]] = {
    Detail.SHAPES: [
        ("input_dims", msgspec.Raw, "Input Dims", _RAW),
        ("input_dims_1_8", msgspec.Raw, "Input dims", _RAW),
    ],
    Detail.DEVICE: [
        ("external_id", int, "External id", -1),
        ("external_id_1_8", int, "external id", -1),
        ("correlation", int, "correlation", -1),
    ],
    Detail.STACKS: [
        ("call_stack", str, "Call stack", ""),
        ("module_hierarchy", str, "Module Hierarchy", ""),
    ],
}
INT64 = range(-(1 << 63), 1 << 63)
"""The numbers that fit 64 bits."""
_WITHIN_64_BITS = Annotated[int, msgspec.Meta(ge=INT64[0], le=INT64[-1])]
_METADATA = dict[str, Any]
_DEVICES = list[Any]
HEAD_TYPES = {
    "baseTimeNanoseconds": _WITHIN_64_BITS,
    "profkit": _METADATA,
    "deviceProperties": _DEVICES,
    "distributedInfo": Any,
    "host_name": Any,
}
"""The types of the members of a file beside its events."""
ARGUMENT_NUMBERS = (*_INDEX_KEYS, *(key for _, kind, key, _ in _DETAIL_FIELDS[Detail.DEVICE] if kind is int))
"""The names of the arguments that are whole numbers."""
ARGUMENT_TEXTS = tuple(key for _, kind, key, _ in _DETAIL_FIELDS[Detail.STACKS] if kind is str)
"""The names of the arguments that are texts."""


_LIST_KEY = b'"traceEvents"'
# a quote behind a backslash is part of a text
LIST_KEY = rb'(?<!\\)"%b"' % b"".join(rb"(?:%c|\\u(?i:%04x))" % (byte, byte) for byte in b"traceEvents")
"""The pattern of the name of the list of events, in any of its spellings: JSON may escape each letter."""
_ANY_LIST_KEY = re.compile(LIST_KEY)


def count_list_keys(text: bytes) -> int:
    """Return how often the name of the list of events occurs."""
    return len(_ANY_LIST_KEY.findall(text)) if b"\\u00" in text else text.count(_LIST_KEY)


class Flavour(NamedTuple):
    """A guess at how a file is written, which allows faster types; a chunk that differs is decoded by general types.

    ``time`` is the type of all its times, ``index_key`` the name of the event index.
    """

    time: Any = int | float
    index_key: str | None = None


GENERAL = Flavour()


def sniff(beginning: bytes) -> Flavour:
    """Guess the flavour of a file from its first bytes."""
    keys = [key for key in _INDEX_KEYS if key.encode() in beginning]
    if len(keys) != 1:
        return GENERAL
    return Flavour(float if _DECIMALS.search(beginning) else int, keys[0])


class Types(NamedTuple):
    """The types of a file, of a list of events, of one event, and of an event's arguments."""

    file: Any
    events: Any
    event: Any
    arguments: Any


@cache
def types_of(detail: Detail, flavour: Flavour) -> Types:
    """Return the types with the fields of ``detail``."""
    return _types(detail, flavour, int)


@cache
def bounded_types() -> Types:
    """Return the general types with all fields, of which the whole numbers other than times must fit 64 bits."""
    return _types(Detail.ALL, GENERAL, _WITHIN_64_BITS)


def _types(detail: Detail, flavour: Flavour, whole: Any) -> Types:
    """Make the types; ``whole`` is that of whole numbers other than times.

    An absent time is None, although no time in the file may be null: the default of a field is not checked. So events
    without a time are found when their times are put into an array, and cost other events nothing.
    """
    keys = [flavour.index_key] if flavour.index_key else _INDEX_KEYS
    fields: list[tuple[str, Any, Any]] = [
        (f"index_{place}", whole, msgspec.field(name=key, default=-1)) for place, key in enumerate(keys)
    ]
    for flag, extra in _DETAIL_FIELDS.items():
        if flag in detail:
            extra = [(name, whole if kind is int else kind, key, default) for name, kind, key, default in extra]
            fields += [(name, kind, msgspec.field(name=key, default=default)) for name, kind, key, default in extra]
    arguments = msgspec.defstruct("Arguments", fields, gc=False)
    time = flavour.time if flavour.index_key else flavour.time | None
    event = msgspec.defstruct(
        "Event",
        [
            ("ph", _PHASES if flavour.index_key else str, ""),
            ("name", str, ""),
            ("cat", _CATEGORIES if flavour.index_key else str, ""),
            ("pid", whole | str, 0),
            ("tid", whole | str, 0),
            ("ts", time, None),
            ("dur", time, None),
            ("args", arguments | None, None),
            *([("id", whole | str, -1)] if Detail.FLOWS in detail else []),
        ],
        gc=False,
    )
    file = msgspec.defstruct(
        "File",
        [
            ("events", list[event], msgspec.field(name="traceEvents")),  # type: ignore[valid-type]  # made just above
            ("base_ns", _WITHIN_64_BITS, msgspec.field(name="baseTimeNanoseconds", default=0)),
            ("profkit", _METADATA, msgspec.field(default_factory=dict)),
            ("devices", _DEVICES, msgspec.field(name="deviceProperties", default_factory=list)),
            ("distributed", Any, msgspec.field(name="distributedInfo", default=None)),
            ("host", Any, msgspec.field(name="host_name", default=None)),
        ],
        gc=False,
    )
    return Types(file, list[event], event, arguments)  # type: ignore[valid-type]


@cache
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type; there is one of each."""
    return msgspec.json.Decoder(kind)


class ExactEvent(msgspec.Struct, gc=False):
    """The times of a record as exact decimals, for times at which a float64 loses nanoseconds."""

    ph: str = ""
    ts: Decimal | None = None
    dur: Decimal | None = None


class ExactFile(msgspec.Struct, gc=False):
    """A file of :class:`ExactEvent`."""

    events: list[ExactEvent] = msgspec.field(name="traceEvents")
