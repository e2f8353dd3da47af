"""SIGTERM and SIGHUP end a command as Ctrl-C does: complete work is filed, and child processes end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class SignalReceived(KeyboardInterrupt):
    """A signal asked this process to end; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise SignalReceived in the main thread on SIGTERM or SIGHUP meanwhile; in other threads nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # a process that ignores SIGHUP was started by nohup, and goes on
    before = {n: signal.signal(n, _raise) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    raise SignalReceived(number)
