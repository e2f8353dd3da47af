"""Reports from the worker to its session: one JSON object per line, on a separate file descriptor.

torch prints to both standard streams, so reports cannot use them.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # type checkers treat this as typing.TYPE_CHECKING; it saves the import of typing
    from typing import Any


MAX_MESSAGE = 2000  # characters; a longer text from outside, such as an exception's, is cut


class WorkerError(Exception):
    """A step failed, with a message for the user; ``kind`` names the step, ``hint`` the next action.

    The kind ``output`` says that a file cannot be written.
    """

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.hint = hint


class Reporter:
    """Writes reports to the descriptor given by the session; without one it writes nothing."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._stream = None if descriptor is None else os.fdopen(descriptor, "w", encoding="utf-8")

    def __call__(self, event: str, **fields: Any) -> None:
        """Report ``event``; ends the process if the session has ended, because nothing else would."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(dict(fields, event=event)) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            os._exit(1)
