"""Memory descriptors of a record: data type and layout of each argument, in each of oneDNN's notations.

A record lists one descriptor per argument, separated by spaces::

    fsrc:nchw fbia:x    in:f32_nchw out:f32_nChw8c    0.x; only memory primitives name the type
    src_f32:a:blocked:abcd:f0                         1.0 to 3.6, with strides before the flags from 3.1 on
    src:f32:a:blocked:abcd:strides:f0                 3.7 and later, lines marked v1

The second field of the middle notation is a set of properties, and that of the last one a type. An argument's name may
have underscores (``wei_layer_bf16``), and so may a type (``src_f8_e5m2``).
Source: ``md2fmt_str`` in oneDNN's ``src/common/verbose.cpp`` and ``init_info_*`` in MKL-DNN's ``verbose.hpp``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PROPERTIES = re.compile(r"[apo0]*")
_TYPE = r"undef|b?f\d+(?:_e\d+m\d+)?|tf32|[us]\d+|e\d+m\d+|boolean|bin"
_NAME_AND_TYPE = re.compile(rf"(?:(\w+?)_)?({_TYPE})")
_UNNAMED = "data"
_OLD_NAMES = {"in": "src", "out": "dst"}  # of 0.x
UNDEFINED = "undef"


class Argument(NamedTuple):
    """One argument: ``type`` is empty if the notation has none, and so is ``layout``."""

    name: str
    type: str
    layout: str


def parse_arguments(text: str) -> tuple[Argument, ...]:
    """Parse the descriptors of a record; arguments that the primitive was not given are left out."""
    found = (_parse(descriptor.split(":")) for descriptor in text.split())
    return tuple(argument for argument in found if argument is not None)


def _parse(fields: list[str]) -> Argument | None:
    if len(fields) < 2:
        return None  # oneDNN 1.x prints # if its buffer is too small
    if len(fields) == 2:
        return _parse_old(*fields)
    if _PROPERTIES.fullmatch(fields[1]):
        name, data_type = _split_name(fields[0])
        layout = fields[2:]
    else:
        name, data_type = fields[:2]
        layout = fields[3:]
    return None if data_type == UNDEFINED else Argument(name, data_type, _layout(layout))


def _parse_old(name: str, layout: str) -> Argument | None:
    """Parse a descriptor of 0.x."""
    data_type = ""
    if name in _OLD_NAMES:
        name = _OLD_NAMES[name]
        data_type, _, layout = layout.partition("_")
    else:
        name = name.removeprefix("f")  # for format
    return None if layout == UNDEFINED else Argument(name, data_type, layout)


def _split_name(text: str) -> tuple[str, str]:
    if match := _NAME_AND_TYPE.fullmatch(text):
        return match[1] or _UNNAMED, match[2]
    name, _, data_type = text.rpartition("_")
    return name or _UNNAMED, data_type


def _layout(fields: list[str]) -> str:
    """Return the tag of a blocked layout (``aBcd16b``), or the kind of another one (``any``, ``wino``, ``opaque``)."""
    kind, tag = (*fields, "", "")[:2]
    return tag if kind == "blocked" else kind
