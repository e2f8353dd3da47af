"""One configuration while it is captured, and the start of a worker for it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from profkit.capture.filing import Filing, explain_write_errors
from profkit.capture.plan import Configuration
from profkit.capture.process import Worker
from profkit.capture.reports import Report
from profkit.runs import Manifest
from profkit.runs.settings import Settings
from profkit.runs.store import LOG_NAME
from profkit.shortening import LONGEST_QUOTED, shorten


class InvalidReportError(Exception):
    """A worker reported what cannot be: a file that is not there, for example."""


INVALID_REPORT = (msgspec.ValidationError, InvalidReportError)
"""What goes wrong when a worker's reports do not fit together or the manifest."""


def explain_invalid_report(error: Exception) -> str:
    """Return the failure of a round whose worker sent a report that is not valid."""
    return shorten(f"the worker's report is not valid: {error}", LONGEST_QUOTED)


class Listener(Protocol):
    """Is told how a capture goes."""

    def message(self, text: str) -> None:
        """Take what the user must know."""

    def activity(self, text: str) -> None:
        """Take what long work does at the moment."""

    def started(self, what: str, left: str) -> None:
        """Take the work that starts, such as a block of rounds, and how much is left in words."""

    def report(self, who: str, report: Report) -> None:
        """Take a report of a worker; ``who`` is its configuration."""

    def result(self, text: str) -> None:
        """Take what is known after the work that was started."""


@dataclass(slots=True)
class Task:
    """One configuration under way.

    ``settings`` are all of them, planning included. ``manifest`` holds the rounds of ``existing`` (the run already
    there, if any) and those captured so far; ``added`` counts the latter. ``wanted`` is the number of rounds to
    reach at least, ``environ`` the environment that workers inherit. ``unwritable`` says of a failure that files could
    not be written.
    """

    configuration: Configuration
    settings: Settings
    filing: Filing
    manifest: Manifest
    wanted: int
    existing: Manifest | None
    environ: Mapping[str, str]
    python: Path = field(default_factory=Path)
    added: int = 0
    failure: str | None = None
    unwritable: bool = False

    @property
    def missing_rounds(self) -> int:
        """How many rounds are still to be captured; none after a failure."""
        return 0 if self.failure else max(0, self.wanted - len(self.manifest.rounds))

    @property
    def peak_memory_bytes(self) -> int | None:
        """The largest memory that a worker of this configuration is known to have used; None if unknown."""
        return max((r.peak_memory_bytes for r in self.manifest.rounds if r.peak_memory_bytes), default=None)


def start_worker(
    task: Task,
    listener: Listener,
    *,
    settings: Settings | None = None,
    variables: Mapping[str, str] | None = None,
    onednn: bool = False,
) -> Worker:
    """Start a worker for the next round of ``task``, or for the pass with oneDNN's log.

    ``settings`` and ``variables`` take the place of the manifest's. Raises OutputError if the log cannot be written.
    """
    configuration, manifest = task.configuration, task.manifest
    settings = manifest.settings if settings is None else settings
    orders: dict[str, Any] = {
        "onednn": onednn,
        "workload": asdict(configuration.workload),
        "settings": dict(settings),
        "metadata": {
            "label": configuration.label,
            "workload": configuration.workload.name,
            "fpmath": settings.fpmath,
            "mode": settings.mode,
            "round": len(manifest.rounds),
            "version": manifest.tool.version,
        },
        "folder": str(task.filing.staging.resolve()),
    }
    variables = manifest.environment if variables is None else variables
    with explain_write_errors(task.filing.staging):
        log = task.filing.staging / LOG_NAME
        listen = functools.partial(listener.report, configuration.name)
        return Worker(task.python, orders, variables, log, task.settings.timeout_s, listen, task.environ)
