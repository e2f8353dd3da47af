"""Starts a worker, gives it orders and handles its end: a crash, a hang, what it forked."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profkit import children, units
from profkit.capture.memory import memory_kills, peak_bytes
from profkit.capture.reports import Report, Reports
from profkit.capture.variables import worker_environment
from profkit.shortening import LONGEST_QUOTED, shorten

WORKER = Path(__file__).parent.parent / "worker" / "start.py"
_LOG_TAIL = 4_000  # bytes of the worker's output in which the place of a crash is searched
_GRACE_S = 5.0  # for a worker to end by itself after its last report, and after SIGTERM
_POLL_S = 0.2  # between looks at whether a worker has ended whose children still hold the report descriptor


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended. ``reports`` holds its last report of each kind; ``failure`` is None if it did its work.

    ``crashed`` says that trying again may help: it died, hung, or ended without a word. ``unwritable`` says that it
    could not write its files: the disk is full, for example.
    """

    reports: Mapping[str, Report]
    failure: str | None = None
    crashed: bool = False
    hint: str = ""
    unwritable: bool = False


class Worker:
    """A worker process under ``python``; its output is appended to ``log``. Use it in ``with``, which ends it.

    It gets ``orders`` and ``variables``; ``environ`` is the environment it inherits, this process's own if None. It has
    ``timeout_s`` for all its answers; only the time in which this process waits for it counts. Raises OSError if
    ``log`` cannot be written.

    The worker has a process group of its own, so that Ctrl-C reaches this process only. Everything that it started ends
    with it, and all of them end with this process, also if that is killed (see :mod:`profkit.children`).
    """

    def __init__(
        self,
        python: Path,
        orders: Mapping[str, Any],
        variables: Mapping[str, str],
        log: Path,
        timeout_s: float,
        listen: Callable[[Report], None],
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._log, self._timeout_s, self._left_s, self._listen = log, timeout_s, timeout_s, listen
        self._reports = Reports("log" if orders.get("onednn") else "served" if orders.get("load") else "round")
        self._has_hung = False
        self._peak_bytes = 0  # that it was seen to use; it reports its own too
        self._kills_before = memory_kills()
        self._outcome: Outcome | None = None
        with log.open("ab") as output:
            self._source, source = os.pipe()
            target, self._target = os.pipe()
            self._open = [self._source, self._target]
            try:
                self._process: subprocess.Popen[bytes] = children.start(
                    [python, "-I", "-u", WORKER, str(target), str(source)],
                    env=worker_environment(os.environ if environ is None else environ, variables),
                    pass_fds=[target, source],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            except OSError as error:
                self._outcome = Outcome({}, f"{python} cannot be started ({error.strerror})")
                self._close()
                return
            finally:
                os.close(target)
                os.close(source)
        self._send(orders)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """End the worker at once, and whatever it started. If it has no outcome yet, it counts as failed."""
        if self._outcome is None:
            self._end(0.0)
            self._outcome = Outcome(self._reports.last, "was ended")

    def order(self, stage: str, **fields: Any) -> bool:
        """Order one turn of ``stage`` and wait until it is done; False if the worker failed."""
        return self.begin(stage, **fields) and self._follow("turn")

    def begin(self, stage: str, **fields: Any) -> bool:
        """Order ``stage`` without waiting for it, so that several workers can do it at once; False if it failed."""
        if self._outcome is not None or self._reports.is_over:
            return False
        self._send({"stage": stage, **fields})
        return True

    def wait(self, event: str, timeout_s: float) -> bool:
        """Wait for the report ``event`` of what was begun, ``timeout_s`` at most; False if the worker failed."""
        self._timeout_s = self._left_s = timeout_s
        return self._outcome is None and self._follow(event)

    def finish(self) -> None:
        """Order the end of the round, or of the load test; :meth:`outcome` waits for it."""
        self._reports.is_finishing = True
        self._send({"stage": "finish"})

    def prepare(self) -> bool:
        """Order the model and wait until it is prepared; False if the worker failed before."""
        return self.begin("prepare") and self.is_ready()

    def is_ready(self) -> bool:
        """Wait until the model that was ordered is prepared; False if the worker failed before."""
        return self._outcome is None and ("ready" in self._reports.last or self._follow("ready"))

    def last(self, event: str) -> Report:
        """Return the last report of the kind ``event``; raises KeyError if there is none."""
        return self._reports.last[event]

    def outcome(self) -> Outcome:
        """Wait until the worker has done its work or failed; return its outcome, and end it."""
        if self._outcome is None:
            grace_s = 0.0  # an interrupt ends the worker at once, like the deadline
            try:
                self._follow(None)
                grace_s = 0.0 if self._has_hung else _GRACE_S
            finally:
                status = self._end(grace_s)
            self._outcome = self._judge(status)
        return self._outcome

    def _send(self, order: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended: its reports say why
            os.write(self._target, json.dumps(order).encode() + b"\n")

    def _follow(self, event: str | None) -> bool:
        """Take reports until one of the kind ``event``, and return True; False if none comes any more."""
        began = time.monotonic()
        deadline = began + self._left_s
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._source, selectors.EVENT_READ)
                while not self._reports.is_over:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        self._has_hung = True
                        return False
                    ended = self._process.poll() is not None  # before the select, so that its last report is not missed
                    if not selector.select(min(left, _POLL_S)):
                        self._peak_bytes = max(self._peak_bytes, peak_bytes(self._process.pid) or 0)
                        if ended:
                            return False  # a child of its holds the descriptor open, and has nothing to report
                        continue
                    piece = os.read(self._source, 1 << 16)
                    if not piece:
                        return False
                    if self._take(piece, event):
                        return True
            return False
        finally:
            self._left_s -= time.monotonic() - began

    def _take(self, piece: bytes, event: str | None) -> bool:
        """Pass the reports in ``piece`` on; return whether one is of the kind ``event``."""
        found = False
        for report in self._reports.take(piece):
            self._listen(report)
            found |= report["event"] == event
        return found

    def _end(self, wait_s: float) -> int:
        """Return the exit status; end the worker if it does not end within ``wait_s``, and whatever it started."""
        self._close()
        return children.end(self._process, wait_s, _GRACE_S)

    def _close(self) -> None:
        while self._open:
            os.close(self._open.pop())

    def _judge(self, status: int) -> Outcome:
        reports = self._reports
        if self._has_hung:
            return Outcome(reports.last, f"hung for {self._timeout_s:.0f} s while {reports.stage}", crashed=True)
        if reports.invalid is not None:
            return Outcome(reports.last, reports.invalid)
        if (error := reports.last.get("error")) is not None:
            kind, message = error.get("kind"), error["message"]
            if kind == "internal":  # an exception that nobody expected: it may come from any step
                message = shorten(f"{reports.stage}, {message}", LONGEST_QUOTED)
            return Outcome(reports.last, message, hint=error["hint"], unwritable=kind == "output")
        if reports.is_done:
            missing = reports.missing
            return Outcome(reports.last, f"did not report its {missing}" if missing else None)
        if status == -signal.SIGKILL and self._was_killed_for_memory():
            reported = (reports.last.get(event, {}).get("peak_memory_bytes") or 0 for event in ("ready", "turn"))
            used = max(self._peak_bytes, *reported)
            failure = f"killed by the kernel because no memory was left, {reports.stage}, at {units.size(used)} or more"
            return Outcome(reports.last, failure, hint="Use a smaller --batch or model, or a machine with more memory")
        if status < 0:
            failure = shorten(f"died of {_signal_name(-status)} {reports.stage}{_place(self._log)}", LONGEST_QUOTED)
        else:
            failure = f"ended with status {status} while {reports.stage}"
        return Outcome(reports.last, failure, crashed=True)

    def _was_killed_for_memory(self) -> bool:
        """Whether the kernel has killed a process for lack of memory since the worker started."""
        kills = memory_kills()
        return kills is not None and self._kills_before is not None and kills > self._kills_before


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _place(log: Path) -> str:
    """Return the innermost Python line of the crash, as faulthandler wrote it, or nothing."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _LOG_TAIL))
        text = stream.read().decode("utf-8", "replace")
    _, found, stack = text.rpartition("(most recent call first):\n")
    line = stack.split("\n", 1)[0].strip() if found else ""
    if not line.startswith("File "):
        return ""
    path, _, rest = line.removeprefix('File "').partition('"')
    return f", at {Path(path).name}{rest}"
