"""Progress of a capture on standard error: a live line on a terminal, else one line per event."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from profkit.capture.process import Report
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
        self._current_round = ""
        self._workers = self._done = 0
        self._began = time.monotonic()

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

    def planned(self, workers: int) -> None:
        """Set the number of workers that the capture will start, for the estimate of the remaining time."""
        self._workers, self._began = workers, time.monotonic()
        self._update(total=workers)

    def started(self, who: str, round_number: int, rounds: int) -> None:
        """Show that a round starts: ``who`` is its configuration, ``round_number`` counts from 1 to ``rounds``."""
        self._current_round = f"{who}, round {round_number} of {rounds}"
        if not self._live and not self._quiet:
            self._console.print(
                Text(plain(f"[{self._done + 1}/{self._workers}] {self._current_round}{self._remaining_time()}"))
            )
        self._update(description=plain(self._current_round))

    def report(self, report: Report) -> None:
        """Show the stage or forward that the worker reports."""
        if report["event"] == "stage":
            self._update(description=plain(f"{self._current_round}: {report['stage']}"))
        elif report["event"] == "forward":
            self._update(
                description=plain(f"{self._current_round}: {report['stage']} {report['index']}/{report['count']}")
            )

    def finished(self) -> None:
        """Count a worker as finished."""
        self._done += 1
        self._update(completed=self._done, left=self._remaining_time().strip(", "))

    def _remaining_time(self) -> str:
        """Return the estimated remaining time as text, from the mean time per worker so far."""
        if not self._done:
            return ""
        seconds = (time.monotonic() - self._began) / self._done * (self._workers - self._done)
        return f", approx. {seconds / 60:.0f} min left" if seconds >= 90 else f", approx. {seconds:.0f} s left"

    def _update(self, **fields: object) -> None:
        if self._task is not None:
            self._bar.update(self._task, **fields)  # type: ignore[arg-type]  # rich takes any field
        sys.stderr.flush()
