"""Errors for the user: what happened, where, and what to do next."""

from __future__ import annotations


class ProfkitError(Exception):
    """Base of all errors that end a command; shown as one paragraph, without a traceback.

    ``what`` says what happened, ``where`` is a path or a place in a file, ``hint`` says what to do next.
    ``exit_status`` is the documented exit status of the process.
    """

    exit_status = 3

    def __init__(self, what: str, *, where: object = None, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        if not text.endswith((".", "?", "!", ":")):
            text += "."
        return f"{text} {self.hint}".rstrip()


class UsageError(ProfkitError):
    """The command line, or the argument of a call, is wrong; exit status 2."""

    exit_status = 2


class InputError(ProfkitError):
    """A trace, log, manifest or other input cannot be read; exit status 3."""

    exit_status = 3


class CaptureError(ProfkitError):
    """An environment could not be made or a capture failed; what succeeded is kept. Exit status 4."""

    exit_status = 4


class OutputError(ProfkitError):
    """A result cannot be written: the disk is full, a folder is missing or not writable."""

    exit_status = 5
