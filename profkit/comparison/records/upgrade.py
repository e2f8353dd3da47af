"""Older saved results as the present records: ``diff/1`` and ``compare/1``, and oneDNN's executions called kernels.

In those schemas ``same`` meant that no change was shown. Now it means that the whole interval lies inside the margin,
so each is judged again by its interval.
"""

from __future__ import annotations

import math
from typing import Any

from profkit.stats.judged import MARGIN


def upgrade_diff(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``diff/1`` document as ``diff/2`` has them; raises KeyError or TypeError if malformed."""
    workloads = [_workload(workload) for workload in fields["workloads"]]
    gates = [
        {**g, "outcome": "inconclusive" if g["outcome"] == "not judged" else g["outcome"]}
        for g in fields.get("gates", [])
    ]
    mean = _estimate(fields["geomean_speedup"])
    return {**fields, "schema": "diff/2", "geomean_speedup": mean, "workloads": workloads, "gates": gates}


def upgrade_compare(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``compare/1`` document as ``compare/2`` has them; raises KeyError or TypeError."""
    runs = [
        {
            **run,
            "entries": [_judged_again(entry) for entry in run["entries"]],
            "geomean_speedup": _estimate(run["geomean_speedup"]),
        }
        for run in fields["runs"]
    ]
    return {**fields, "schema": "compare/2", "runs": runs}


def upgrade_operators(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an ``operators/1`` document with oneDNN's executions under their present name."""
    rows = [{**row, "primitives": row.get("primitives", row.get("kernels", []))} for row in fields["operators"]]
    return {**fields, "operators": rows}


def _workload(fields: dict[str, Any]) -> dict[str, Any]:
    latency = fields["latency"]
    if latency is not None:
        # diff/1 gave the percentiles no verdict, so they are not shown
        latency = {**_judged_again(latency), "p90": None, "p99": None}
    return {
        **fields,
        "forward": _judged_again(fields["forward"]),
        "latency": latency,
        "operators": [_operator(row) for row in fields["operators"]],
        "primitives": fields.get("kernels"),
    }


def _operator(fields: dict[str, Any]) -> dict[str, Any]:
    total = _judged_again({**_estimate(fields.get("total") or {}), "verdict": fields.get("total_verdict")})
    return {**_judged_again(fields), "total": total}


def _estimate(fields: dict[str, Any]) -> dict[str, Any]:
    return {"speedup": fields.get("value"), "low": fields.get("low"), "high": fields.get("high")}


def _judged_again(fields: dict[str, Any]) -> dict[str, Any]:
    low, high = fields.get("low"), fields.get("high")
    verdict = fields.get("verdict")
    if verdict in ("faster", "slower") and (low is None or high is None):
        verdict = "inconclusive"
    elif verdict == "same":
        verdict = "same" if _is_inside_margin(low, high) else "inconclusive"
    return {**fields, "verdict": verdict}


def _is_inside_margin(low: object, high: object) -> bool:
    if not isinstance(low, (int, float)) or not isinstance(high, (int, float)) or min(low, high) <= 0:
        return False
    return max(abs(math.log(low)), abs(math.log(high))) <= math.log1p(MARGIN)
