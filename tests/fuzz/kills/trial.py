"""One trial of the campaign: a capture with the real worker is started, killed at a moment, and started again."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.fuzz.kills import checks
from tests.unit.stub import write_model

ROOT = Path(__file__).parents[3]
SCENARIOS = ("new run", "run with rounds", "replacement", "forking model", "two captures", "full disk", "read-only")
TARGETS = ("parent", "group of the parent", "worker", "group of the worker")
WAYS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGSTOP then SIGKILL")
_TARGET_WEIGHTS, _WAY_WEIGHTS = (4, 2, 2, 1), (3, 1, 1, 1, 2)  # the dangerous ones are tried more often
# with these the capture itself is what goes wrong; a signal comes on top in half of the trials
_WITHOUT_SPACE = ("full disk", "read-only")
# what a capture has said when the time until the signal begins, and how long that is at most: about as long as what
# follows takes on an idle machine
MOMENTS = {
    "start": ("", 1.0),
    "first round": ("round 1 of", 0.6),
    "second round": ("round 2 of", 0.6),
    "end": ("", 0.3),
}
_END_S = 90.0  # for a capture to end
_POLL_S = 0.005
_FORKING = "if not os.fork():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(600)\n    os._exit(0)"
_NUMBERS = {name: getattr(signal, name) for name in WAYS[:4]}
_OF_SIGNALS = {"SIGTERM": 143, "SIGHUP": 129, "SIGINT": 130}


@dataclass
class Trial:
    """What is tried: ``number`` and ``seed`` decide everything else, but for the speed of the machine."""

    number: int
    seed: int
    scenario: str = ""
    target: str = ""
    way: str = ""
    moment: str = ""
    at_s: float = 0.0
    limit: int = 0
    second_at_s: float = 0.0
    onednn: bool = True
    problems: list[str] = field(default_factory=list)
    status: int | None = None
    printed: int = 0
    saved: int = 0
    seconds: float = 0.0

    @classmethod
    def drawn(cls, number: int, seed: int) -> Trial:
        """Draw the trial of this number."""
        chance = random.Random(f"{seed}:{number}")
        scenario = SCENARIOS[number % len(SCENARIOS)]
        signalled = scenario not in _WITHOUT_SPACE or chance.random() < 0.5
        moment = chance.choice(list(MOMENTS))
        return cls(
            number=number,
            seed=seed,
            scenario=scenario,
            target=chance.choices(TARGETS, _TARGET_WEIGHTS)[0] if signalled else "",
            way=chance.choices(WAYS, _WAY_WEIGHTS)[0] if signalled else "",
            moment=moment,
            at_s=round(chance.uniform(0.0, MOMENTS[moment][1]), 3),
            limit=chance.randrange(4, 24) * 4096,
            second_at_s=round(chance.uniform(0.0, 0.8), 3),
            onednn=chance.random() < 0.3,
        )


class Capture:
    """A capture of ``rounds`` rounds under way; ``user`` names its cache folder, ``limit`` is that of files (bytes)."""

    def __init__(
        self,
        place: Place,
        rounds: int = 1,
        *,
        user: str = "one",
        limit: int = 0,
        overwrite: bool = False,
        onednn: bool = False,
    ) -> None:
        self._marker, self._rounds = place.marker, rounds
        self._errors = (place.folder / f"errors-{time.monotonic_ns()}").open("w+")
        words = ["capture", f"{place.model}:make", "--python", place.python, "--label", "stub", "--logdir", place.logs]
        words += ["--rounds", rounds, "--steps", "1", "--warmup", "1", "--timeout", "30"]
        words += ["--overwrite"] if overwrite else []
        words += [] if onednn else ["--no-onednn"]
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PROFKIT_CACHE_DIR": str(place.folder / f"cache-{user}"),
            "TMPDIR": str(place.temporary),
            "PROFKIT_TRIAL": place.marker,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.kills.program", str(limit), *map(str, words)],
            cwd=place.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
        )

    def wait(self) -> tuple[int | None, str]:
        """Wait for the end; return the status (None if it does not end) and what was said."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_S)
        status = self.process.poll()
        if status is None:
            self.process.kill()
            self.process.wait()
        return status, _text(self._errors)

    def wait_for(self, moment: str) -> None:
        """Wait until the capture has said that it is so far, or has ended."""
        deadline = time.monotonic() + _END_S
        wanted = MOMENTS[moment][0]
        while self.process.poll() is None and time.monotonic() < deadline:
            said = Path(self._errors.name).read_text()
            if checks.printed_rounds(said) == self._rounds if moment == "end" else wanted in said:
                return
            time.sleep(_POLL_S)

    def signal(self, target: str, way: str) -> None:
        """Send what the trial says to whom it says, if that is there."""
        pid = self.process.pid
        if "worker" in target:
            workers = checks.processes(self._marker, "worker/start.py")
            pid = workers[0] if workers else 0
        if not pid:
            return
        send = os.killpg if target.startswith("group") else os.kill
        with contextlib.suppress(ProcessLookupError):
            if way in _NUMBERS:
                send(pid, _NUMBERS[way])
                return
            send(pid, signal.SIGSTOP)
            time.sleep(0.1)
            send(pid, signal.SIGKILL)


@dataclass
class Place:
    """The folders of a trial; ``marker`` is in the environment of all its processes."""

    folder: Path
    python: Path
    marker: str
    can_mount: bool

    def __post_init__(self) -> None:
        """Make the folders."""
        self.logs, self.temporary = self.folder / "logs", self.folder / "tmp"
        self.model = self.folder / "m/model.py"
        for folder in (self.logs, self.temporary):
            folder.mkdir(parents=True)

    @contextlib.contextmanager
    def small(self, trial: Trial) -> Iterator[int]:
        """Make the log folder a small or read-only disk meanwhile; yield the limit of files in place of that.

        What is on it afterwards is put into a folder of the same name.
        """
        if trial.scenario not in _WITHOUT_SPACE:
            yield 0
            return
        if not self.can_mount:
            yield trial.limit // 4
            return
        disk = self.folder / "disk"
        disk.mkdir()
        options = "ro" if trial.scenario == "read-only" else f"size={trial.limit}"
        mount("-t", "tmpfs", "-o", options, "tmpfs", str(disk))
        self.logs.rmdir()
        self.logs.symlink_to(disk)
        try:
            yield 0
        finally:
            checks.left_processes(self.marker)
            self.logs.unlink()
            shutil.copytree(disk, self.logs, symlinks=True)
            subprocess.run(["umount", "-l", str(disk)], check=True)


def mount(*words: str) -> None:
    """Mount a file system; raises CalledProcessError if that is not allowed."""
    subprocess.run(["mount", *words], check=True, capture_output=True)


def run_trial(trial: Trial, place: Place) -> None:
    """Run the trial, and note in it what came of it."""
    began = time.monotonic()
    forks = trial.scenario == "forking model"
    write_model(place.folder / "m", f"time.sleep({0.05 if forks else 0.01})", make=_FORKING if forks else "")
    before: set[str] = set()
    if trial.scenario in ("run with rounds", "replacement"):
        _expect(trial, "the capture before", Capture(place).wait(), {0})
        before = checks.saved_traces(place.logs)
    with place.small(trial) as limit:
        replaces = trial.scenario == "replacement"
        captures = [Capture(place, 2, limit=limit, overwrite=replaces, onednn=trial.onednn)]
        if trial.scenario == "two captures":
            time.sleep(trial.second_at_s)
            captures.append(Capture(place, 2, user="two"))
        if trial.target:
            chosen = captures[trial.number % len(captures)]
            chosen.wait_for(trial.moment)
            time.sleep(trial.at_s)
            chosen.signal(trial.target, trial.way)
        ended = [capture.wait() for capture in captures]
        if left := checks.left_processes(place.marker):
            trial.problems.append(f"processes are left: {left}")
        saved = checks.saved_traces(place.logs)
    trial.status = ended[trial.number % len(captures)][0]
    for end in ended:
        _expect(trial, "the killed capture", end, _statuses(trial))
    _check(trial, place, ended, before, saved)
    trial.seconds = round(time.monotonic() - began, 2)


def _check(trial: Trial, place: Place, ended: list[tuple[int | None, str]], before: set[str], saved: set[str]) -> None:
    """Check what is on the disk, start the capture again, and check again."""
    trial.printed, trial.saved = sum(checks.printed_rounds(said) for _, said in ended), len(saved - before)
    replaces = trial.scenario == "replacement"
    if trial.printed > trial.saved and not replaces:
        trial.problems.append(f"{trial.printed} rounds were said to be complete, {trial.saved} are on the disk")
    trial.problems += checks.wrong_runs(place.logs)
    run = place.logs / "stub/model"
    must_stay = saved
    if replaces:
        must_stay = checks.saved_traces(run)  # the old run or the new one
        if before & must_stay and must_stay - before:
            trial.problems.append("a mixture of the old and the new run")
    _expect(trial, "the next capture", Capture(place).wait(), {0})
    trial.problems += checks.wrong_runs(place.logs)
    kept = checks.saved_traces(run)
    if lost := must_stay - kept:
        trial.problems.append(f"rounds are lost: {sorted(lost)}")
    if replaces and not (before <= kept or kept & (saved - before)):
        trial.problems.append("neither the old nor the new run is there")
    trial.problems += checks.left_files(place.logs, place.temporary, *place.folder.glob("cache-*"))
    if left := checks.left_processes(place.marker):
        trial.problems.append(f"processes are left after the next start: {left}")


def _statuses(trial: Trial) -> set[int]:
    """Return the exit statuses that the killed capture may have; 0 if the signal came too late."""
    found = {0, 4} if trial.scenario == "two captures" or "worker" in trial.target else {0}
    if trial.scenario in _WITHOUT_SPACE:
        found |= {4, 5}
    if "worker" not in trial.target and trial.way:
        number = -_NUMBERS.get(trial.way, signal.SIGKILL)
        found |= {_OF_SIGNALS.get(trial.way, number), number}  # the latter before the program's own code runs
    return found


def _expect(trial: Trial, what: str, end: tuple[int | None, str], statuses: set[int]) -> None:
    status, said = end
    if status not in statuses:
        trial.problems.append(f"{what}: status {status}, not one of {sorted(statuses)}: {said[-600:]}")
    # Python itself shows where it was interrupted before the program's own code ran
    if "Traceback" in said and ("KeyboardInterrupt" not in said or "profkit/cli/main.py" in said):
        trial.problems.append(f"{what}: a traceback: {said[-1500:]}")


def _text(stream: IO[str]) -> str:
    with stream:
        stream.seek(0)
        return stream.read()
