"""Captures two versions by turns, and reads back what is there of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from profkit.capture.environments.environments import Environments
from profkit.capture.plan import Configuration
from profkit.capture.session import STOPPED, run_session
from profkit.capture.task import Listener
from profkit.errors import CaptureError, OutputError
from profkit.runs.manifest import Host
from profkit.runs.pairing import pair_rounds, rounds_in_common
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

    def together(self, first: Configuration, other: Configuration) -> tuple[Run, Run] | None:
        """Return the runs of two versions with only the rounds that they were captured in together; None without any.

        Other rounds, of tests against other versions, would make the comparison one of rounds that were not captured
        by turns.
        """
        runs = (self.run_of(first), self.run_of(other))
        if runs[0] is None or runs[1] is None or runs[0].manifest is None or runs[1].manifest is None:
            return None
        chosen = rounds_in_common(runs[0].manifest, runs[1].manifest)
        return (_only(runs[0], chosen[0]), _only(runs[1], chosen[1])) if chosen[0] else None

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


def _only(run: Run, rounds: Sequence[int]) -> Run:
    """Return a run with some of its rounds only, in order."""
    assert run.manifest is not None
    kept = replace(run.manifest, rounds=[run.manifest.rounds[index] for index in rounds])
    return replace(run, traces=tuple(run.traces[index] for index in rounds), manifest=kept)


def rounds_compared(runs: tuple[Run, Run] | None) -> int:
    """Return how many rounds of two runs, as :meth:`Captures.together` returns them, are compared with each other."""
    if runs is None or runs[0].manifest is None or runs[1].manifest is None:
        return 0
    return len(pair_rounds(runs[0].manifest, runs[1].manifest).baseline)
