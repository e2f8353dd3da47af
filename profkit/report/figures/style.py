"""What the figures share: colours, axes, and names that plotly shows as they are.

Faster is blue and slower orange, which those who cannot tell red from green can tell apart; a sign or a word says it
too. Text from traces is escaped, for plotly takes ``<b>`` and ``<a>`` for markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from profkit.report.escape import markup
from profkit.report.page import Figure

if TYPE_CHECKING:
    from profkit.compare.records.diff import Samples, WorkloadChange

FASTER, SLOWER, BASELINE, CANDIDATE, PLAIN = "#2f7ebc", "#d9702b", "#7f8c9a", "#2f7ebc", "#9aa5b1"
SCALE = [[0.0, "#1f5f99"], [0.5, "#e9ecef"], [1.0, "#c75a12"]]
CATEGORIES = {"type": "category", "autorange": "reversed"}  # or a label such as 2.0 is taken for a number
NAMED = 10  # bars with a name of their own: more do not fit a screen
OBJECT_KEYS = ("constructor", "__proto__", "toString", "valueOf", "hasOwnProperty")  # every JavaScript object has
ZERO_WIDTH = "\u200b"  # makes another name of an object's key, which plotly's table of categories cannot hold
LONGEST = 40  # characters of a name on an axis


def sides(change: WorkloadChange) -> list[tuple[str, Samples | None, str]]:
    """Return label, samples and colour of the baseline and the candidate."""
    return [
        (change.baseline.label, change.baseline_samples, BASELINE),
        (change.candidate.label, change.candidate_samples, CANDIDATE),
    ]


def rounds_of(samples: Samples | None, *, unprofiled: bool) -> list[list[int]]:
    """Return the wall times in ns, a list per round; empty if the result holds none."""
    if samples is None:
        return []
    return samples.latency_ns if unprofiled else samples.forward_ns


def axis_labels(names: Sequence[str]) -> list[str]:
    """Return names for an axis: shortened, escaped, and made unique, for plotly merges equal ones."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        text = short(name)
        seen[text] = seen.get(text, 0) + 1
        shown = markup(text if seen[text] == 1 else f"{text} ({seen[text]})")
        found.append(ZERO_WIDTH + shown if text in OBJECT_KEYS else shown)
    return found


def short(name: str) -> str:
    """Cut a name to ``LONGEST`` characters."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def layout_of(title: str, *, height: int) -> Figure:
    """Return a layout with ``title`` on the x axis; ``height`` in pixels."""
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
