"""Pictures as files: PNG and SVG, drawn by kaleido in a Chromium that the system has."""

from __future__ import annotations

from typing import Any

from profkit.compare.records.diff import Comparison
from profkit.compare.records.many import Overview
from profkit.errors import CaptureError, UsageError
from profkit.report.escape import markup
from profkit.report.figures import figures
from profkit.report.formats.html.page import Picture

WIDTH = 900  # pixels; twice as many in a PNG
_OF_A_WORKLOAD = {
    "waterfall": ("Who is responsible", figures.waterfall),
    "latency": ("Latency distributions", figures.latency),
    "icicle": ("Call tree", figures.icicle),
    "primitives": ("Primitives before and after", figures.primitives),
}


def diff_picture(comparison: Comparison, kind: str) -> Picture:
    """Return one picture of a comparison; raises UsageError where it would need one workload of several."""
    sides = f"{comparison.baseline.label} → {comparison.candidate.label}"
    if kind == "speedup":
        return Picture(f"Speedup, {sides}", figures.speedups(comparison))
    if kind not in _OF_A_WORKLOAD:
        raise UsageError(f"a diff has no {kind}", hint=f"It has speedup, {', '.join(_OF_A_WORKLOAD)}.")
    if len(comparison.workloads) > 1:
        names = ", ".join(workload.name for workload in comparison.workloads)
        hint = "Name the folders of one, such as logs/1.13/resnet50 logs/2.0/resnet50."
        raise UsageError(f"a {kind} is of one workload, and there are {names}", hint=hint)
    title, draw = _OF_A_WORKLOAD[kind]
    return Picture(f"{title}: {comparison.workloads[0].name}, {sides}", draw(comparison.workloads[0]))


def overview_picture(overview: Overview, kind: str) -> Picture:
    """Return one picture of many runs."""
    if kind == "heatmap":
        return Picture(f"Speedup over {overview.baseline}", figures.heatmap(overview))
    if kind == "speedup":
        return Picture(f"Speedup over {overview.baseline}", figures.run_speedups(overview))
    raise UsageError(f"a comparison of many runs has no {kind}", hint="It has heatmap and speedup.")


def render_picture(picture: Picture, form: str) -> bytes:
    """Draw a picture as ``png`` or ``svg``; raises CaptureError where there is no browser to draw it with."""
    import plotly.graph_objects as go

    figure: Any = go.Figure(picture.figure)
    height = picture.figure["layout"]["height"] + 40
    title = {"text": markup(picture.title), "x": 0.01, "font": {"size": 16}}
    layout = {"paper_bgcolor": "white", "plot_bgcolor": "white", "title": title, "height": height, "width": WIDTH}
    figure.update_layout(**layout, margin_t=64, updatemenus=[])
    figure.update_xaxes(gridcolor="#d9dee3").update_yaxes(gridcolor="#d9dee3")
    try:
        image: bytes = figure.to_image(format=form, width=WIDTH, height=height, scale=2 if form == "png" else 1)
    except Exception as error:  # kaleido's are of many kinds: no browser, one that dies, one that hangs
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CaptureError(
            f"no picture could be drawn: {reason}",
            hint="PNG and SVG need a Chromium or Chrome (Debian: apt-get install chromium); .html needs none.",
        ) from None
    return image
