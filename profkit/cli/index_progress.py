"""Progress of indexing on standard error: files, rate and time left; on a terminal as a live line."""

from __future__ import annotations

import time

from profkit.cli.live_line import LiveLine
from profkit.units import file_size, minutes

_EVERY_S = 10.0  # between lines where there is no terminal


class IndexProgress(LiveLine):
    """Shows how far an indexing is; with ``quiet``, only messages that the user must see."""

    def __init__(self, *, quiet: bool, colour: bool) -> None:
        super().__init__("looking for traces", quiet=quiet, colour=colour)
        self._files = self._bytes = self._done_files = self._done_bytes = 0
        self._begun = self._said = 0.0

    def found(self, files: int, size: int, unchanged: int) -> None:
        """Show how many files there are to read."""
        self._files, self._bytes, self._begun = files, size, time.monotonic()
        self._said = self._begun
        known = f"; {unchanged} unchanged" if unchanged else ""
        self.say(f"{files} files to read ({file_size(size)}){known}")

    def progress(self, files: int, size: int) -> None:
        """Add files that are done; show the rate and the time left."""
        self._done_files += files
        self._done_bytes += size
        now = time.monotonic()
        rate = self._done_bytes / max(now - self._begun, 1e-3)
        left = minutes((self._bytes - self._done_bytes) / rate) if rate else "unknown"
        text = f"{min(self._done_files, self._files)} of {self._files} files"
        how = f"{file_size(round(rate))}/s, approx. {left} left"
        if self.is_live:
            self.update(description=text, completed=self._done_bytes, total=self._bytes, left=how)
        elif now - self._said >= _EVERY_S and self._done_files < self._files:
            self._said = now
            self.say(f"{text} ({how})")
