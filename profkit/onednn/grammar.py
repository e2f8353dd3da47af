"""Parses one record of oneDNN's verbose log, in each of its grammars.

A record is ``onednn_verbose,`` (``dnnl_verbose,`` before 2.0), then, depending on the version::

    [ts,]operation,engine,...                   2.x and 3.0 to 3.1 (PyTorch 1.13 to 2.1)
    [ts,]primitive,operation,engine,...         3.2 to 3.4 (PyTorch 2.2 to 2.6)
    v1,[ts,]primitive|graph,operation,engine,...  later

A primitive ends with ``primitive,implementation,prop_kind,memory_descriptors,attributes,auxiliary,problem,duration``,
a partition of the graph API with
``partition,kind,operators,formats,tensors,fpmath,scratchpad,implementation,backend,duration``.
Source: oneDNN's documentation, "Verbose Mode", and logs of the PyTorch versions named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_DESCRIPTOR = re.compile(r"(\w+?)[_:](undef|\w+?):")
_SIZE = re.compile(r"(ic|oc|id|ih|iw|kd|kh|kw|g)(\d{1,12})")
_PRIMITIVE_FIELDS = 9  # operation, engine, kind, implementation, prop_kind, descriptors, attributes, auxiliary, problem
_GRAPH_FIELDS = 10
STRICT = "fp32"

Operation = Literal["exec", "create"]


@dataclass(frozen=True, slots=True)
class Primitive:
    """A distinct record: all of a line except its time stamp and duration.

    ``cached`` says whether a creation was a cache hit; None for an execution. ``data_types`` and ``layouts`` list the
    arguments, as in ``src:f32 wei:bf16``. ``fpmath`` is ``fp32`` (strict), ``bf16``, ... . ``is_graph`` marks a
    partition of the graph API, whose primitives are executed, and logged, inside it.
    """

    operation: Operation
    cached: bool | None
    engine: str
    kind: str
    implementation: str
    prop_kind: str
    data_types: str
    layouts: str
    fpmath: str
    post_ops: str
    problem: str
    is_graph: bool = False

    @property
    def is_reorder(self) -> bool:
        """Whether it changes the layout of data."""
        return self.kind == "reorder"


def parse_record(text: str) -> Primitive | None:
    """Parse a record without its time stamp and duration; None if it is not a record or is incomplete."""
    fields = text.split(",")
    if fields[0] == "graph":
        return _parse_partition(fields[1:])
    if fields[0] == "primitive":
        fields = fields[1:]
    operation = _operation(fields[0]) if fields else None
    if operation is None or len(fields) != _PRIMITIVE_FIELDS:
        return None
    _, engine, kind, implementation, prop_kind, descriptors, attributes, auxiliary, problem = fields
    if not (engine and kind and implementation):
        return None
    types, layouts = _descriptors(descriptors)
    return Primitive(
        *operation,
        engine=engine,
        kind=kind,
        implementation=implementation,
        prop_kind=prop_kind,
        data_types=types,
        layouts=layouts,
        fpmath=_attribute(attributes, "attr-fpmath") or _attribute(attributes, "attr-fpmath_mode") or STRICT,
        post_ops=_attribute(attributes, "attr-post-ops") or "",
        problem=" ".join(filter(None, (auxiliary.strip() if kind not in _QUIET else "", problem))),
    )


# of these kinds the auxiliary field, such as the algorithm, is left out of the problem
_QUIET = ("convolution", "reorder", "inner_product", "matmul", "sum", "concat")


def _parse_partition(fields: list[str]) -> Primitive | None:
    if len(fields) < _GRAPH_FIELDS:
        return None
    operation = "compile" if fields[0].startswith("compile") else fields[0]
    if operation not in ("compile", "exec"):
        return None
    return Primitive(
        operation="exec" if operation == "exec" else "create",
        cached=None if operation == "exec" else fields[0].endswith("cache_hit"),
        engine=fields[1],
        kind=f"graph {fields[3]}",
        implementation=fields[-2],
        prop_kind="",
        data_types="",
        layouts="",
        fpmath=_fpmath(next((f.removeprefix("fpm:") for f in fields if f.startswith("fpm:")), "")),
        post_ops="",
        problem=fields[4],
        is_graph=True,
    )


def _operation(text: str) -> tuple[Operation, bool | None] | None:
    if text == "exec":
        return "exec", None
    if text == "create" or text.startswith(("create:", "create_nested")):
        return "create", text.endswith("cache_hit")
    return None


def _descriptors(text: str) -> tuple[str, str]:
    """Return data types and layouts of the arguments: ``src:f32 wei:bf16`` and ``src:abcd wei:Acdb16a``."""
    types, layouts = [], []
    for descriptor in text.split():
        match = _DESCRIPTOR.match(descriptor)
        if match is None or match[2] == "undef":
            continue
        types.append(f"{match[1]}:{match[2]}")
        after = descriptor.partition(":blocked:")[2]
        layouts.append(f"{match[1]}:{after.partition(':')[0] or 'any'}")
    return " ".join(types), " ".join(layouts)


def _attribute(text: str, name: str) -> str | None:
    for attribute in text.split():
        found, _, value = attribute.partition(":")
        if found == name:
            return _fpmath(value) if "fpmath" in name else value
    return None


def _fpmath(value: str) -> str:
    """Return the mode under one name: ``fpmath_mode_bf16`` and ``bf16:true`` are ``bf16``, strict is ``fp32``."""
    mode = value.removeprefix("fpmath_mode_").partition(":")[0]
    return STRICT if mode in ("", "strict") else mode


def weights_of(primitive: Primitive) -> tuple[str, str] | None:
    """Return dimensions and layout of a primitive's weights as a reorder into them writes it: ``64x3x7x7, Acdb16a``."""
    dimensions = weights_dimensions(primitive)
    layout = next((text[4:] for text in primitive.layouts.split() if text.startswith("wei:")), None)
    return (dimensions, layout) if dimensions and layout else None


def weights_dimensions(primitive: Primitive) -> str | None:
    """Return the dimensions of a primitive's weights as a reorder of them writes it, if it has any."""
    problem = primitive.problem.split(" ")[-1]
    if primitive.kind == "matmul":
        return problem.split(":")[1] if ":" in problem else None
    if primitive.kind not in ("convolution", "inner_product"):
        return None
    sizes = {name: int(size) for name, size in _SIZE.findall(problem)}
    if "ic" not in sizes or "oc" not in sizes:
        return None
    groups = sizes.get("g", 1)
    axes = ("kd", "kh", "kw") if primitive.kind == "convolution" else ("id", "ih", "iw")
    spatial = [sizes[name] for name in axes if name in sizes]
    whole = [groups] if groups > 1 else []
    return "x".join(str(size) for size in (*whole, sizes["oc"] // groups, sizes["ic"] // groups, *spatial))
