"""Processes that live tests start: waited for as long as they work, ended with everything they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

IDLE_S = 300
"""How long a process may neither write nor use the CPU. A download from a slow index does neither for a minute."""
TOTAL_S = 3000
"""Under the limit of 3600 s that pytest-timeout gives a live test, so that the error names the command."""
_POLL_S = 0.1
_TICK = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One row of /proc: times are in clock ticks."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    cpu_ticks: int
    started_ticks: int


def processes() -> list[Process]:
    """Return the processes of this machine; an empty list if it has no /proc (macOS)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            # the name, in parentheses, may hold anything; the fields behind it are numbered from 3 in proc(5)
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            parent, group, session = map(int, fields[1:4])
            cpu = sum(int(fields[i]) for i in (11, 12, 13, 14))  # its own, and of its children that have ended
            found.append(Process(int(entry.name), parent, group, session, fields[0], cpu, int(fields[19])))
    return found


def descendants(pid: int) -> list[Process]:
    """Return the live processes below ``pid``, and those of the session that it leads."""
    everything = processes()
    known, found = {pid}, []
    changed = True
    while changed:
        changed = False
        for process in everything:
            if process.pid not in known and (process.parent in known or process.session == pid):
                known.add(process.pid)
                found.append(process)
                changed = True
    return [process for process in found if process.state != "Z"]


def start(command: Sequence[object], folder: Path, **options: Any) -> subprocess.Popen[str]:
    """Start a command in a session of its own; Ctrl-C ends it even if this process ignores SIGINT.

    End it with :func:`end_group`, or use :func:`started`.
    """
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def end_group(process: subprocess.Popen[str]) -> None:
    """Kill the process with everything it started, and wait until they are gone."""
    left = descendants(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for other in left:  # such as a worker in a session of its own
        with contextlib.suppress(ProcessLookupError):
            os.kill(other.pid, signal.SIGKILL)
    process.wait()
    ended = {(other.pid, other.started_ticks) for other in left}
    deadline = time.monotonic() + IDLE_S
    while any((p.pid, p.started_ticks) in ended and p.state != "Z" for p in processes()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{process.args!r}: a process that was killed is still there")
        time.sleep(_POLL_S)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextlib.contextmanager
def started(command: Sequence[object], folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and kill it with everything it started when the block ends."""
    process = start(command, folder, **options)
    try:
        yield process
    finally:
        end_group(process)


def wait_while_it_progresses(
    process: subprocess.Popen[str],
    condition: Callable[[], object],
    signs: Callable[[], object] = lambda: None,
    *,
    idle_s: float = IDLE_S,
    total_s: float = TOTAL_S,
) -> None:
    """Wait until ``condition``; raises TimeoutError if the process stops working first.

    Working means that ``signs`` changes (the size of what it writes), or that it or a process below it has used CPU
    time. A busy machine makes both slow and stops neither.
    """
    begin = moved = time.monotonic()
    before: object = None
    while not condition():
        cpu = sum(p.cpu_ticks for p in processes() if p.pid == process.pid)
        now = (cpu + sum(p.cpu_ticks for p in descendants(process.pid)), signs())
        if now != before:
            before, moved = now, time.monotonic()
        if time.monotonic() - moved > idle_s:
            raise TimeoutError(f"{process.args!r}: no output and no CPU time for {idle_s:g} s")
        if time.monotonic() - begin > total_s:
            raise TimeoutError(f"{process.args!r}: still working after {total_s:g} s")
        time.sleep(_POLL_S)


def run_while_it_progresses(
    command: Sequence[object],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    *,
    idle_s: float = IDLE_S,
    total_s: float = TOTAL_S,
    pass_fds: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it wrote, as ``subprocess.run`` does.

    Raises TimeoutError, with the end of the output, if the command neither writes nor uses CPU time for ``idle_s``
    seconds, or takes more than ``total_s``.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:

        def sizes() -> tuple[int, int]:
            return os.fstat(out.fileno()).st_size, os.fstat(err.fileno()).st_size

        environment = {**os.environ, **(variables or {})}
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
        with started(command, folder, env=environment, pass_fds=pass_fds, **streams) as process:
            try:
                wait_while_it_progresses(
                    process, lambda: process.poll() is not None, sizes, idle_s=idle_s, total_s=total_s
                )
            except TimeoutError as error:
                raise TimeoutError(f"{error}\n{_text(out)[-2000:]}\n{_text(err)[-2000:]}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, _text(out), _text(err))


def _text(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read()


def left_behind(parent: int, folder: Path, before: frozenset[tuple[int, int]]) -> list[str]:
    """Return the command lines of live processes below ``parent``, or that name ``folder``; not those in ``before``.

    ``before`` holds (pid, start in clock ticks): a pid alone may be used again.
    """
    below = {process.pid for process in descendants(parent)}
    found = []
    for process in processes():
        if process.pid == os.getpid() or process.state == "Z" or (process.pid, process.started_ticks) in before:
            continue
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if process.pid in below or str(folder) in words:
                found.append(f"{process.pid}: {words.strip()}")
    return found
