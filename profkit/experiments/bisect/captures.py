"""Captures two versions by turns, and reads back what is there of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from profkit.capture.environments.environments import Environments
from profkit.capture.plan import Configuration
from profkit.capture.session import STOPPED, run_session
from profkit.capture.task import Listener
from profkit.errors import CaptureError, OutputError
from profkit.runs.manifest import Host
from profkit.runs.pairing import pair_rounds
from profkit.runs.settings import Settings
from profkit.runs.store import MANIFEST_NAME, Run, find_runs


class NotCapturedError(Exception):
    """A version cannot be captured; says why."""


@dataclass(frozen=True, slots=True)
class Captures:
    """Where the versions are captured, and under which settings."""

    options: Settings
    logdir: Path
    environments: Environments
    listener: Listener
    host: Host

    def run_of(self, configuration: Configuration) -> Run | None:
        """Return the run of a version; None if it has no rounds, or failed. Raises InputError if it cannot be read.

        The rounds of a capture that was stopped count: nothing was wrong with them.
        """
        run = self._found(configuration)
        return run if run is not None and run.traces and not _has_failed(run) else None

    def _found(self, configuration: Configuration) -> Run | None:
        folder = self.logdir / configuration.label / configuration.workload.name
        if not (folder / MANIFEST_NAME).is_file():
            return None
        (run,) = find_runs(folder)
        return run

    def rounds_together(self, first: Configuration, other: Configuration) -> int:
        """Return how many rounds of two versions are compared with each other, by turns at least in part."""
        runs = (self.run_of(first), self.run_of(other))
        if runs[0] is None or runs[1] is None:
            return 0
        return rounds_together(runs[0], runs[1])

    def add(self, first: Configuration, other: Configuration, rounds: int) -> None:
        """Capture ``rounds`` more of both, by turns.

        Raises NotCapturedError if ``other`` cannot be captured, or an earlier search found that; CaptureError if
        ``first`` cannot.
        """
        self._require_not_failed(other)
        self._require_environment(other)
        options = Settings(self.options, rounds=rounds)
        outcomes = run_session(
            [first, other], options, self.logdir, self.listener, environments=self.environments, host=self.host
        )
        if outcomes[0].failure is not None:
            raise CaptureError(f"{first.label} cannot be captured: {outcomes[0].failure}")
        if outcomes[1].failure is not None:
            raise NotCapturedError(outcomes[1].failure)

    def _require_not_failed(self, configuration: Configuration) -> None:
        run = self._found(configuration)
        if run is not None and run.manifest is not None and _has_failed(run):
            raise NotCapturedError(run.manifest.reason or "its capture failed")

    def _require_environment(self, configuration: Configuration) -> None:
        if configuration.torch is None:
            return
        try:
            self.environments.ensure(configuration.torch, configuration.workload.packages)
        except (CaptureError, OutputError) as error:
            raise NotCapturedError(str(error)) from None


def _has_failed(run: Run) -> bool:
    manifest = run.manifest
    return manifest is not None and manifest.status == "failed" and manifest.reason not in STOPPED


def rounds_together(before: Run, after: Run) -> int:
    """Return how many rounds of two runs are compared with each other; 0 if none were captured together."""
    assert before.manifest is not None
    assert after.manifest is not None
    pairing = pair_rounds(before.manifest, after.manifest)
    sides: Sequence[Sequence[int]] = (pairing.baseline, pairing.candidate)
    return min(map(len, sides)) if pairing.together else 0
