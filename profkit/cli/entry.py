"""The entry point of the program: it imports next to nothing, and then the rest.

Ctrl-C meanwhile ends the program quietly, also if the exception of a Ctrl-C would be swallowed in the middle of an
import. Only the start of Python itself, which is before this file, shows a traceback then.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored, as with nohup
    if interruptible:
        signal.signal(signal.SIGINT, _end)
    from profkit.cli.main import main as run

    try:
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(_INTERRUPTED)
