"""The line on standard error that shows how far long work is; where there is no terminal, only what is printed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.text import Text

from profkit.report.escape import plain

RESUMABLE = "What is complete is kept; the same command continues the work."

_Line = TypeVar("_Line", bound="LiveLine")


class LiveLine:
    """A line that changes while work goes on; with ``quiet``, only messages that the user must see.

    ``first`` is what it says at first; ``columns`` follow the description, the bar and what is left.
    """

    def __init__(self, first: str, *columns: ProgressColumn, quiet: bool, colour: bool) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, no_color=not colour, highlight=False, soft_wrap=True)
        self.is_live = not quiet and self._console.is_terminal
        self._first = first
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[left]}"),
            *columns,
            console=self._console,
            disable=not self.is_live,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self: _Line) -> _Line:
        self._bar.start()
        self._task = self._bar.add_task(self._first, total=None, left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @contextlib.contextmanager
    def resumable(self, kept: str = RESUMABLE) -> Iterator[None]:
        """Say, if the work is interrupted, what is kept."""
        try:
            yield
        except KeyboardInterrupt:
            self.message(kept)
            raise

    def message(self, text: str) -> None:
        """Print a message that the user must see, also with --quiet."""
        self._console.print(Text(plain(text)))

    def say(self, text: str) -> None:
        """Print a message, unless the user asked for none."""
        if not self._quiet:
            self.message(text)

    def update(self, **fields: object) -> None:
        """Change the line: its ``description``, ``completed``, ``total``, or what is ``left`` in words."""
        if self._task is not None:
            self._bar.update(self._task, **fields)  # type: ignore[arg-type]  # rich takes any field
