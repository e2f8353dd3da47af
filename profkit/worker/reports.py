"""What the worker tells its session: one JSON object per line, on a descriptor of its own.

torch prints to both standard streams, so reports cannot share them.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # as typing.TYPE_CHECKING, without importing typing
    from typing import Any


class WorkerError(Exception):
    """A step that cannot be done, in words for the user; ``kind`` names the step, ``hint`` says what to do."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.hint = hint


class Reporter:
    """Writes reports to the descriptor given by the session; without one it writes nothing."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._stream = None if descriptor is None else os.fdopen(descriptor, "w", encoding="utf-8")

    def __call__(self, event: str, **fields: Any) -> None:
        """Report ``event``; ends the process if the session is gone, because nobody else would end it."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(dict(fields, event=event)) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            os._exit(1)
