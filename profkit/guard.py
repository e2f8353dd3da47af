"""A program that kills process groups when the process that started them has died; see :mod:`profkit.children`.

Its argument is the descriptor of a pipe. Each line on the pipe is ``+GROUP`` for a group to watch over, or ``-GROUP``
for one that has ended. The pipe ends with the process that writes to it, however that died; the groups that are left
then are killed. It imports the standard library only, because it runs with ``-I -S``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def watch(descriptor: int) -> None:
    """Follow the pipe to its end, and kill the groups that are left."""
    groups: set[int] = set()
    with os.fdopen(descriptor, encoding="ascii") as lines:
        for line in lines:
            group = int(line[1:])
            if line.startswith("+"):
                groups.add(group)
            else:
                groups.discard(group)
    for group in groups:
        with contextlib.suppress(OSError):  # it has ended
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the pipe, after everything else
    watch(int(sys.argv[1]))
