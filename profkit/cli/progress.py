"""Progress of a capture on standard error: a live line on a terminal, else one line per event."""

from __future__ import annotations

from rich.progress import TimeElapsedColumn

from profkit.capture.reports import Report
from profkit.cli.live_line import LiveLine
from profkit.report.escape import plain


class CaptureProgress(LiveLine):
    """Shows the progress of a capture; with ``quiet``, only messages that the user must see."""

    def __init__(self, *, quiet: bool, colour: bool) -> None:
        super().__init__("preparing", TimeElapsedColumn(), quiet=quiet, colour=colour)
        self._current = ""

    def activity(self, text: str) -> None:
        """Show what a long task is doing."""
        if self.is_live:
            self.update(description=plain(text))
        else:
            self.say(text)

    def started(self, what: str, left: str) -> None:
        """Show the work that starts, such as a block of rounds, and how much time is left in words."""
        self._current = what
        if not self.is_live:
            self.say(f"{what} …{f' ({left})' * bool(left)}")
        self.update(description=plain(what), left=left, completed=0, total=None)

    def report(self, who: str, report: Report) -> None:
        """Show the stage or forward that the worker of the configuration ``who`` reports."""
        if report["event"] == "stage":
            self.update(description=plain(f"{self._current}: {who}: {report['stage']}"))
        elif report["event"] == "forward":
            place = {"completed": report["index"], "total": report["count"]}
            self.update(description=plain(f"{self._current}: {who}: {report['stage']}"), **place)

    def result(self, text: str) -> None:
        """Print what is known after the work that was started."""
        self.say(text)
