"""SIGTERM and SIGHUP end a command as Ctrl-C does: complete work is filed, and child processes end."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class SignalReceived(KeyboardInterrupt):
    """A signal asked this process to end; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise SignalReceived in the main thread on SIGTERM or SIGHUP meanwhile; in other threads nothing changes."""
    with _handled(_raise, SIGNALS[1:]):
        yield


@contextlib.contextmanager
def signals_end_at_once() -> Iterator[None]:
    """End the process, quietly and with the signal's status, on SIGINT, SIGTERM or SIGHUP meanwhile.

    For times in which there is nothing to file or to end: an exception in the middle of an import may be swallowed, or
    shown as a traceback.
    """
    with _handled(_end, SIGNALS):
        yield


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any], numbers: list[signal.Signals]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # a process that ignores SIGHUP was started by nohup, and goes on
    before = {n: signal.signal(n, handler) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _raise(number: int, frame: FrameType | None) -> None:
    raise SignalReceived(number)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
