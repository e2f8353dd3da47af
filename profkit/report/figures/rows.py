"""What figures of named rows share: where the names stand, and legends."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from profkit.report.figures import svg

NAMED = 10  # rows with a name of their own: more do not fit a screen
NARROW = 560  # pixels: below this a row's name and figure stand above its marks, not beside them
_GAP = 12.0
_ABOVE = 18.0  # pixels that a line of text above the marks takes


class Rows(msgspec.Struct, frozen=True):
    """Rows of ``pitch`` pixels from ``top``: names, marks from ``left`` to ``right``, and texts.

    If ``above``, names and texts share a line above the marks.
    """

    width: int
    left: float
    right: float
    top: float
    pitch: float
    above: bool

    @property
    def text_offset(self) -> float:
        """What a row's line of text takes of its height."""
        return _ABOVE if self.above else 0.0

    def middle(self, row: int) -> float:
        """Return the height at which the marks of a row are."""
        return self.top + self.pitch * row + self.text_offset + (self.pitch - self.text_offset) / 2

    def bottom(self, count: int) -> float:
        """Return where ``count`` rows end."""
        return self.top + self.pitch * count

    def words(self, row: int, name: str, said: str, kind: str = "v", *, name_kind: str = "") -> str:
        """Draw the name of a row and what is said of it."""
        if self.above:
            y = self.top + self.pitch * row + 13
            room = self.width - 8 - svg.text_width(said) - _GAP
            return svg.text(4, y, svg.fit(name, room), name_kind) + svg.text(
                self.width - 4, y, said, kind, anchor="end"
            )
        y = self.middle(row) + 4.5
        named = svg.text(self.left - _GAP, y, svg.fit(name, self.left - _GAP - 4), name_kind, anchor="end")
        return named + svg.text(self.right + _GAP, y, said, kind)


def rows_of(width: int, names: Sequence[str], said: Sequence[str], *, top: float = 8.0, pitch: float = 30.0) -> Rows:
    """Return the places of some rows in a picture of ``width`` pixels."""
    if width < NARROW:
        return Rows(width, 10.0, width - 10.0, top, pitch + _ABOVE - 4, True)
    left = min(svg.widest(names), 0.36 * width) + _GAP + 5
    right = width - svg.widest(said) - _GAP - 4
    return Rows(width, left, right, top, pitch, False)


def legend(x: float, y: float, entries: Sequence[tuple[str, str]], *, room: float) -> str:
    """Draw squares of a colour with what they mean, in one line; ``entries`` are pairs of class and text."""
    parts = []
    each = room / max(1, len(entries))
    for kind, words in entries:
        shown = svg.fit(words, each - 30, svg.SMALL_EM)
        parts.append(svg.rect(x, y - 9, 11, 11, kind) + svg.text(x + 16, y, shown, "s"))
        x += 30 + svg.text_width(shown, svg.SMALL_EM)
    return "".join(parts)
