"""A comparison's operators as a pandas DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profkit.errors import UsageError

if TYPE_CHECKING:
    import pandas

    from profkit.compare.records.diff import Comparison


def operators_frame(comparison: Comparison) -> pandas.DataFrame:
    """Return one row per workload and operator; a side that lacks the operator has NaN there, never 0.

    Raises UsageError where pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UsageError("pandas is not installed", hint="Install it: pip install 'profkit[pandas]'.") from None
    rows = []
    for workload in comparison.workloads:
        for o in workload.operators:
            row: dict[str, object] = {"workload": workload.name, "operator": o.name}
            row |= {field: getattr(o, field) for field in ("input_dims", "module", "stack")}
            for side in ("baseline", "candidate"):
                times = getattr(o, side)
                for field in ("calls", "self_host_ns", "total_host_ns"):
                    row[f"{side}_{field}"] = getattr(times, field) if times else None
            tail = ("speedup", "low", "high", "p_value", "q_value", "delta_ns", "verdict", "paired_with")
            rows.append(row | {field: getattr(o, field) for field in tail})
    frame = pandas.DataFrame(rows)
    places = ["input_dims", "module", "stack"]
    unused = [name for name in places if name in frame and frame[name].isna().all()]
    figures = [name for name in frame.columns if name.endswith(("_ns", "_calls", "_value")) or name in _RATIOS]
    return frame.drop(columns=unused).astype(dict.fromkeys(figures, "float64"))


_RATIOS = ("speedup", "low", "high")
