"""Pictures as plotly's figure specifications: plain data, drawn in a page by its JavaScript or by kaleido to a file.

Faster is blue and slower orange, which those who cannot tell red from green can tell apart; a sign or a word says it
too. Text from traces is escaped, for plotly takes ``<b>`` and ``<a>`` for markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from profkit import units
from profkit.compare.records.diff import Comparison, Samples, WorkloadChange
from profkit.compare.records.many import Overview
from profkit.errors import UsageError
from profkit.report.escape import markup
from profkit.report.figures.waterfall import steps

Figure = dict[str, Any]

FASTER, SLOWER, BASELINE, CANDIDATE, PLAIN = "#2f7ebc", "#d9702b", "#7f8c9a", "#2f7ebc", "#9aa5b1"
SCALE = [[0.0, "#1f5f99"], [0.5, "#e9ecef"], [1.0, "#c75a12"]]
NAMES = {"type": "category", "autorange": "reversed"}  # or a label such as 2.0 is taken for a number
NAMED = 10  # operators with a bar of their own in the waterfall
THINNEST = 0.0002  # of the call tree: a fifth of a pixel
NODES = 1500  # of the call tree that are drawn
OBJECT_KEYS = ("constructor", "__proto__", "toString", "valueOf", "hasOwnProperty")  # every JavaScript object has
NO_KEY = "\u200b"  # which plotly's table of categories is: a space of no width makes another name of them
LONGEST = 40  # characters of a name on an axis


def waterfall(change: WorkloadChange) -> Figure:
    """Draw the change of the mean forward, part by part."""
    bars = steps(change, NAMED)
    labels = [f"{change.baseline.label}", *(bar.name for bar in bars[1:-1]), f"{change.candidate.label}"]
    ms = [bars[0].end_ns / 1e6, *(bar.delta_ns / 1e6 for bar in bars[1:-1]), bars[-1].end_ns / 1e6]
    texts = [units.duration(bars[0].end_ns), *(units.signed_duration(b.delta_ns) for b in bars[1:-1])]
    data = {
        "type": "waterfall",
        "orientation": "h",
        "measure": ["absolute", *["relative"] * (len(bars) - 2), "total"],
        "y": _labels(labels),
        "x": ms,
        "text": [*texts, units.duration(bars[-1].end_ns)],
        "textposition": "outside",
        "cliponaxis": False,
        "decreasing": {"marker": {"color": FASTER}},
        "increasing": {"marker": {"color": SLOWER}},
        "totals": {"marker": {"color": PLAIN}},
        "connector": {"line": {"width": 1, "color": PLAIN}},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = _layout("mean forward, profiled (ms)", height=120 + 32 * len(bars))
    layout["yaxis"] |= NAMES
    return {"data": [data], "layout": layout}


def latency(change: WorkloadChange) -> Figure:
    """Draw the distribution of each side's wall times, with their percentiles."""
    data: list[Figure] = []
    what = "profiler off" if change.latency is not None else "profiled"
    for label, samples, colour in _sides(change):
        rounds = _rounds(samples, off=change.latency is not None)
        values = [ns / 1e6 for forwards in rounds for ns in forwards]
        data.append(
            {
                "type": "violin",
                "orientation": "h",
                "x": values,
                "y": [markup(label)] * len(values),
                "name": markup(label),
                "line": {"color": colour},
                "points": "all",
                "jitter": 0.6,
                "pointpos": 0,
                "marker": {"size": 3, "opacity": 0.6},
                "spanmode": "hard",
                "showlegend": False,
                "hovertemplate": "%{x:.3f} ms<extra></extra>",
            }
        )
        for name, symbol, q in (("p50", "line-ns", 0.5), ("p90", "triangle-up", 0.9), ("p99", "diamond", 0.99)):
            marker = {"symbol": symbol, "size": 13, "color": colour, "line": {"width": 2, "color": colour}}
            point: Figure = {"type": "scatter", "mode": "markers", "x": [_percentile(values, q)], "y": [markup(label)]}
            point |= {"marker": marker, "name": name, "legendgroup": name, "showlegend": colour == BASELINE}
            data.append(point | {"hovertemplate": f"{name}: %{{x:.3f}} ms<extra></extra>"})
    layout = _layout(f"wall time of a forward, {what} (ms)", height=300)
    layout["yaxis"] |= NAMES
    layout |= {"showlegend": True, "violingap": 0.1}
    return {"data": data, "layout": layout}


def over_time(change: WorkloadChange) -> Figure:
    """Draw each forward's wall time in the order in which it ran, round by round: drift shows."""
    data = []
    what = "profiler off" if change.latency is not None else "profiled"
    for label, samples, colour in _sides(change):
        x: list[float | None] = []
        y: list[float | None] = []
        for number, forwards in enumerate(_rounds(samples, off=change.latency is not None), 1):
            x += [*(number + (k / max(1, len(forwards))) * 0.8 for k in range(len(forwards))), None]
            y += [*(ns / 1e6 for ns in forwards), None]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": x,
                "y": y,
                "name": markup(label),
                "line": {"color": colour, "width": 1},
                "marker": {"size": 4},
                "hovertemplate": "round %{x:.0f}: %{y:.3f} ms<extra>" + markup(label) + "</extra>",
            }
        )
    layout = _layout("round", height=300)
    layout["xaxis"] |= {"dtick": 1}
    layout["yaxis"] |= {"title": {"text": f"forward, {what} (ms)"}, "rangemode": "tozero"}
    return {"data": data, "layout": layout | {"showlegend": True}}


def icicle(change: WorkloadChange) -> Figure:
    """Draw the call tree; widths are times of one side, which buttons choose, and colours the change."""
    data = []
    seen = _visible(change)
    for side in ("candidate", "baseline"):
        ids, parents, labels, values, colours, texts = ["all"], [""], [change.name], [0.0], [0.0], [""]
        for at, call in enumerate(change.calls):
            times = getattr(call, side)
            if times is None or at not in seen:
                continue
            before, after = (t.total_host_ns if t else 0.0 for t in (call.baseline, call.candidate))
            ids.append(str(at))
            parents.append(str(call.parent) if call.parent >= 0 else "all")
            labels.append(_short(call.name))
            values.append(times.total_host_ns / 1e6)
            colours.append(max(-1.0, min(1.0, math.log2(after / before))) if before and after else 0.0)
            both = f"{units.duration(before or None)} → {units.duration(after or None)}"
            texts.append(f"{units.count(times.calls)} calls, {both}")
        values[0] = sum(v for v, p in zip(values, parents, strict=True) if p == "all")
        data.append(
            {
                "type": "icicle",
                "ids": ids,
                "parents": parents,
                "labels": [markup(label) for label in labels],
                "values": _fitting(ids, parents, values),
                "branchvalues": "total",
                "text": texts,
                "hovertemplate": "%{label}<br>%{text}<extra></extra>",
                "textinfo": "label",
                "tiling": {"orientation": "v"},
                "marker": {
                    "colors": colours,
                    "colorscale": SCALE,
                    "cmid": 0,
                    "cmin": -1,
                    "cmax": 1,
                    "showscale": False,
                },
                "visible": side == "candidate",
            }
        )
    layout = _layout("", height=420)
    layout["margin"] = {"l": 4, "r": 4, "t": 44, "b": 4}
    buttons = [
        {"label": markup(f"widths of {label}"), "method": "update", "args": [{"visible": [k == n for n in (0, 1)]}]}
        for k, label in enumerate((change.candidate.label, change.baseline.label))
    ]
    menu = {"type": "buttons", "showactive": False, "direction": "right", "buttons": buttons}
    layout["updatemenus"] = [menu | {"x": 0, "xanchor": "left", "y": 1.12}]
    return {"data": data, "layout": layout}


def _visible(change: WorkloadChange) -> set[int]:
    """Return the calls wide enough to be seen on a side, the largest at most; their callers are wider still."""
    largest = [max(t.total_host_ns for t in (c.baseline, c.candidate) if t) for c in change.calls]
    whole = sum(ns for ns, call in zip(largest, change.calls, strict=True) if call.parent < 0)
    wide = [at for at, ns in enumerate(largest) if ns >= whole * THINNEST]
    found: set[int] = set()
    for at in sorted(wide, key=lambda at: -largest[at])[:NODES]:
        above = at
        while above >= 0 and above not in found:  # a median may make a caller look smaller than what it calls
            found.add(above)
            above = change.calls[above].parent
    return found


def _fitting(ids: Sequence[str], parents: Sequence[str], values: Sequence[float]) -> list[float]:
    """Raise callers to the sum of what they call: medians do not add up, and plotly draws nothing that does not."""
    fitted = dict(zip(ids, values, strict=True))
    sums: dict[str, float] = {}
    for name, parent in zip(reversed(ids), reversed(parents), strict=True):  # callers stand before what they call
        fitted[name] = max(fitted[name], sums.get(name, 0.0))
        sums[parent] = sums.get(parent, 0.0) + fitted[name]
    return [fitted[name] for name in ids]


def primitives(change: WorkloadChange) -> Figure:
    """Draw oneDNN's time per warm forward by implementation, before and after."""
    found = change.primitives
    if found is None:
        raise UsageError(f"{change.name} holds no primitives", hint="Both sides need oneDNN's log: capture them anew.")
    sums: dict[str, list[float]] = {}
    for problem in found.problems:
        for k, times in enumerate((problem.baseline, problem.candidate)):
            if times is not None:
                mode = "" if times.fpmath == "fp32" else f" {times.fpmath}"
                name = f"{problem.kind} {', '.join(times.implementations)}{mode}"
                sums.setdefault(name, [0.0, 0.0])[k] += times.exec_ns / 1e6
    names = sorted(sums, key=lambda name: -max(sums[name]))[:NAMED]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": _labels(names),
            "x": [sums[name][k] for name in names],
            "name": markup(label),
            "marker": {"color": colour},
            "text": [units.duration(sums[name][k] * 1e6) if sums[name][k] else "" for name in names],
            "textposition": "outside",
            "cliponaxis": False,
            "hovertemplate": "%{y}: %{text}<extra></extra>",
        }
        for k, (label, _, colour) in enumerate(_sides(change))
    ]
    layout = _layout("oneDNN per warm forward, under its log (ms)", height=140 + 44 * len(names))
    layout["yaxis"] |= NAMES
    return {"data": data, "layout": layout | {"barmode": "group", "showlegend": True}}


def speedups(comparison: Comparison) -> Figure:
    """Draw each workload's speedup with its 95% interval."""
    found = [(w.name, w.inference.speedup, w.inference.low, w.inference.high) for w in comparison.workloads]
    if len(found) > 1:
        mean = comparison.geomean_speedup
        found.append(("geometric mean", mean.speedup, mean.low, mean.high))
    return _bars(found, f"speedup of {comparison.candidate.label} over {comparison.baseline.label}")


def run_speedups(overview: Overview) -> Figure:
    """Draw each run's speedup over the baseline, the geometric mean of several workloads, with its interval."""
    means = [(run.label, run.geomean_speedup) for run in overview.runs if run.label != overview.baseline]
    return _bars([(n, m.speedup, m.low, m.high) for n, m in means], f"speedup over {overview.baseline}")


def _bars(found: Sequence[tuple[str, float | None, float | None, float | None]], title: str) -> Figure:
    rows = [row for row in found if row[1] is not None]
    values = [value or 0.0 for _, value, _, _ in rows]
    data = {
        "type": "bar",
        "orientation": "h",
        "y": _labels([row[0] for row in rows]),
        "x": values,
        "marker": {"color": [_colour(low, high) for _, _, low, high in rows]},
        "text": [f"{units.ratio(v)} {units.interval(low, high)}" for _, v, low, high in rows],
        "textposition": "inside",
        "insidetextanchor": "start",
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(high or value or 0.0) - (value or 0.0) for _, value, _, high in rows],
            "arrayminus": [(value or 0.0) - (low or value or 0.0) for _, value, low, _ in rows],
        },
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = _layout(markup(title), height=110 + 34 * len(rows))
    layout["yaxis"] |= NAMES
    layout["xaxis"] |= {"rangemode": "tozero"}
    layout["shapes"] = [_line_at_one()]
    return {"data": [data], "layout": layout}


def _colour(low: float | None, high: float | None) -> str:
    if low is not None and low > 1:
        return FASTER
    return SLOWER if high is not None and high < 1 else PLAIN


def _line_at_one() -> Figure:
    line = {"color": "#888", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def heatmap(overview: Overview) -> Figure:
    """Draw the speedups of all runs and workloads; ``~`` marks what noise may have made."""
    columns = [*overview.workloads, *(["geometric mean"] if len(overview.workloads) > 1 else [])]
    z: list[list[float | None]] = []
    texts: list[list[str]] = []
    for run in overview.runs:
        entries = {entry.workload: entry for entry in run.entries}
        row: list[tuple[float | None, str]] = []
        for name in overview.workloads:
            entry = entries.get(name)
            ratio = 1.0 if entry and run.label == overview.baseline else entry.speedup if entry else None
            mark = "~ " if entry and entry.verdict == "same" else ""
            row.append((ratio, "" if ratio is None else mark + units.ratio(ratio)))
        if len(overview.workloads) > 1:
            mean = run.geomean_speedup.speedup
            row.append((mean, units.ratio(mean)))
        z.append([None if ratio is None else -math.log2(ratio) for ratio, _ in row])
        texts.append([text for _, text in row])
    data = {
        "type": "heatmap",
        "x": _labels(columns),
        "y": _labels([run.label for run in overview.runs]),
        "z": z,
        "text": texts,
        "texttemplate": "%{text}",
        "textfont": {"color": "#111"},
        "colorscale": SCALE,
        "zmid": 0,
        "zmin": -1,
        "zmax": 1,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{y}, %{x}: %{text}<extra></extra>",
    }
    layout = _layout("", height=110 + 34 * len(overview.runs))
    layout["yaxis"] |= NAMES
    layout["xaxis"] |= {"side": "top", "showgrid": False, "type": "category"}
    return {"data": [data], "layout": layout}


def parts(title: str, rows: Sequence[tuple[str, float]]) -> Figure:
    """Draw the largest parts of a whole, in ns."""
    shown = sorted(rows, key=lambda row: -row[1])[: 2 * NAMED]
    data = {
        "type": "bar",
        "orientation": "h",
        "y": _labels([name for name, _ in shown]),
        "x": [ns / 1e6 for _, ns in shown],
        "marker": {"color": FASTER},
        "text": [units.duration(ns) for _, ns in shown],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = _layout(markup(title), height=110 + 26 * len(shown))
    layout["yaxis"] |= NAMES
    return {"data": [data], "layout": layout}


def _sides(change: WorkloadChange) -> list[tuple[str, Samples | None, str]]:
    return [
        (change.baseline.label, change.baseline_samples, BASELINE),
        (change.candidate.label, change.candidate_samples, CANDIDATE),
    ]


def _rounds(samples: Samples | None, *, off: bool) -> list[list[int]]:
    if samples is None:
        return []
    return samples.latency_ns if off else samples.forward_ns


def _percentile(values: Sequence[float], q: float) -> float | None:
    """Return the percentile, linear between samples as in the tables."""
    if not values:
        return None
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _labels(names: Sequence[str]) -> list[str]:
    """Return names for an axis: short, escaped, and told apart, for plotly takes equal ones for one."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        text = _short(name)
        seen[text] = seen.get(text, 0) + 1
        shown = markup(text if seen[text] == 1 else f"{text} ({seen[text]})")
        found.append(NO_KEY + shown if text in OBJECT_KEYS else shown)
    return found


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _layout(title: str, *, height: int) -> Figure:
    axis = {"automargin": True, "zeroline": False}
    return {
        "height": height,
        "margin": {"l": 8, "r": 70, "t": 24, "b": 44},
        "font": {"size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {**axis, "title": {"text": title}},
        "yaxis": dict(axis),
        "showlegend": False,
        "legend": {"orientation": "h", "y": -0.25},
        "hoverlabel": {"namelength": -1},
    }
