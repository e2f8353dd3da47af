"""Runs a command line of profkit in this process, and keeps what a user would see."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
OWN = "tests/fuzz/"


@dataclass(frozen=True)
class Outcome:
    """What a command did: its words, exit status (None if it ended by an exception), output, and the exception.

    ``origin`` tells exceptions apart: the type, and the innermost line of profkit that was executed.
    """

    words: tuple[str, ...]
    status: int | None
    out: str
    err: str
    error: str = ""
    origin: str = ""

    @property
    def form(self) -> str:
        """The format of its output."""
        return self.words[self.words.index("--format") + 1] if "--format" in self.words else "text"


def invoke(words: Sequence[str]) -> Outcome:
    """Run ``profkit`` with these words and return what it did, whatever it raises."""
    from profkit.cli.main import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    status: int | None = None
    error = origin = ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(words))
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
        except BaseException as raised:
            error, origin = described(raised)
    return Outcome(tuple(words), status, _text(out), _text(err), error, origin)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode("utf-8", "surrogateescape")


def described(error: BaseException) -> tuple[str, str]:
    """Return the traceback, and where in profkit the error came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if str(REPOSITORY / "profkit") in f.filename]
    origin = type(error).__name__
    if ours:
        last = ours[-1]
        origin += f" in {Path(last.filename).relative_to(REPOSITORY)}:{last.name}"
    try:
        words = "".join(traceback.format_exception(error))
    except RecursionError:
        words = origin
    return words[-6_000:], origin


def traceback_origin(text: str) -> str:
    """Return the same for a traceback that a process printed: type, file and function."""
    found = ""
    for line in text.splitlines():
        _, slash, after = line.rpartition("/profkit/")
        if slash and line.lstrip().startswith("File "):
            path, _, rest = after.partition('"')
            found = f"profkit/{path}:{rest.rpartition(' in ')[2]}"
    kind = text.rstrip().rpartition("\n")[2].partition(":")[0].rpartition(".")[2]
    return f"{kind} in {found}" if found else kind


def close_own_output() -> int:
    """Keep a copy of this process's standard output for answers, and let nothing else write to it."""
    import os

    kept = os.dup(1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    return kept
