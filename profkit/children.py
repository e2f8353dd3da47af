"""Child processes in groups that end with this process, with everything they started.

Each child leads a session of its own, and so a process group: a Ctrl-C on the terminal reaches this process only. One
more process, the guard (:mod:`profkit.guard`), kills the groups if this process dies without ending them, by SIGKILL
for example. It lives while there are groups. A process that leaves its group by calling setsid(2) or setpgid(2) itself
is out of reach.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

_GUARD = Path(__file__).with_name("guard.py")
_NOWHERE = Path(os.sep)  # the current folder of the guard: it keeps no other one in use


class _Guard:
    """The guard, running; :meth:`tell` adds (``+``) or removes (``-``) a group."""

    def __init__(self) -> None:
        self.groups: set[int] = set()
        source, self._pipe = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _GUARD, str(source)],
                pass_fds=[source],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # what is sent to the group of this process must not reach it
                cwd=_NOWHERE,
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(source)

    def tell(self, sign: str, group: int) -> None:
        """Add a group, or remove it."""
        (self.groups.add if sign == "+" else self.groups.discard)(group)
        with contextlib.suppress(BrokenPipeError):  # it was killed: the groups end as long as this process lives
            os.write(self._pipe, f"{sign}{group}\n".encode())

    def close(self) -> None:
        """End the guard, which has no group left."""
        os.close(self._pipe)
        self._process.kill()  # it ends by itself, unless somebody has stopped it
        self._process.wait()


_guard: _Guard | None = None


def start(command: Sequence[str | os.PathLike[str]], **options: Any) -> subprocess.Popen[Any]:
    """Start a program in a group of its own; end it with :func:`end`. ``options`` are those of subprocess.Popen.

    Raises OSError if it cannot be started.
    """
    global _guard
    with _interrupts_postponed():  # between its start and its registration
        if _guard is None:
            _guard = _Guard()
        try:
            process = subprocess.Popen(command, start_new_session=True, **options)
        except BaseException:
            _close_unused()
            raise
        _guard.tell("+", process.pid)
    return process


def end(process: subprocess.Popen[Any], wait_s: float, grace_s: float) -> int:
    """Return the exit status of a program that :func:`start` started; end it and whatever it started.

    It may end by itself within ``wait_s``; then it gets SIGTERM, and ``grace_s`` later SIGKILL. Its group is killed
    after its end too, because processes that it forked are still in it.
    """
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                process.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                _signal_group(process.pid, number)
                wait_s = grace_s
        return process.wait()
    finally:
        with _interrupts_postponed():  # else the guard would be half closed
            _signal_group(process.pid, signal.SIGKILL)  # after a second Ctrl-C during the wait, too
            if _guard is not None:
                _guard.tell("-", process.pid)
            _close_unused()


def _close_unused() -> None:
    """End the guard if there is no group for it."""
    global _guard
    if _guard is not None and not _guard.groups:
        closing, _guard = _guard, None
        closing.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(group, number)


@contextlib.contextmanager
def _interrupts_postponed() -> Iterator[None]:
    """Deliver SIGINT, SIGTERM and SIGHUP after the block instead of in it. In other threads nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        pending.append(number)

    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # only handlers of Python: a signal that ends the process at once, or is ignored, leaves nothing half done here
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for received in dict.fromkeys(pending):
            os.kill(os.getpid(), received)
