"""Single operator calls as the file has them, with the arguments that the columns leave out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from profkit.errors import InputError
from profkit.trace.reading.budget import TooLargeError
from profkit.trace.reading.source import SourceText

_SHARE = 4  # the text, and its records, are in memory at the same time


class _Event(msgspec.Struct, frozen=True):
    name: Any = None
    ph: Any = None
    args: Any = None


class _File(msgspec.Struct, frozen=True):
    events: list[_Event] = msgspec.field(name="traceEvents", default_factory=list)


def arguments_of(path: Path, name: str, memory_limit: int) -> Iterator[Any]:
    """Yield the ``args`` of each span called ``name``, decoded, in file order; what they hold is not checked.

    Raises InputError if the file cannot be read, is damaged, or its text takes more than a quarter of ``memory_limit``
    (bytes).
    """
    text = bytearray()
    try:
        for block in SourceText(path, memory_limit):
            text += block
            if len(text) > memory_limit // _SHARE:
                raise TooLargeError
        events = msgspec.json.decode(bytes(text), type=_File).events
    except TooLargeError:
        raise InputError("is too large to take single calls from", where=path, hint="Raise --memory-limit.") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"is not a whole trace: {error}", where=path, hint="Use profkit repair first.") from None
    yield from (event.args for event in events if event.name == name and event.ph == "X")
