"""Reads the traces that cannot be decoded in strict chunks, by mending what needs it; refuses what is not a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from profkit.errors import InputError
from profkit.files import gzip_errors
from profkit.trace.options import Detail
from profkit.trace.reading.budget import TooLargeError
from profkit.trace.reading.chunks import Chunk
from profkit.trace.reading.decode import Columns, ListsError, decode, decode_events, no_collector
from profkit.trace.reading.event_types import GENERAL, Flavour
from profkit.trace.reading.source import SourceText
from profkit.trace.reading.window import Window

if TYPE_CHECKING:
    from profkit.trace.reading.mending import Mending

_TEXT_SHARE = 8  # the text of one event may take an eighth of the memory limit: mending it takes several copies
_NO_LIST = "it has no list of events"
_LEAST_WINDOW = 4 << 20  # bytes of text
_BEGINNING = 1 << 16  # bytes from which the dialect is recognised
_NOT_STRICT: tuple[type[Exception], ...] = (ValueError, OverflowError, RecursionError)
_PASS_A_TRACE = "Pass a file written by torch.profiler (export_chrome_trace or tensorboard_trace_handler)."


class Decoded(NamedTuple):
    """The columns of a trace, in order, and how often each defect was mended."""

    columns: list[Columns]
    defects: Mapping[str, int]


def damage_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that a strict decoding of a damaged file may raise: msgspec's are ValueErrors."""
    return (*_NOT_STRICT, *gzip_errors())


def too_large(path: object, memory_limit: int) -> InputError:
    """Return the error for a file that takes more than ``memory_limit`` bytes of memory."""
    hint = "Raise --memory-limit if the file is what you expect it to be."
    return InputError(f"would take more than {memory_limit >> 20} MiB, the memory limit", where=path, hint=hint)


def decode_text(text: bytes, source: str, detail: Detail, memory_limit: int) -> Decoded:
    """Decode the text of a whole trace, after mending it if it is damaged; ``source`` names it in errors.

    Raises InputError if it is empty, not a trace, beyond mending, or takes more than ``memory_limit`` bytes.
    """
    with no_collector():
        try:
            return Decoded([decode(Chunk("whole", text), detail)], {})
        except _NOT_STRICT:
            pass
    return _decode_window(Window(iter([text]), len(text)), source, detail, GENERAL, memory_limit)


def decode_damaged(
    path: Path, detail: Detail, flavour: Flavour, memory_limit: int, write: Callable[[bytes], object] | None = None
) -> Decoded:
    """Decode a file that is damaged, or cannot be cut into chunks, as :func:`decode_text` does.

    ``write`` is called with the parts of its text as strict JSON.
    """
    with _limited(str(path), memory_limit):
        text = SourceText(path, memory_limit)
        window = Window(iter(text), max(memory_limit // _TEXT_SHARE, _LEAST_WINDOW))
        if not window.has(1) and text.defects:
            raise InputError("the gzip is cut short before its first event", where=path)
    found = _decode_window(window, str(path), detail, flavour, memory_limit, write)
    return Decoded(found.columns, {**text.defects, **found.defects})


@contextmanager
def _limited(source: str, memory_limit: int) -> Iterator[None]:
    try:
        yield
    except TooLargeError:
        raise too_large(source, memory_limit) from None


def _begin(mending: Mending, window: Window, source: str) -> bytes:
    """Return the text before the list of events, as strict JSON; raises InputError if there is no list."""
    if not window.skip_space():
        raise InputError("is empty", where=source, hint="The program that wrote it may have been stopped.")
    head = mending.begin()
    if head is not None:
        return head
    reason: Exception = ListsError(_NO_LIST)
    try:  # the window holds the whole text, in which there is no list: its first error says what it is instead
        decode(Chunk("whole", window.text), Detail.NONE)
    except _NOT_STRICT as error:
        reason = error
    raise _refusal(reason, source)


def _decode_window(
    window: Window,
    source: str,
    detail: Detail,
    flavour: Flavour,
    memory_limit: int,
    write: Callable[[bytes], object] | None = None,
) -> Decoded:
    from profkit.trace.reading.mending import Mending  # takes 25 ms, which sound traces do not need

    mending = Mending(window, detail, flavour, memory_limit)
    with no_collector(), _limited(source, memory_limit):
        window.has(_BEGINNING)
        beginning = window.text[:_BEGINNING]
        head = _begin(mending, window, source)
        columns, separator = [], head + b"\n"
        for piece in mending.pieces():
            columns.append(piece.columns)
            if write is not None and piece.text:
                write(separator + piece.text)
                separator = b",\n"
        tail = mending.end()
        if write is not None:
            write(tail if separator == b",\n" else separator + tail)
        around = decode_events(Chunk("whole", mending.members()), detail)
    defects = {name: count for name, count in mending.defects.items() if count}
    if not mending.records and defects and mending.reason is not None:
        raise _refusal(mending.reason, source)
    around.head["beginning"] = beginning
    return Decoded([around, *columns], defects)


def _refusal(error: Exception, source: str) -> InputError:
    text = str(error)
    if "missing required field `traceEvents`" in text:
        return InputError("is JSON, but not a PyTorch trace: it has no traceEvents", where=source, hint=_PASS_A_TRACE)
    if isinstance(error, RecursionError):
        return InputError("is not a PyTorch trace: it is nested too deeply", where=source)
    if isinstance(error, msgspec.ValidationError):
        return InputError(f"is not a PyTorch trace: {text}", where=source)
    if "invalid character (byte 0)" in text:
        return InputError("is not a torch.profiler trace: it is not valid JSON", where=source, hint=_PASS_A_TRACE)
    hint = "The file is damaged or cut short; capture it again, or copy it again from where it was made."
    return InputError(f"is not valid JSON: {text}", where=source, hint=hint)
