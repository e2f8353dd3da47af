"""A head start: begin to read a large trace while the program still imports NumPy and the rest it needs.

Nothing here imports NumPy, whose import can take as long as a third of the decoding.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from profkit.errors import InputError
from profkit.trace.options import DEFAULT, Detail, ReadOptions
from profkit.trace.reading.cache_folder import Hashing, is_worthwhile, may_know
from profkit.trace.reading.parallel import Decoding, Job

if TYPE_CHECKING:
    from profkit.trace.events import Trace


class PendingRead:
    """The reading of one trace file, begun. It ends by :meth:`result` or :meth:`close`; also a context manager."""

    def __init__(self, path: Path, detail: Detail, options: ReadOptions) -> None:
        self.path = path
        self.detail = detail
        self.options = options
        self._decoding: Decoding | None = None
        self._hashing: Hashing | None = None
        # a file that cannot be read is reported by result()
        with contextlib.suppress(OSError, InputError):
            if not path.is_file() or not is_worthwhile(path):
                return
            if options.use_cache and may_know(path):
                self._hashing = Hashing(path)
            else:
                self._decoding = Decoding(Job.of(path, detail, options.memory_limit))

    def result(self) -> Trace:
        """Return the trace, as :func:`profkit.trace.reading.reader.read` does; raises InputError as it does."""
        from profkit.trace.reading.reader import finish  # imports NumPy

        decoding, self._decoding = self._decoding, None
        hashing, self._hashing = self._hashing, None
        try:
            return finish(self.path, self.detail, self.options, decoding, hashing)
        finally:
            if decoding is not None:
                decoding.close()
            if hashing is not None:
                hashing.close()

    def close(self) -> None:
        """Give up what has begun: end the second process, or the threads that hash."""
        if self._decoding is not None:
            self._decoding.close()
        if self._hashing is not None:
            self._hashing.close()
        self._decoding = self._hashing = None

    def __enter__(self) -> PendingRead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def begin_read(path: Path, detail: Detail = Detail.ALL, options: ReadOptions = DEFAULT) -> PendingRead:
    """Begin to read the trace file at ``path``; raises nothing: what is wrong with it is raised by ``result()``.

    This process may fork, if the file is large and no other thread runs.
    """
    return PendingRead(path, detail, options)


def read_pending(path: Path, detail: Detail, options: ReadOptions, pending: PendingRead | None) -> Trace:
    """Return the trace at ``path``: from ``pending`` if that is its reading, else read now.

    Raises InputError if it cannot be read.
    """
    if pending is not None and (pending.path, pending.detail) == (path, detail):
        return pending.result()
    from profkit.trace.reading.reader import read

    return read(path, detail=detail, options=options)
