"""Runs a sweep: group by group, each a capture by turns; a finished group is not captured again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from profkit import units
from profkit.capture.environments.environments import Environments
from profkit.capture.filing import Filing
from profkit.capture.plan import Configuration
from profkit.capture.preview import ENVIRONMENT_BYTES, START_S, counted
from profkit.capture.session import STOPPED, run_session
from profkit.capture.task import Listener
from profkit.errors import CaptureError, OutputError, UsageError
from profkit.experiments.sweep.groups import FEWEST, next_group, number_of_groups
from profkit.runs.manifest import Host, Manifest
from profkit.runs.settings import Settings

DEFAULT_SIZE = 6  # configurations that take turns: with more, the first and the last turn of a round are far apart
_ENVIRONMENT = ENVIRONMENT_BYTES[1]
_MAKING_S = 15.0  # of an environment, from a near package index


class SweepPlan(msgspec.Struct, frozen=True):
    """What a sweep captures. ``steps`` holds the configurations of each position along the axis, one per workload.

    ``size`` is the most that take turns. ``discard`` removes environments that the sweep made once no group needs them,
    ``disk_bytes`` bounds what new ones take.
    """

    steps: Sequence[Sequence[Configuration]]
    options: Settings
    logdir: Path
    discard: bool
    disk_bytes: int
    size: int = DEFAULT_SIZE


class Sweep:
    """A sweep under way. ``failures`` says by label and workload why a run could not be captured."""

    def __init__(self, plan: SweepPlan, environments: Environments, listener: Listener, host: Host) -> None:
        """Choose the size of the groups; raises UsageError if the environments take more disk than allowed."""
        self.failures: dict[tuple[str, str], str] = {}
        self._plan = plan
        self._environments = environments
        self._listener = listener
        self._host = host
        self._existing = {environment.name for environment in environments.list()}
        self._missing = self._count_missing()
        self.size = self._fitting()

    def describe(self) -> str:
        """Say how many configurations, groups and new environments there are, and what these take."""
        count = len(self._plan.steps)
        text = f"{counted(count, 'configuration')} in {counted(number_of_groups(count, self.size), 'group')}"
        text += f", about {units.minutes(self.seconds_without_forwards())} without the forwards"
        if not self._missing:
            return text
        at_once = min(self.size, self._missing) if self._plan.discard else self._missing
        return (
            f"{text}; {counted(self._missing, 'environment')} to make, up to "
            f"{units.file_size(at_once * _ENVIRONMENT)} at a time"
        )

    def seconds_without_forwards(self) -> float:
        """Return about how long it takes (s) to make the environments, and to start each process.

        How long the forwards take is not known before the first group.
        """
        rounds = (self._plan.options.rounds or 1) + bool(self._plan.options.onednn)
        captures = sum(len(step) for step in self._plan.steps) * (1 + 2 / self.size)  # two of each group are shared
        return self._missing * _MAKING_S + rounds * captures * START_S

    def run(self) -> None:
        """Capture each group that is not complete. A configuration that fails does not stop the others."""
        count, start, captured = len(self._plan.steps), 0, list[int]()
        begun = time.monotonic()
        while start < count:
            if start:
                left = (time.monotonic() - begun) / start * (count - start)
                self._listener.activity(f"{start} of {count} configurations done, about {units.minutes(left)} left")
            shared, new = next_group(start, count, self.size, captured)
            possible = [c for position in new for c in self._plan.steps[position] if self._is_possible(c)]
            before = [c for position in shared for c in self._plan.steps[position]]
            if possible and not self._is_complete(before, possible):
                names = ", ".join(dict.fromkeys(configuration.label for configuration in (*before, *possible)))
                self._listener.message(f"by turns: {names}")
                self._capture([*before, *possible])
            captured += [position for position in new if self._is_captured(position)]
            start = new.stop
            if self._plan.discard:
                needed = {*captured[:1], *captured[-1:], *range(start, count)}
                self._discard(set(range(start)) - needed, needed)

    def _is_possible(self, configuration: Configuration) -> bool:
        """Make the environment of a configuration; return whether there is one."""
        if configuration.torch is None:
            return True
        try:
            self._environments.ensure(configuration.torch, configuration.workload.packages)
        except (CaptureError, OutputError) as error:
            self.failures[configuration.label, configuration.workload.name] = str(error)
            return False
        return True

    def _capture(self, configurations: Sequence[Configuration]) -> None:
        plan = self._plan
        captured = run_session(
            configurations,
            plan.options,
            plan.logdir,
            self._listener,
            environments=self._environments,
            host=self._host,
        )
        for outcome in captured:
            if outcome.failure is not None:
                self.failures[outcome.configuration.label, outcome.configuration.workload.name] = outcome.failure

    def _is_complete(self, shared: Sequence[Configuration], new: Sequence[Configuration]) -> bool:
        """Whether each new configuration was captured, by turns with the shared ones, or has failed."""
        found = [self._manifest(configuration) for configuration in new]
        tried = [m for m in found if m is not None and m.reason not in STOPPED]
        done = [m for m in tried if m.status == "complete"]
        others = [m for m in map(self._manifest, shared) if m is not None and m.status == "complete"]
        sessions = [{r.session for r in m.rounds} - {None} for m in (*others, *done)]
        for configuration, manifest in zip(new, found, strict=True):
            if manifest is not None and manifest.status != "complete" and manifest.reason:
                self.failures[configuration.label, configuration.workload.name] = manifest.reason
        return len(tried) == len(new) and (not done or bool(set.intersection(*sessions)))

    def _is_captured(self, position: int) -> bool:
        manifests = map(self._manifest, self._plan.steps[position])
        return any(manifest is not None and manifest.status == "complete" for manifest in manifests)

    def _manifest(self, configuration: Configuration) -> Manifest | None:
        filing = Filing(self._plan.logdir, configuration.label, configuration.workload.name, overwrite=False)
        return filing.existing()

    def _discard(self, positions: Iterable[int], needed: Iterable[int]) -> None:
        """Remove the environments of some positions that this sweep made and no needed one uses."""
        kept = self._existing | self._names(needed)
        there = {environment.name for environment in self._environments.list()}
        for name in sorted(self._names(positions) & there - kept):
            self._listener.message(f"removing the environment {name}")
            self._environments.remove(name)

    def _names(self, positions: Iterable[int]) -> set[str]:
        """Return the names of the environments of some positions."""
        every = [c for position in positions for c in self._plan.steps[position]]
        return {self._environments.plan(c.torch, c.workload.packages).name for c in every if c.torch is not None}

    def _count_missing(self) -> int:
        """Return how many environments are still to be made."""
        wanted = {(c.torch, c.workload.packages) for step in self._plan.steps for c in step if c.torch is not None}
        return sum(bool(self._environments.plan(torch, packages).commands) for torch, packages in wanted)

    def _fitting(self) -> int:
        """Return how many configurations a group can have with the disk that is allowed."""
        allowed = self._plan.disk_bytes // _ENVIRONMENT
        if self._missing <= allowed:
            return self._plan.size
        count = min(FEWEST, self._missing) if self._plan.discard else self._missing
        if count > allowed:
            raise UsageError(
                f"{counted(count, 'environment')} at a time may take {units.file_size(count * _ENVIRONMENT)}, and "
                f"{units.file_size(self._plan.disk_bytes)} are allowed",
                hint="Free some disk, or raise --max-disk."
                if self._plan.discard
                else "Use --discard-environments, or raise --max-disk.",
            )
        return min(self._plan.size, allowed)
