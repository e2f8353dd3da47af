"""Reads the text of a trace as one document: for files that cannot be cut, and for damaged ones, which are mended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from profkit.errors import InputError
from profkit.files import OversizeError, gzip_errors, read_bounded
from profkit.trace.options import Detail
from profkit.trace.reading.chunks import Chunk
from profkit.trace.reading.decode import Columns, decode, no_collector
from profkit.trace.reading.foreign import beginning_of, recognise
from profkit.trace.reading.repair import coerce, repair

CUT_SHORT = "gzip cut short"
_TEXT_SHARE = 3  # the text may take a third of the memory limit: the decoded events take about twice the text
_NOT_STRICT: tuple[type[Exception], ...] = (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError)
_NULL_EVENTS = re.compile(rb'("traceEvents"\s*:\s*)null')
_PASS_A_TRACE = "Pass a file written by torch.profiler (export_chrome_trace or tensorboard_trace_handler)."


class Text(NamedTuple):
    """The JSON text of a trace, perhaps a damaged one, and how often each defect was mended to get it."""

    data: bytes
    defects: Mapping[str, int]


class Decoded(NamedTuple):
    """The text of a trace as strict JSON, its columns, and how often each defect was mended to get there."""

    text: bytes
    columns: Columns
    defects: Mapping[str, int]


def damage_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that a strict decoding of a damaged file may raise."""
    return (*_NOT_STRICT, *gzip_errors())


def load_text(path: Path, memory_limit: int) -> Text:
    """Return the whole JSON text of a trace, unpacked.

    Raises InputError if it is the file of another program, if the text takes more than a third of ``memory_limit``
    (bytes), or as :func:`profkit.files.read_bounded` and :func:`profkit.trace.reading.wrapped.unwrap` do.
    """
    from profkit.trace.reading.wrapped import unwrap  # imports zipfile and lzma, which a usual file does not need

    if (found := recognise(beginning_of(path))) is not None:  # before it is read: a model may exceed the limit
        raise found.refusal(path)
    limit = memory_limit // _TEXT_SHARE
    try:
        content = read_bounded(path, limit)
        if content.cut_short and not content.data:
            raise InputError("the gzip is cut short before its first event", where=path)
        text, defects = unwrap(content.data, limit, path)
    except OversizeError:
        raise too_large(path, memory_limit) from None
    if content.cut_short:
        defects[CUT_SHORT] += 1
    return Text(text, defects)


def too_large(path: Path, memory_limit: int) -> InputError:
    """Return the error for a file that takes more than ``memory_limit`` bytes of memory."""
    hint = "Raise --memory-limit if the file is what you expect it to be."
    return InputError(f"would take more than {memory_limit >> 20} MiB, the memory limit", where=path, hint=hint)


def decode_whole(text: bytes, source: str, detail: Detail) -> Decoded:
    """Decode the text of a whole trace, after mending it if it is damaged; ``source`` names it in errors.

    Raises InputError if it is empty, not a trace, or beyond mending.
    """
    if not text.strip():
        raise InputError("is empty", where=source, hint="The program that wrote it may have been stopped.")
    with no_collector():
        try:
            return Decoded(text, decode(Chunk("whole", text), detail), {})
        except _NOT_STRICT as error:
            reason: Exception = error
        try:
            mended = _mend(text, detail)
        except RecursionError:  # thousands of nested brackets: no profiler writes that
            mended = None
        except _NOT_STRICT as error:
            mended, reason = None, error
    if mended is None:
        raise _refusal(reason, source)
    return mended


def _mend(text: bytes, detail: Detail) -> Decoded | None:
    """Mend the JSON, then the types of its fields if needed; None if there is no trace in the text."""
    defects: Counter[str] = Counter()
    text, nulls = _NULL_EVENTS.subn(rb"\1[]", text, count=1)
    if nulls:
        defects["null instead of the list of events"] += 1
    mended = repair(text, defects)
    if mended is None:
        return None
    try:
        return Decoded(mended, decode(Chunk("whole", mended), detail), defects)
    except _NOT_STRICT:
        coerced = coerce(mended, defects)
    return None if coerced is None else Decoded(coerced, decode(Chunk("whole", coerced), detail), defects)


def _refusal(error: Exception, source: str) -> InputError:
    text = str(error)
    if "missing required field `traceEvents`" in text:
        return InputError("is JSON, but no PyTorch trace: it has no traceEvents", where=source, hint=_PASS_A_TRACE)
    if isinstance(error, RecursionError):
        return InputError("is no PyTorch trace: it is nested too deeply", where=source)
    if isinstance(error, msgspec.ValidationError):
        return InputError(f"is no PyTorch trace: {text}", where=source)
    if "invalid character (byte 0)" in text:
        return InputError("is not a torch.profiler trace: it is not valid JSON", where=source, hint=_PASS_A_TRACE)
    hint = "The file is damaged or cut short; capture it again, or copy it again from where it was made."
    return InputError(f"is not valid JSON: {text}", where=source, hint=hint)
