"""Errors shown to the user: the problem, its location, and the next step."""

from __future__ import annotations

from profkit.shortening import shorten

_LONGEST_WHAT = 1_000  # characters of the three parts of an error: all of them make one short paragraph
_LONGEST_PLACE = 300
_LONGEST_HINT = 750


class ProfkitError(Exception):
    """Base of all errors that end a command; shown as one paragraph, without a traceback.

    ``what`` is the problem, ``where`` a path or a position in a file, ``hint`` the next step. They are shortened to
    what can be read, because they may quote a text from outside. ``exit_status`` is the documented exit status of the
    process.
    """

    exit_status = 3

    def __init__(self, what: str, *, where: object = None, hint: str = "") -> None:
        self.what = shorten(what, _LONGEST_WHAT)
        self.where = None if where is None else shorten(str(where), _LONGEST_PLACE)
        self.hint = shorten(hint, _LONGEST_HINT)
        super().__init__(self.what)

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        if not text.endswith((".", "?", "!", ":")):
            text += "."
        return f"{text} {self.hint}".rstrip()


class UsageError(ProfkitError):
    """The command line or an argument of a call is wrong. Exit status 2."""

    exit_status = 2


class InputError(ProfkitError):
    """A trace, log, manifest or other input cannot be read. Exit status 3."""

    exit_status = 3


class CaptureError(ProfkitError):
    """An environment could not be created or a capture failed; complete rounds are kept. Exit status 4."""

    exit_status = 4


class OutputError(ProfkitError):
    """A result cannot be written: the disk is full, a folder is missing or not writable. Exit status 5."""

    exit_status = 5
