"""Operators whose names torch.compile numbers anew in each process: the part of a name that stays the same.

Graphs, kernels and compiled regions are numbered in the order in which they are compiled, and some names contain a hash
of the code, so the same work has another name after any change of the model or of PyTorch. The forms are those that
2.0 to 2.15 write.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from profkit.trace.events import Trace

_LONGEST = 1_000  # characters of such a name: kernels that fuse hundreds of operators have names of a few hundred
_FORMS = (
    # frame and compilation, such as 0/1, of a compiled function: torch/_dynamo/eval_frame.py
    r"(Torch-Compiled Region)(?:: [!0-9][0-9/_-]*)?",
    # graph number (up to 2.4), fused operators, kernel number: torch/_inductor/codegen/cpp.py
    r"(?:graph_[0-9]+_)?(cpp_(?:fused|Cpp)\w*?)(?:_[0-9]+)?",
    # the same for Triton; some versions add the specialised arguments, such as 0d1d2de
    r"(?:graph_[0-9]+_)?(triton\w*?)(?:_[0-9]+)?(?:_[0-9][0-9cde]*)?",
    # the key of inductor's cache of graphs: torch/_inductor/output_code.py
    r"(## Call CompiledFxGraph)(?: \w+ ##)?",
)
_BEGINNINGS = ("Torch-Compiled", "graph_", "cpp_", "triton", "## Call")


def stem(name: str) -> str | None:
    """Return the part of a generated name that does not depend on the order of compilation; None for other names.

    The stem of a stem is itself.
    """
    if not name.startswith(_BEGINNINGS) or len(name) > _LONGEST:
        return None
    found = (re.fullmatch(form, name) for form in _FORMS)
    return next((match[1] for match in found if match is not None), None)


def under_stems(trace: Trace) -> Trace | None:
    """Return ``trace`` with each generated name replaced by its stem; None if it has no such name."""
    names = [stem(name) or name for name in trace.names]
    if names == list(trace.names):
        return None
    positions: dict[str, int] = {}
    moved = np.array([positions.setdefault(name, len(positions)) for name in names], dtype=np.int32)
    return replace(trace, names=tuple(positions), events=replace(trace.events, name=moved[trace.events.name]))
