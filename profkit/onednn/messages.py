"""Lines of oneDNN's verbose log that are no records: messages, such as why an implementation was not chosen.

A message is ``[component,]operation,[part,]text[,file:line]``, for example::

    primitive,create:dispatch,matmul,cpu,matmul,brg:avx512_core_amx,undef,...,unsupported isa,src/.../matmul.cpp:97
    primitive,create:check,matmul,dimension src:1 is inconsistent with weights:0,src/common/matmul.cpp:144
    common,error,runtime,OpenCL device not found,src/gpu/intel/sycl/utils.cpp:137
    primitive,exec:external,CpuGemmAssemblyWrapperKernel/sve_hybrid_fp32_mla_6x4VL,0.0625

If it is about one implementation, the fields of a primitive stand between part and text.
Source: the macros VINFO, VERROR, VWARN, VDEBUGINFO and VPROF in oneDNN's ``src/common/verbose.hpp``,
LOG_ACL_UNSUPPORTED in ``src/cpu/aarch64/acl_utils.hpp``, and logs with ONEDNN_VERBOSE=all.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from profkit.onednn.descriptors import UNDEFINED
from profkit.onednn.grammar import ENGINE, PRIMITIVE_FIELDS

DISPATCH = "create:dispatch"
_COMPONENTS = ("primitive", "graph", "ukernel", "common", "cpu", "gpu")
_COMPONENT = f"(?:(?:{'|'.join(_COMPONENTS)}),)?".encode()
# a creation or execution with a suffix is a record only if the suffix names a cache (create:cache_hit)
_MESSAGE = re.compile(
    _COMPONENT
    + rb"(?:(?:exec|create|create_nested|compile):(?![a-z_]*cache)[a-z_]+|error|warn|warning|debug|debuginfo"
    + rb"|profile|profiling),|cpu,acl,|(?:primitive,)?exec,kernel execution complete"
)
# the header, and the template of a record, which oneDNN 3.5 and 3.6 print with a second mark in the same line
_INFORMATION = re.compile(_COMPONENT + rb"info\b|(?:timestamp,)?operation,[\w,]*exec_time\s*$|\s*$")
_SOURCE = re.compile(r"\S+\.\w+:\d+")
_WITH_DURATION = ("exec:external", "exec")
_LONGEST_TEXT = 1000  # characters: oneDNN's messages have at most about 200


class Message(NamedTuple):
    """One message.

    ``kind`` is the kind of primitive, or the part of oneDNN, that it is about. ``kind`` and ``implementation`` are
    empty if the message does not name them.
    """

    operation: str
    kind: str
    implementation: str
    text: str


def is_message(line: bytes) -> bool:
    """Whether a line, without its mark, version and time stamp, is a message."""
    return _MESSAGE.match(line) is not None


def is_information(line: bytes) -> bool:
    """Whether a line, without its mark, version and time stamp, belongs to the header, or is empty."""
    return _INFORMATION.match(line) is not None


def parse_message(text: str) -> Message:
    """Parse a line for which :func:`is_message` holds; a text that is too long to be shown is cut."""
    found = _parse(text)
    return found if len(found.text) <= _LONGEST_TEXT else found._replace(text=f"{found.text[:_LONGEST_TEXT]}…")


def _parse(text: str) -> Message:
    fields = text.rstrip().split(",")
    if fields[:2] == ["cpu", "acl"]:
        return Message(DISPATCH, "", "acl", ",".join(fields[2:]))
    at = 1 if fields[0] in _COMPONENTS else 0
    operation, rest = fields[at], fields[at + 1 :]
    if len(rest) > 1 and (operation in _WITH_DURATION or _SOURCE.fullmatch(rest[-1])):
        rest = rest[:-1]
    if len(rest) > 1 and ENGINE.fullmatch(rest[1]):
        rest = rest[1:]  # repeats the kind
    if len(rest) > 2 and ENGINE.fullmatch(rest[0]):
        return Message(operation, rest[1], rest[2] or UNDEFINED, _reason(operation, rest))
    if len(rest) > 1:
        return Message(operation, rest[0], "", ",".join(rest[1:]))
    return Message(operation, "", "", ",".join(rest))


def _reason(operation: str, fields: list[str]) -> str:
    """Return what follows the fields of a primitive, of which oneDNN 3.7's sdpa has fewer."""
    if len(fields) >= PRIMITIVE_FIELDS:
        return ",".join(fields[PRIMITIVE_FIELDS - 1 :]).strip()
    return "" if operation.endswith(":start") else fields[-1]
