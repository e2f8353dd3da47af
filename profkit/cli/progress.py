"""Progress of a capture on standard error: a live line on a terminal, else one line per event."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from profkit.capture.reports import Report
from profkit.report.escape import plain


class CaptureProgress:
    """Shows the progress of a capture; with ``quiet``, only messages that the user must see."""

    def __init__(self, *, quiet: bool, colour: bool) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, no_color=not colour, highlight=False, soft_wrap=True)
        self._live = not quiet and self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._live,
            transient=True,
        )
        self._task: TaskID | None = None
        self._current = ""

    def __enter__(self) -> CaptureProgress:
        self._bar.start()
        self._task = self._bar.add_task("preparing", total=None, left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def message(self, text: str) -> None:
        """Print a message that the user must see, also with --quiet."""
        self._console.print(Text(plain(text)))

    def activity(self, text: str) -> None:
        """Show what a long task is doing."""
        if self._live:
            self._update(description=plain(text))
        elif not self._quiet:
            self._console.print(Text(plain(text)))

    def started(self, what: str, left: str) -> None:
        """Show the work that starts, such as a block of rounds, and how much time is left in words."""
        self._current = what
        if not self._live and not self._quiet:
            self._console.print(Text(plain(f"{what} …{f' ({left})' * bool(left)}")))
        self._update(description=plain(what), left=left, completed=0, total=None)

    def report(self, who: str, report: Report) -> None:
        """Show the stage or forward that the worker of the configuration ``who`` reports."""
        if report["event"] == "stage":
            self._update(description=plain(f"{self._current}: {who}: {report['stage']}"))
        elif report["event"] == "forward":
            place = {"completed": report["index"], "total": report["count"]}
            self._update(description=plain(f"{self._current}: {who}: {report['stage']}"), **place)

    def result(self, text: str) -> None:
        """Print what is known after the work that was started."""
        if not self._quiet:
            self._console.print(Text(plain(text)))

    def _update(self, **fields: object) -> None:
        if self._task is not None:
            self._bar.update(self._task, **fields)  # type: ignore[arg-type]  # rich takes any field
        sys.stderr.flush()
