"""Runs one function in a second process beside this one, where the platform forks safely."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")
_ENDING = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


def may_fork() -> bool:
    """Whether a child process can be forked: not beside other threads, nor where forking is unsafe or unknown."""
    return hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ChildLostError(Exception):
    """The second process ended before it sent its answer, perhaps killed for lack of memory."""


def start_answering(function: Callable[[], object]) -> tuple[int, int]:
    """Call ``function()`` in a second process; return its id, and the descriptor for :func:`receive_answer`.

    The caller closes the descriptor and waits for the process.
    """
    # A signal whose handler raises must not do so in the new process before _answer catches what is raised there:
    # that process would go on as if it were this one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        return _fork(function, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fork(function: Callable[[], object], unblocked: set[signal.Signals | int]) -> tuple[int, int]:
    back_read, back_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # NumPy's libraries keep threads of their own, which the child never wakes
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(back_read)
        _answer(function, back_write, unblocked)
    os.close(back_write)
    return pid, back_read


def receive_answer(descriptor: int) -> Any:
    """Return what the function in the second process returned; raises what it raised, or ChildLostError."""
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        try:
            is_error, value = pickle.load(stream)  # from our own child
        except (EOFError, pickle.UnpicklingError):
            raise ChildLostError from None
    if is_error:
        raise value
    return value


class Beside(Generic[T]):
    """The call ``function()`` under way in a second process; :meth:`result` waits for it.

    With one processor, or if this process cannot fork, the call is made by ``result()`` itself; also if the second
    process ends without an answer, killed for its memory perhaps. Use it in ``with``, which ends the second process.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._child = start_answering(function) if may_fork() and processors() > 1 else None

    def result(self) -> T:
        """Return what the function returned; raises what it raised."""
        if self._child is None:
            return self._function()
        try:
            found: T = receive_answer(self._child[1])
        except ChildLostError:
            return self._function()
        return found

    def __enter__(self) -> Beside[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._child is not None:
            pid, back = self._child
            os.close(back)  # a child that still writes ends by this
            if kind is not None:  # nobody waits for the answer any more, after Ctrl-C for example
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
            self._child = None


def _answer(function: Callable[[], object], back: int, unblocked: set[signal.Signals | int]) -> NoReturn:
    """Send back what the function returns or raises, and end this process without running anything of the parent's.

    It starts, and ends, with the signals blocked that end a process; in between their mask is ``unblocked``.
    """
    status = 0
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        answer: tuple[bool, object]
        try:
            answer = (False, function())
        except Exception as error:  # whatever it is, the parent raises it
            answer = (True, error)
        with os.fdopen(back, "wb") as stream:
            pickle.dump(answer, stream, protocol=5)
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    except BaseException:  # the parent sees the pipe end early, and does the work itself
        status = 1
    finally:
        os._exit(status)
