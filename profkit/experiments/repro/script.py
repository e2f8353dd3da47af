"""Writes the script that times an operator alone, from its template."""

from __future__ import annotations

import json
from pathlib import Path

from profkit.experiments.repro.calls import Call

WARMUP_S, MEASURE_S = 0.3, 0.5
_TEMPLATE = Path(__file__).with_name("template.txt")


def script_of(call: Call, threads: int | None) -> str:
    """Return the script for a call; it sets ``threads`` intra-op threads if given. It needs PyTorch only."""
    spec = {
        "operator": call.operator,
        "dims": call.dims,
        "types": call.types,
        "strides": call.strides,
        "values": call.values,
        "element": next((kind for kind in call.types if kind and kind not in ("TensorList", "Scalar")), "float"),
        "threads": threads,
        "warmup_s": WARMUP_S,
        "measure_s": MEASURE_S,
    }
    # in a raw text of three quotes: ASCII JSON never has three quotes in a row, nor a backslash at its end
    return _TEMPLATE.read_text(encoding="utf-8").replace("@SPEC@", json.dumps(spec))
