"""Makes the standard streams safe to write to: if a reader closes its pipe, and if they are closed from the start.

``profkit diff A B | head`` must end with the status that its gates decided, so a closed pipe is no reason to stop.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class _UntilClosed(io.FileIO):
    """A descriptor to write to; when its reader has closed the pipe, the rest goes nowhere."""

    def write(self, data: Any, /) -> int:
        """Write ``data``; return the number of bytes written."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


@contextlib.contextmanager
def secured_streams() -> Iterator[None]:
    """Replace standard output and standard error, meanwhile, by ones that a closed pipe does not stop.

    A character that the encoding lacks, such as µ, is written as a question mark. A stream that was closed before the
    program started gives OSError when it is written to, as a full disk does; else a file that is opened later would
    get its descriptor, and the output.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # read-only for standard output, so that writing fails; an error has no other place to go
            os.open(os.devnull, os.O_WRONLY if descriptor == 2 else os.O_RDONLY)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _secured(sys.stdout, 1), _secured(sys.stderr, 2)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed meanwhile
                stream.flush()
        sys.stdout, sys.stderr = before


def _secured(stream: TextIO | None, descriptor: int) -> TextIO:
    """Return a stream like ``stream``; that itself if it is not a file of the system, as in tests."""
    if stream is None:
        return io.TextIOWrapper(io.BufferedWriter(_UntilClosed(descriptor, "w", closefd=False)), errors="replace")
    raw = getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None))
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(raw, io.FileIO):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        return stream
    stream.flush()
    target = _UntilClosed(raw.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        target if stream.buffer is raw else io.BufferedWriter(target),  # the former is unbuffered: python -u
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
