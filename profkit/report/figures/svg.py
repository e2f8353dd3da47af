"""The elements of a picture as SVG text. Every word that goes in is escaped, every number is rounded alike.

Colours and fonts are classes, which ``report/palette.py`` defines: ``f-NAME`` fills with a colour, ``l-NAME`` draws a
line in it. Widths of texts are estimates, for the fonts are the reader's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from profkit.report.escape import markup, plain

EM = 13.0  # pixels: the size of a text
SMALL_EM = 12.0
_WIDE = "mwMW@%→←—…"
_SLIM = "iljtfrI.,:;'|()[]!/ -"


def number(value: float) -> str:
    """Return a coordinate in pixels with one decimal, the same on every machine."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def element(name: str, kind: str, title: str, **places: float) -> str:
    """Return an element with its class, its numbers, and a title that shows when it is pointed at."""
    attributes = "".join(f' {key}="{number(value)}"' for key, value in places.items())
    return _closed(name, f' class="{kind}"{attributes}', title)


def _closed(name: str, attributes: str, title: str) -> str:
    inside = f"><title>{markup(title)}</title></{name}>" if title else "/>"
    return f"<{name}{attributes}{inside}"


def line(x1: float, y1: float, x2: float, y2: float, kind: str, title: str = "") -> str:
    """Return a straight line."""
    return element("line", kind, title, x1=x1, y1=y1, x2=x2, y2=y2)


def rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    """Return a rectangle."""
    return element("rect", kind, title, x=x, y=y, width=max(0.0, width), height=max(0.0, height))


def circle(x: float, y: float, radius: float, kind: str, title: str = "") -> str:
    """Return a circle."""
    return element("circle", kind, title, cx=x, cy=y, r=radius)


def path(points: Iterable[tuple[float, float]], kind: str, title: str = "", *, closed: bool = False) -> str:
    """Return lines from point to point."""
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return _closed("path", f' class="{kind}" d="M{steps}{"Z" * closed}"', title) if steps else ""


def marker(shape: str, x: float, y: float, size: float, kind: str, title: str = "") -> str:
    """Return a circle, triangle or diamond of ``size`` pixels around a place."""
    if shape == "circle":
        return circle(x, y, size / 2, kind, title)
    r = size * 0.62
    corners = {
        "triangle": [(x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8)],
        "diamond": [(x, y - r), (x + r, y), (x, y + r), (x - r, y)],
    }
    return path(corners[shape], kind, title, closed=True)


def text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    """Return a text whose baseline is at ``y``; ``anchor`` is the side of it that is at ``x``: start, middle or end."""
    shown = f' class="{kind}"' * bool(kind)
    side = f' text-anchor="{anchor}"' * (anchor != "start")
    return f'<text x="{number(x)}" y="{number(y)}"{shown}{side}>{markup(words)}</text>'


def text_width(words: str, em: float = EM) -> float:
    """Estimate the width of a text in pixels, rather too large than too small."""
    return em * sum(_letter(letter) for letter in words)


def _letter(letter: str) -> float:
    if letter in _WIDE:
        return 0.95
    if letter in _SLIM:
        return 0.4
    return 1.05 if unicodedata.east_asian_width(letter) in "WF" else 0.63


def fit(words: str, room: float, em: float = EM) -> str:
    """Shorten a text in its middle until it fits ``room`` pixels; empty if next to nothing fits."""
    words = plain(words)
    if text_width(words, em) <= room:
        return words
    most = min(len(words), int(room / em / 0.4) + 1)
    while most > 2:
        tail = most // 3
        short = f"{words[: most - tail]}…{words[len(words) - tail :]}"
        if text_width(short, em) <= room:
            return short
        most -= 1
    return ""


def widest(texts: Sequence[str], em: float = EM) -> float:
    """Return the width of the widest of some texts in pixels, 0 without any."""
    return max((text_width(plain(words), em) for words in texts), default=0.0)
