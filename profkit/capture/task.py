"""One configuration while it is captured, and the start of a worker for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from profkit.capture.filing import Filing, explain_write_errors
from profkit.capture.plan import Configuration
from profkit.capture.process import MOST_TEXT, Outcome, Report, run_worker
from profkit.runs import Manifest
from profkit.runs.settings import Settings
from profkit.runs.store import LOG_NAME

INVALID_REPORT = (msgspec.ValidationError, KeyError, TypeError)
"""What goes wrong when a worker's report lacks a field or has a value out of bounds."""


def explain_invalid_report(error: Exception) -> str:
    """Return the failure of a round whose worker sent a report that is not valid."""
    problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return f"the worker's report is not valid: {problem[:MOST_TEXT]}"


class Listener(Protocol):
    """Is told how a capture goes."""

    def message(self, text: str) -> None:
        """Take what the user must know."""

    def activity(self, text: str) -> None:
        """Take what long work does at the moment."""

    def planned(self, workers: int) -> None:
        """Take the number of workers that the capture will start."""

    def started(self, who: str, round_number: int, rounds: int) -> None:
        """Take the round that starts: of which configuration, its number from 1, and how many there will be."""

    def report(self, report: Report) -> None:
        """Take a report of the worker."""

    def finished(self) -> None:
        """Take note that a worker ended."""


@dataclass(slots=True)
class Task:
    """One configuration under way.

    ``settings`` are all of them, planning included. ``manifest`` holds the rounds of ``existing`` (the run already
    there, if any) and those captured so far; ``added`` counts the latter. ``wanted`` is the number of rounds to
    reach, ``environ`` the environment that workers inherit.
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

    @property
    def missing_rounds(self) -> int:
        """How many rounds are still to be captured; none after a failure."""
        return 0 if self.failure else self.wanted - len(self.manifest.rounds)


def start_worker(
    task: Task,
    listen: Callable[[Report], None],
    *,
    settings: Settings | None = None,
    variables: Mapping[str, str] | None = None,
    onednn: bool = False,
) -> Outcome:
    """Run one worker for the next round of ``task``, or for the pass with oneDNN's log; return its outcome.

    ``settings`` and ``variables`` take the place of the manifest's. Raises CaptureError if the log cannot be written.
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
        return run_worker(task.python, orders, variables, log, task.settings.timeout_s, listen, task.environ)
