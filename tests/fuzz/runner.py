"""Runs mutations in child processes, under limits of time and memory, and some of them through the command line."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fuzz.check import check_contract
from tests.fuzz.invoke import REPOSITORY, Outcome
from tests.fuzz.plan import through_the_command_line

PER_CHILD = 250  # mutations of one process: what leaks stays small
PATIENCE = 25.0  # seconds for one mutation; the child gives up a little earlier, and says where it was
COMMAND_SECONDS = 30.0
COMMANDS = 1  # of a mutation whose commands also run through the real command line
ADDRESS_SPACE = 6 << 30  # bytes of a command
BEYOND = int(1.2 * (128 << 20))  # bytes that a command may take more than one that reads next to nothing
_LOST = b""
_FRAME = re.compile(r'/profkit/([\w/]+\.py)", line \d+ in (\S+)')  # as faulthandler writes it, the innermost first
_SMALL = str(REPOSITORY / "tests/data/dialects/2.0.json")
_HTML = ("--format", "html")
USUAL: dict[str, Sequence[str]] = {
    "ops": (_SMALL, *_HTML),
    "info": (_SMALL, *_HTML),
    "diff": (_SMALL, _SMALL, *_HTML),
    "compare": (_SMALL, str(REPOSITORY / "tests/data/dialects/2.1-to-2.3.json"), *_HTML),
    "cost": (_SMALL, "--price", f"{_SMALL}=1", *_HTML),
    "onednn": (str(REPOSITORY / "tests/data/onednn/3.3.2.log.gz"), *_HTML),
    "render": (str(REPOSITORY / "tests/data/saved/compare-1.json"), *_HTML),
    "lanes": (_SMALL, _SMALL),
    "export": (_SMALL,),
}

Result = dict[str, Any]


class Runner:
    """The children of one campaign, in a scratch folder of their own; use it in ``with``."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.scratch = Path(tempfile.mkdtemp(prefix="profkit-fuzz-"))
        self._child: subprocess.Popen[bytes] | None = None
        self._left = 0
        self._usual: dict[str, int] = {}

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()
        shutil.rmtree(self.scratch, ignore_errors=True)

    @property
    def inputs(self) -> Path:
        """The folder of the files of the last mutation."""
        return self.scratch / "trial"

    def run(self, kind: str, number: int) -> Result:
        """Run one mutation; its files stay in ``inputs`` until the next."""
        answer = self._ask(kind, number)
        commands = answer.pop("commands", [])
        if through_the_command_line(number):
            self._check_commands(answer, commands)
        if answer["faults"]:
            answer["verdict"] = "fault"
        return answer

    def _ask(self, kind: str, number: int) -> Result:
        if self._child is None or not self._left:
            self._end()
            self._child, self._left = self._start(), PER_CHILD
        child = self._child
        assert child.stdin is not None
        self._left -= 1
        begun = time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(f"{kind} {number}\n".encode())
            child.stdin.flush()
        line = self._answer(child, begun + PATIENCE)
        if line:
            found: Result = json.loads(line)
            return found
        seconds = round(time.monotonic() - begun, 3)
        sort, what = self._autopsy(child, seconds)
        head = {"seed": self.seed, "kind": kind, "number": number, "base": "", "changes": [], "message": ""}
        return {**head, "verdict": "fault", "faults": [{"sort": sort, "what": what}], "seconds": seconds, "bytes": None}

    def _answer(self, child: subprocess.Popen[bytes], deadline: float) -> bytes:
        """Return the line that a child answers with; nothing if it ends, or does not answer until the deadline."""
        assert child.stdout is not None
        line = bytearray()
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(child.stdout.fileno(), 1 << 20) if ready else _LOST
            if not part:
                return _LOST
            line += part
        return bytes(line)

    def _autopsy(self, child: subprocess.Popen[bytes], seconds: float) -> tuple[str, str]:
        """Return why a child gave no answer: its death, or a hang with the innermost line of profkit."""
        self._end()
        stacks = (self.scratch / "stacks.txt").read_text(encoding="utf-8", errors="replace")
        innermost = _FRAME.search(stacks)
        where = f"profkit/{innermost[1]}:{innermost[2]}" if innermost else "no code of profkit"
        if "Timeout" in stacks or seconds >= PATIENCE:
            return f"hang in {where}", stacks[:3_000]
        return f"killed: status {child.returncode} in {where}", stacks[:3_000]

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "tests.fuzz.child", str(self.scratch), str(self.seed)]
        environment = environment_of(self.scratch)
        # the folder is empty, so that no pyproject.toml of the repository sets gates
        return subprocess.Popen(
            words,
            cwd=self.scratch,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for stream in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # what it forked, too
        child.wait()

    def _check_commands(self, answer: Result, commands: Sequence[Result]) -> None:
        """Run some of the commands that a mutation ran once more, as a user runs them; add what is different."""
        runnable = [c for c in commands if c["status"] is not None and "repair" not in c["words"] and _can_be_passed(c)]
        chance = random.Random(f"{self.seed}/{answer['kind']}/{answer['number']}/command line")
        for command in chance.sample(runnable, min(COMMANDS, len(runnable))):
            found, used = self._command(command["words"])
            if found.status is None:
                answer["faults"].append({"sort": "hang of the command line", "what": " ".join(found.words)})
                continue
            faults = [(fault.sort, fault.what) for fault in check_contract(found)]
            if found.status != command["status"] or found.out != command["out"]:
                differing = _first_difference(command["out"], found.out)
                what = f"status {found.status} instead of {command['status']}; {differing}"
                faults.append(("the command line differs from the same call in a process", what))
            if used > BEYOND and used > self._usual_bytes(command["words"][0]) + BEYOND:
                faults.append(("memory beyond the limit", f"{used >> 20} MiB by the command line"))
            words = f"profkit {' '.join(command['words'])}\n"
            answer["faults"] += [{"sort": sort, "what": words + what[:3_000]} for sort, what in faults]

    def _command(self, words: Sequence[str]) -> tuple[Outcome, int]:
        """Run a command of profkit; return its outcome, and its largest resident size in bytes."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            limited = ["sh", "-c", 'ulimit -v "$0"; exec "$@"', str(ADDRESS_SPACE >> 10)]
            whole = [*limited, sys.executable, "-m", "profkit.cli", *words]
            process = subprocess.Popen(
                whole,
                cwd=self.scratch,
                env=environment_of(self.scratch),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            status, usage = _wait(process)
            out.seek(0)
            err.seek(0)
            texts = [stream.read().decode("utf-8", "surrogateescape") for stream in (out, err)]
        return Outcome(tuple(words), status, *texts), usage

    def _usual_bytes(self, command: str) -> int:
        """Return what a command takes that reads next to nothing: its imports."""
        if command not in self._usual:
            words = USUAL[command]
            words = [*words, "--parquet", str(self.scratch / "usual")] if command == "export" else words
            words = [*words, "--output", str(self.scratch / "usual.json")] if command == "lanes" else words
            self._usual[command] = self._command([command, *words])[1]
        return self._usual[command]


def environment_of(scratch: Path) -> dict[str, str]:
    """Return the environment of a child or a command: the repository's profkit, and a cache of its own."""
    own = {"PYTHONPATH": str(REPOSITORY), "PROFKIT_CACHE_DIR": str(scratch / "cache"), "NO_COLOR": "1"}
    return {**os.environ, **own}


def _wait(process: subprocess.Popen[bytes]) -> tuple[int | None, int]:
    """Wait for a process; return its status, None if it had to be killed, and its largest resident size."""
    deadline, killed = time.monotonic() + COMMAND_SECONDS, False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return (None if killed else process.returncode), usage.ru_maxrss << 10
        if time.monotonic() > deadline and not killed:
            process.kill()
            killed = True
        time.sleep(0.005)


def _can_be_passed(command: Result) -> bool:
    """Whether the words can be those of a process, which have no NUL and no half of a surrogate pair."""
    text = " ".join(command["words"])
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _first_difference(expected: str, found: str) -> str:
    pairs: Iterator[tuple[str, str]] = zip(expected.splitlines(), found.splitlines(), strict=False)
    return next(
        (f"{a[:200]!r} / {b[:200]!r}" for a, b in pairs if a != b), f"{len(expected)} / {len(found)} characters"
    )
