"""Parses one record of oneDNN's verbose log, in each of its grammars.

After a mark, which depends on the version, a record is::

    operation,primitive,...                       mkldnn_verbose: 0.x; 1.0 names the engine, as below
    operation,engine,primitive,...                dnnl_verbose: 1.x
    [ts,]operation,engine,primitive,...           onednn_verbose: 2.x and 3.0 to 3.1 (PyTorch 1.13 to 2.1)
    [ts,]primitive,operation,engine,...           3.2 to 3.4 (PyTorch 2.2 to 2.6)
    v0|v1,[ts,]primitive|graph|ukernel,operation,engine,...     later

A primitive ends with ``primitive,implementation,prop_kind,memory_descriptors,attributes,auxiliary,problem,duration``;
up to oneDNN 1.1 without the attributes. A partition of the graph API ends with
``id[,kind],operators,formats,tensors[,fpmath][,scratchpad][,implementation],backend,duration``; what the backend runs
in it beside primitives with ``name,id,attrs:{...},inputs:{...},outputs:{...},duration``.
Source: oneDNN's documentation, "Verbose Mode"; ``init_info_*`` in its ``src/common/verbose.cpp``;
``src/common/gemm.cpp`` and ``src/cpu/x64/ukernel`` (no implementation); ``src/graph/utils/verbose.cpp`` and, for
onednn_graph_verbose, ``src/utils/verbose.cpp`` of oneDNN Graph; logs of the PyTorch versions named.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec

from profkit.onednn.descriptors import UNDEFINED, parse_arguments
from profkit.onednn.records import STRICT

ENGINE = re.compile(r"(?:cpu|gpu|cpu2gpu|gpu2cpu)(?::\d+)?")
PRIMITIVE_FIELDS = 9  # operation, engine, kind, implementation, prop_kind, descriptors, attributes, auxiliary, problem
_SIZE = re.compile(r"(ic|oc|id|ih|iw|kd|kh|kw|g)(\d{1,12})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PROP_KINDS = frozenset(
    "undef forward forward_training forward_inference forward_scoring "
    "backward backward_data backward_weights backward_bias".split()
)
_OLD_POST_OPS = re.compile(r"post_ops:'([^']*)'")  # oneDNN 1.x and 2.0
_TENSOR = re.compile(r"(?:((?:in|out)\d+)_)?(\w+):\d+(?::[a-z_]+){1,2}:(-?\d+(?:x-?\d+)*)")  # of a partition
_BETWEEN_TENSORS = re.compile(r"[ ,{}]")
_SDPA_ARGUMENT = re.compile(r"(query|key|val|msk):(\w+):([\dx*-]*)")

Operation = Literal["exec", "create"]


class _FirstField(NamedTuple):
    """What the first field of a record says: see :class:`Primitive`."""

    operation: Operation
    cached: bool | None
    is_nested: bool = False


class Primitive(msgspec.Struct, frozen=True):
    """A distinct record: all of a line except its time stamp and duration.

    ``cached`` says whether a creation was served from a cache; None for an execution. ``data_types`` and ``layouts``
    list the arguments, as in ``src:f32 wei:bf16``. ``fpmath`` is ``fp32`` (strict), ``bf16``, ... . ``implementation``
    is ``undef`` if the record names none, as for the GEMM that applications call directly. ``is_graph`` marks a
    partition of the graph API, whose primitives are executed, and logged, inside it. ``is_nested`` marks a record whose
    time is inside another one: the creation of a primitive for another one, or what a partition runs beside primitives.
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
    is_nested: bool = False

    @property
    def is_reorder(self) -> bool:
        """Whether it changes the layout of data."""
        return self.kind == "reorder"


def parse_record(text: str) -> Primitive | None:
    """Parse a record without its mark, version, time stamp and duration; None if it is no record or is incomplete."""
    if _CONTROL.search(text):
        return None  # damaged
    fields = text.split(",")
    component = fields.pop(0) if fields[0] in ("primitive", "graph", "ukernel") else ""
    first = _first_field(fields[0]) if fields else None
    if first is None:
        return None
    # oneDNN Graph before it was a part of oneDNN names no component
    if component == "graph" or (not component and len(fields) > 2 and fields[2].isdigit()):
        return _parse_partition(first, fields)
    arranged = _arrange(fields[1:])
    if arranged is None:
        return None
    engine, kind, implementation, prop_kind, descriptors, attributes, auxiliary, problem = arranged
    if not (engine and kind):
        return None
    arguments = parse_arguments(descriptors)
    direction = prop_kind if prop_kind.startswith("backward") else ""
    return Primitive(
        operation=first.operation,
        cached=first.cached,
        engine=engine,
        kind=kind,
        implementation=implementation or UNDEFINED,
        prop_kind=prop_kind,
        data_types=" ".join(f"{a.name}:{a.type}" for a in arguments if a.type),
        layouts=" ".join(f"{a.name}:{a.layout}" for a in arguments if a.layout),
        fpmath=_attribute(attributes, "attr-fpmath") or _attribute(attributes, "attr-fpmath_mode") or STRICT,
        post_ops=_post_ops(attributes),
        problem=" ".join(filter(None, (direction, auxiliary.strip() if kind not in _QUIET else "", problem))),
        is_nested=first.is_nested,
    )


# of these kinds the auxiliary field, such as the algorithm, is left out of the problem
_QUIET = ("convolution", "reorder", "inner_product", "matmul", "sum", "concat")


def _arrange(fields: list[str]) -> list[str] | None:
    """Return the fields from the engine to the problem, as oneDNN 1.2 and later write them; None if they do not fit."""
    if len(fields) > 4 and fields[1] == "sdpa" and _SDPA_ARGUMENT.fullmatch(fields[4]):
        return _arrange_sdpa(fields)
    if len(fields) == PRIMITIVE_FIELDS - 1:
        return fields
    if len(fields) == 7 and ENGINE.fullmatch(fields[0]) and _has_no_attributes(fields[3:]):  # 1.0 and 1.1
        return [*fields[:5], "", *fields[5:]]
    if len(fields) == 6 and not ENGINE.fullmatch(fields[0]) and _has_no_attributes(fields[2:]):  # 0.x
        return ["cpu", *fields[:4], "", *fields[4:]]
    if len(fields) in (1, 2) and fields[0] in ("zero_pad", "unknown primitive info"):  # oneDNN prints no more of them
        return [UNDEFINED, fields[0].split()[0], *[""] * 6]
    return None


def _has_no_attributes(fields: list[str]) -> bool:
    """Whether these are prop_kind, descriptors, auxiliary and problem, rather than what is left of a damaged record."""
    prop_kind, descriptors, auxiliary, _ = fields
    return (
        prop_kind in _PROP_KINDS
        and (descriptors == "#" or all(":" in descriptor for descriptor in descriptors.split()))
        and not auxiliary.startswith("attr-")
    )


def _arrange_sdpa(fields: list[str]) -> list[str] | None:
    """Arrange ``engine,sdpa,implementation,attributes,query:type:dims,key:...,val:...`` of oneDNN 3.7 and 3.8."""
    arguments = [_SDPA_ARGUMENT.fullmatch(field) for field in fields[4:]]
    if not all(arguments):
        return None
    found = [match for match in arguments if match is not None]
    descriptors = " ".join(f"{match[1]}:{match[2]}::" for match in found)
    return [*fields[:3], UNDEFINED, descriptors, fields[3], "", ":".join(match[3] for match in found)]


def _parse_partition(first: _FirstField, fields: list[str]) -> Primitive | None:
    """Parse the fields from the operation to the backend."""
    if len(fields) < 7 or not ENGINE.fullmatch(fields[1]):
        return None
    if fields[3].isdigit() and fields[4].startswith("attrs:"):
        return _partition(first._replace(is_nested=True), fields[1], fields[2], tensors=",".join(fields[4:]))
    # oneDNN Graph prints # if its buffer is too small for the tensors
    at = next((n for n, field in enumerate(fields) if n > 4 and (_TENSOR.match(field) or field == "#")), 0)
    backend = [field for field in fields[at + 1 :] if not field.startswith(("fpm:", "scratchpad:"))]
    if not at or not fields[2].isdigit() or not backend:
        return None
    kind, operators = ("partition", fields[3]) if at == 5 else (fields[3], ",".join(fields[4 : at - 1]))
    return _partition(
        first,
        fields[1],
        kind,
        implementation=backend[-2:][0],
        fpmath=next((field.removeprefix("fpm:") for field in fields[at + 1 :] if field.startswith("fpm:")), ""),
        operators=operators,
        tensors=fields[at],
    )


def _partition(
    first: _FirstField,
    engine: str,
    kind: str,
    *,
    tensors: str,
    implementation: str = "",
    fpmath: str = "",
    operators: str = "",
) -> Primitive:
    matches = (_TENSOR.match(tensor) for tensor in _BETWEEN_TENSORS.split(tensors))
    found = [(match[1] or "data", match[2], match[3]) for match in matches if match]
    sizes = ":".join(size for name, _, size in found if not name.startswith("out"))
    return Primitive(
        operation=first.operation,
        cached=first.cached,
        engine=engine,
        kind=f"graph {kind}",
        implementation=implementation or UNDEFINED,
        prop_kind="",
        data_types=" ".join(f"{name}:{data_type}" for name, data_type, _ in found),
        layouts="",
        fpmath=_fpmath(fpmath),
        post_ops="",
        problem=" ".join(filter(None, (operators, sizes))),
        is_graph=True,
        is_nested=first.is_nested,
    )


def _first_field(text: str) -> _FirstField | None:
    """Parse ``exec``, ``create``, ``create_nested`` and ``compile``; the last three may name a cache and its answer."""
    name, _, answer = text.partition(":")
    if text == "exec":
        return _FirstField("exec", None)
    if name not in ("create", "create_nested", "compile") or (answer and "cache" not in answer):
        return None
    # GPUs add :kernel_cache_hit and :persistent_cache_hit, once named :from_cache_blob
    return _FirstField("create", answer.endswith(("cache_hit", "from_cache_blob")), name == "create_nested")


def _attribute(text: str, name: str) -> str | None:
    for attribute in text.split():
        found, _, value = attribute.partition(":")
        if found == name:
            return _fpmath(value) if "fpmath" in name else value
    return None


def _post_ops(attributes: str) -> str:
    """Return the fused operations as ``sum+eltwise_relu``."""
    if old := _OLD_POST_OPS.search(attributes):
        return old[1].strip(";").replace(";", "+")
    return _attribute(attributes, "attr-post-ops") or ""


def _fpmath(value: str) -> str:
    """Return the mode under one name: ``fpmath_mode_bf16`` and ``bf16:true`` are ``bf16``, strict is ``fp32``."""
    mode = value.removeprefix("fpmath_mode_").partition(":")[0]
    return STRICT if mode in ("", "strict") else mode


def weights_of(primitive: Primitive) -> tuple[str, str] | None:
    """Return dimensions and layout of a primitive's weights as a reorder into them writes it: ``64x3x7x7, Acdb16a``."""
    dimensions = weights_dimensions(primitive.kind, primitive.problem)
    layout = next((text[4:] for text in primitive.layouts.split() if text.startswith("wei:")), None)
    return (dimensions, layout) if dimensions and layout else None


def weights_dimensions(kind: str, whole_problem: str) -> str | None:
    """Return the dimensions of a primitive's weights as a reorder of them writes it, if it has any."""
    problem = whole_problem.split(" ")[-1]
    if kind == "matmul":
        return problem.split(":")[1] if ":" in problem else None
    if kind not in ("convolution", "inner_product"):
        return None
    sizes = {name: int(size) for name, size in _SIZE.findall(problem)}
    if "ic" not in sizes or "oc" not in sizes:
        return None
    groups = sizes.get("g", 1)
    axes = ("kd", "kh", "kw") if kind == "convolution" else ("id", "ih", "iw")
    spatial = [sizes[name] for name in axes if name in sizes]
    whole = [groups] if groups > 1 else []
    return "x".join(str(size) for size in (*whole, sizes["oc"] // groups, sizes["ic"] // groups, *spatial))
