"""JSON as text that keeps what a mutation may change: the digits of numbers, the order of members, duplicate keys."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LONGEST_ESCAPED = 200  # characters of a text with escapes: longer ones are filling


class Raw(str):
    """JSON text that is written as it is: a number in its own digits, or something that is not JSON."""

    __slots__ = ()


class Members(list[Any]):
    """An object as a list of ``[key, value]``; a key may occur twice."""

    def get(self, key: str) -> Any:
        """Return the value of the last member with this key, which is the one that counts; None without one."""
        return next((value for name, value in reversed(self) if name == key), None)

    def set(self, key: str, value: Any) -> None:
        """Replace the value of the first member with this key, or add one."""
        for member in self:
            if member[0] == key:
                member[1] = value
                return
        self.append([key, value])

    def remove_key(self, key: str) -> None:
        """Remove every member with this key."""
        self[:] = [member for member in self if member[0] != key]


def parse(text: str | bytes) -> Any:
    """Parse JSON into Members, lists, texts, ``Raw`` numbers, booleans and None; raises ValueError."""
    return json.loads(
        text,
        object_pairs_hook=lambda pairs: Members([key, value] for key, value in pairs),
        parse_int=Raw,
        parse_float=Raw,
        parse_constant=Raw,
    )


def quote(text: str) -> str:
    """Return a JSON string, without escapes beyond those that JSON needs."""
    return json.dumps(text, ensure_ascii=False)


def quote_ascii(text: str) -> str:
    """Return a JSON string in ASCII."""
    return json.dumps(text)


def escaped_here_and_there(chance: random.Random) -> Callable[[str], str]:
    """Return a way to quote texts that writes some letters as escapes, which must not change what the text says."""

    def write(text: str) -> str:
        if len(text) > LONGEST_ESCAPED:
            return quote(text)
        letters = (f"\\u{ord(c):04x}" if c.isalnum() and c.isascii() and chance.random() < 0.3 else None for c in text)
        return '"' + "".join(e or quote(c)[1:-1] for e, c in zip(letters, text, strict=True)) + '"'

    return write


@dataclass(frozen=True)
class Style:
    """How a document is written: separators of members and of items, and the way to quote texts.

    ``between_events`` separates the items of lists of objects; PyTorch puts each event on lines of its own.
    ``quote_key`` quotes the names of members, which no writer of traces escapes although JSON allows it.
    """

    comma: str = ", "
    colon: str = ": "
    between_events: str = ", "
    quote: Callable[[str], str] = quote_ascii
    quote_key: Callable[[str], str] = quote_ascii


COMPACT = Style(",", ":", ",", quote)
PYTHON = Style()
LINES = Style(", ", ": ", ",\n")
PYTORCH = Style(",\n    ", ": ", ",\n  ", quote)
STYLES = (COMPACT, PYTHON, LINES, PYTORCH)


def dump(value: Any, style: Style = PYTHON) -> str:
    """Return the text of what :func:`parse` returned; also of plain dictionaries."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return style.quote(value)
    if isinstance(value, dict):
        value = Members([key, item] for key, item in value.items())
    if isinstance(value, Members):
        inside = style.comma.join(f"{style.quote_key(key)}{style.colon}{dump(item, style)}" for key, item in value)
        return f"{{\n    {inside}\n  }}" if style is PYTORCH else f"{{{inside}}}"
    if isinstance(value, list | tuple):
        objects = bool(value) and isinstance(value[0], Members | dict)
        between = style.between_events if objects else ", " if style is PYTORCH else style.comma
        return f"[{between.join(dump(item, style) for item in value)}]"
    return json.dumps(value)


def encode(text: str) -> bytes:
    """Return the text in UTF-8, with lone surrogates as the bytes that a careless program writes."""
    return text.encode("utf-8", "surrogatepass")
