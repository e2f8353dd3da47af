"""Progress of indexing on standard error: files, rate and time left; on a terminal as a live line."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from profkit.report.escape import plain
from profkit.units import file_size, minutes

_EVERY_S = 10.0  # between lines where there is no terminal


class IndexProgress:
    """Shows how far an indexing is; with ``quiet``, only messages that the user must see."""

    def __init__(self, *, quiet: bool, colour: bool) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, no_color=not colour, highlight=False, soft_wrap=True)
        self._live = not quiet and self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=not self._live,
            transient=True,
        )
        self._task: TaskID | None = None
        self._files = self._bytes = self._done_files = self._done_bytes = 0
        self._begun = self._said = 0.0

    def __enter__(self) -> IndexProgress:
        self._bar.start()
        self._task = self._bar.add_task("looking for traces", total=None, left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def message(self, text: str) -> None:
        """Print a message that the user must see, also with --quiet."""
        self._console.print(Text(plain(text)))

    def found(self, files: int, size: int, unchanged: int) -> None:
        """Show how many files there are to read."""
        self._files, self._bytes, self._begun = files, size, time.monotonic()
        self._said = self._begun
        known = f"; {unchanged} unchanged" if unchanged else ""
        if not self._quiet:
            self._console.print(Text(f"{files} files to read ({file_size(size)}){known}"))

    def progress(self, files: int, size: int) -> None:
        """Add files that are done; show the rate and the time left."""
        self._done_files += files
        self._done_bytes += size
        now = time.monotonic()
        rate = self._done_bytes / max(now - self._begun, 1e-3)
        left = minutes((self._bytes - self._done_bytes) / rate) if rate else "unknown"
        text = f"{min(self._done_files, self._files)} of {self._files} files"
        how = f"{file_size(round(rate))}/s, approx. {left} left"
        if self._live and self._task is not None:
            self._bar.update(self._task, description=text, completed=self._done_bytes, total=self._bytes, left=how)
        elif not self._quiet and now - self._said >= _EVERY_S and self._done_files < self._files:
            self._said = now
            self._console.print(Text(f"{text} ({how})"))
