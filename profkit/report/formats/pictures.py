"""Pictures as files: PNG and SVG, drawn by kaleido in a Chromium that is installed on the system."""

from __future__ import annotations

from typing import Any

from profkit.errors import CaptureError
from profkit.report.escape import markup
from profkit.report.page import Picture

WIDTH = 900  # pixels, twice as many in a PNG: fits a page of text


def render_picture(picture: Picture, form: str) -> bytes:
    """Draw a picture as ``png`` or ``svg``; raises CaptureError if there is no browser to draw it with."""
    import plotly.graph_objects as go

    figure: Any = go.Figure(picture.figure)
    height = picture.figure["layout"]["height"] + 40
    title = {"text": markup(picture.title), "x": 0.01, "font": {"size": 16}}
    layout = {"paper_bgcolor": "white", "plot_bgcolor": "white", "title": title, "height": height, "width": WIDTH}
    figure.update_layout(**layout, margin_t=64, updatemenus=[])
    figure.update_xaxes(gridcolor="#d9dee3").update_yaxes(gridcolor="#d9dee3")
    try:
        image: bytes = figure.to_image(format=form, width=WIDTH, height=height, scale=2 if form == "png" else 1)
    except Exception as error:  # kaleido raises many types: no browser, one that dies, one that hangs
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CaptureError(
            f"the picture could not be drawn: {reason}",
            hint="PNG and SVG need a Chromium or Chrome (Debian: apt-get install chromium); .html does not.",
        ) from None
    return image
