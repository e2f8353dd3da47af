"""Untrusted text from traces and logs, made safe to show."""

from __future__ import annotations

import re

from profkit.shortening import LONGEST, shorten

CELL = 32_767  # characters: the most that a spreadsheet keeps of a cell
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~$&])")


def plain(text: str, longest: int = LONGEST) -> str:
    """Replace control characters, which could move the cursor or reorder a line, by escapes.

    A text of more than ``longest`` characters is shortened first: a trace may hold a name of any length.
    """
    return _NOT_PRINTABLE.sub(lambda match: repr(match[0])[1:-1], shorten(text, longest))


def markdown(text: str) -> str:
    """Escape what Markdown, or HTML inside it, would read as markup."""
    return _MARKDOWN.sub(r"\\\1", plain(text)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def markup(text: str) -> str:
    """Escape what a browser, in a page or a picture, would read as markup."""
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
