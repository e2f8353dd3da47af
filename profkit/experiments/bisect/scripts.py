"""Bisects a command of the user by its exit status, in the environment of each version."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from profkit import children
from profkit.capture.environments.environments import Environments
from profkit.capture.preview import counted
from profkit.capture.task import Listener
from profkit.comparison.records.bisect import BisectResult, BisectTest, Outcome
from profkit.errors import CaptureError, OutputError, UsageError
from profkit.experiments.bisect.search import Decision, Search, most_tests

CANNOT_TEST = 125  # the status by which a command says that a version cannot be tested, as for git bisect run
NOT_FOUND = (126, 127)  # what a shell answers if there is no such command, or it cannot be run
VERSION_VARIABLE = "PROFKIT_TORCH"
_GRACE_S = 10  # for a command that is told to end


class ScriptPlan(msgspec.Struct, frozen=True):
    """A command of a shell to run under each of ``versions``, in order: it must succeed under the first, fail under
    the last. ``packages`` are installed beside PyTorch; a command that takes longer than ``most_s`` seconds has failed.
    """

    command: str
    versions: Sequence[str]
    packages: Sequence[str]
    most_s: float


class ScriptBisection:
    """A bisection of a command under way."""

    def __init__(self, plan: ScriptPlan, environments: Environments, listener: Listener) -> None:
        self._plan = plan
        self._environments = environments
        self._listener = listener
        self._tests: list[BisectTest] = []

    def describe(self) -> str:
        """Say how many versions there are, and how many tests they take."""
        count = len(self._plan.versions)
        return f"{counted(count, 'version')}, at most {counted(most_tests(count) + 2, 'test')}"

    def run(self) -> BisectResult:
        """Search, and return what was found.

        Raises UsageError if the command cannot be run, or fails under the first version; CaptureError if one of the
        two ends cannot be tested.
        """
        search = Search(len(self._plan.versions))
        ends = [self._test(0), self._test(search.bad)]
        for test, decision in zip(self._tests, ends, strict=True):
            if decision == "skipped":
                raise CaptureError(f"{test.label} cannot be tested: {test.reason}")
        if ends[0] == "bad":
            first = self._tests[0]
            raise UsageError(f"the command fails under {first.label}, the good version: {first.reason}")
        if ends[1] == "good":
            return self._result("nothing", None)
        while (position := search.next()) is not None:
            search.record(position, self._test(position))
        return self._result("found", search)

    def _test(self, position: int) -> Decision:
        version = self._plan.versions[position]
        try:
            environment = self._environments.ensure(version, self._plan.packages)
        except (CaptureError, OutputError) as error:
            decision: Decision = "skipped"
            reason = str(error)
        else:
            self._listener.message(f"{version}: {self._plan.command}")
            decision, reason = _decision(self._status(version, environment.python))
        self._tests.append(BisectTest(label=version, decision=decision, reason=reason))
        self._listener.result(f"{version}: {decision}, {reason}")
        return decision

    def _status(self, version: str, python: Path) -> int | None:
        """Return the exit status of the command in an environment; None if it took too long."""
        process = children.start(
            ["/bin/sh", "-c", self._plan.command], env=variables(version, python), stdin=subprocess.DEVNULL
        )
        status: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(self._plan.most_s)
        finally:
            children.end(process, 0, _GRACE_S)
        return status

    def _result(self, outcome: Outcome, search: Search | None) -> BisectResult:
        versions = self._plan.versions
        return BisectResult(
            subject=self._plan.command,
            figure="exit status",
            unit="status",
            versions=list(versions),
            confidence=1.0,
            error=0.0,
            tests=self._tests,
            outcome=outcome,
            last_good=None if search is None else versions[search.good],
            first_bad=None if search is None else versions[search.bad],
            between=[] if search is None else [versions[position] for position in search.between],
        )


def variables(version: str, python: Path) -> Mapping[str, str]:
    """Return the environment variables of a command: as if the environment of ``python`` were activated."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    return {
        **kept,
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(python.parent.parent),
        VERSION_VARIABLE: version,
    }


def _decision(status: int | None) -> tuple[Decision, str]:
    """Return what an exit status says, and the status in words."""
    if status is None:
        return "bad", "it took too long"
    if status in NOT_FOUND:
        raise UsageError(f"the command cannot be run: exit status {status}", hint="Check --run.")
    if status == CANNOT_TEST:
        return "skipped", f"exit status {CANNOT_TEST}"
    return ("good" if status == 0 else "bad"), f"exit status {status}" if status >= 0 else f"signal {-status}"
