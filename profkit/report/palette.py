"""The colours of pages and pictures, and how the parts of a picture look.

One meaning per colour. Faster and slower are blue and orange, which those who cannot tell red from green can tell
apart; the two sides have colours of their own, and so have times and quantiles, which are neither. The hues are those
of M. Okabe and K. Ito, "Color Universal Design" (2008), darkened or lightened until text in them has a contrast of at
least 4.5 to its background (WCAG 2.1, 1.4.3).
"""

from __future__ import annotations

import re

LIGHT = {
    "ink": "#1b2228",
    "faint": "#56616c",
    "line": "#d7dde3",
    "paper": "#ffffff",
    "wash": "#f3f5f7",
    "faster": "#0a64a4",
    "slower": "#b34a00",
    "faster-wash": "#e6f1f9",
    "slower-wash": "#fdeee3",
    "neutral": "#66717c",
    "baseline": "#6b7580",
    "candidate": "#a8457f",
    "time": "#2b8a78",
    "q50": "#6fb8a8",
    "q90": "#2b8a78",
    "q99": "#0d4a3f",
    "p0": "#4a6fb3",
    "p1": "#c29422",
    "p2": "#3f9a5b",
    "p3": "#8a5fb0",
    "p4": "#b5564d",
    "p5": "#3f95a8",
    "p6": "#8d7a3a",
    "p7": "#c06fa5",
    "p8": "#9aa4ad",
}
DARK = {
    "ink": "#e6eaee",
    "faint": "#a2adb8",
    "line": "#3a434c",
    "paper": "#14181c",
    "wash": "#1d2329",
    "faster": "#69b4ee",
    "slower": "#f59a57",
    "faster-wash": "#14293a",
    "slower-wash": "#36220f",
    "neutral": "#97a3ae",
    "baseline": "#97a1ac",
    "candidate": "#dd8fbe",
    "time": "#4fb5a1",
    "q50": "#35705f",
    "q90": "#4fb5a1",
    "q99": "#b5efe2",
    "p0": "#7f9fdb",
    "p1": "#d9b14e",
    "p2": "#6cc088",
    "p3": "#b08fd4",
    "p4": "#d98880",
    "p5": "#6fc0d2",
    "p6": "#b8a568",
    "p7": "#dd9cc6",
    "p8": "#6b757f",
}
FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
PARTS = tuple(f"p{number}" for number in range(9))
"""Colours of parts that stand beside each other, the last for what is left; they mean nothing else."""
_FILLS = (
    *("faster", "slower", "neutral", "baseline", "candidate", "time", "q50", "q90", "q99", "ink", "faint", "wash"),
    *("faster-wash", "slower-wash"),
    *PARTS,
)
_PARTS = f"""
.pk text {{ font: 13px {FONT}; fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }}
.pk .s {{ font-size: 12px; fill: var(--faint); }}
.pk .v {{ font-variant-numeric: tabular-nums; }}
.pk .b {{ font-weight: 600; }}
.pk .grid {{ stroke: var(--line); stroke-width: 1; fill: none; }}
.pk .axis {{ stroke: var(--faint); stroke-width: 1; fill: none; }}
.pk .one {{ stroke: var(--ink); stroke-width: 1.5; fill: none; }}
.pk .hollow {{ fill: var(--paper); stroke-width: 2; }}
.pk .edge {{ stroke: var(--paper); stroke-width: 1; }}
.pk .k1 {{ fill-opacity: .15; }} .pk .k2 {{ fill-opacity: .25; }} .pk .k3 {{ fill-opacity: .35; }}
.pk .k4 {{ fill-opacity: .45; }} .pk .k5 {{ fill-opacity: .55; }}
.pk .t {{ font-size: 12px; }}
.pk .t, .pk .c {{ stroke: none; }}
.pk .lone {{ fill: var(--wash); stroke: var(--neutral); stroke-width: 1; stroke-dasharray: 3 2; }}
.pk .dash {{ stroke-dasharray: 6 4; }}
.pk .dot {{ stroke-dasharray: 2 3; }}
"""


def variables(colours: dict[str, str]) -> str:
    """Return colours as the variables of a style sheet."""
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def parts_style() -> str:
    """Return the style of the parts of pictures, in variables.

    The class ``f-NAME`` fills with a colour, ``l-NAME`` draws a line in it.
    """
    fills = "\n".join(
        f".pk .f-{name} {{ fill: var(--{name}); }} .pk text.f-{name} {{ fill: var(--{name}); }} "
        f".pk .l-{name} {{ stroke: var(--{name}); stroke-width: 1.5; fill: none; }} "
        f".pk .hollow.l-{name} {{ fill: var(--paper); stroke-width: 2; }}"
        for name in _FILLS
    )
    return f"{_PARTS}{fills}\n"


def fixed_style(colours: dict[str, str], more: str = "") -> str:
    """Return the same and ``more`` with the colours themselves, for a program that draws SVG but knows no variables."""
    return re.sub(r"var\(--([\w-]+)\)", lambda match: colours[match[1]], parts_style() + more)
