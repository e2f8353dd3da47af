"""What must hold after a capture was killed, and after the next one: checks that return what is wrong, in words."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from profkit.errors import ProfkitError
from profkit.runs import MANIFEST_NAME, find_runs, read_manifest
from profkit.runs.contents import RunContents
from profkit.runs.outputs import Unreadable
from profkit.trace.forward import find_forwards
from profkit.trace.reading.reader import read

_RESULT = re.compile(r"^model, round \d+( of \d+)?: stub ", re.MULTILINE)
_ENDING_S = 20.0  # for processes to end: a worker has 5 s after SIGTERM
_POLL_S = 0.02


def printed_rounds(said: str) -> int:
    """Return how many rounds a capture has said to be complete."""
    return len(_RESULT.findall(said))


def saved_traces(logs: Path) -> set[str]:
    """Return the traces of the rounds in any manifest, those of staging folders included."""
    found = set()
    for path in logs.rglob(MANIFEST_NAME):
        with contextlib.suppress(ProfkitError):
            found |= {round_.trace for round_ in read_manifest(path.parent).rounds}
    return found


def wrong_runs(logs: Path) -> Iterator[str]:
    """Say which runs that a reader finds are not whole."""
    if not any(logs.glob("[!.]*/[!.]*")):
        return
    try:
        runs = find_runs(logs)
        for run in runs:
            assert run.manifest is not None
            named = [round_.trace for round_ in run.manifest.rounds]
            there = sorted(path.name for path in run.path.glob("*.pt.trace.json*"))
            if sorted(named) != there:
                yield f"{run.path}: names {named}, holds {there}"
            if [round_.index for round_ in run.manifest.rounds] != list(range(len(named))):
                yield f"{run.path}: rounds are not numbered one by one"
            for trace, round_ in zip(run.traces, run.manifest.rounds, strict=True):
                if len(find_forwards(read(trace))) != len(round_.profiled_ns):
                    yield f"{trace}: not the forwards of its round"
            contents = RunContents(run)
            if named and not isinstance(contents.outputs, dict):
                yield f"{run.path}: {contents.outputs if isinstance(contents.outputs, Unreadable) else 'no outputs'}"
            if run.manifest.primitives is not None:
                contents.require_primitives()
    except (ProfkitError, AssertionError) as error:
        yield f"a run cannot be read: {error!r}"


def left_files(*folders: Path) -> Iterator[str]:
    """Say which files are left of staging, locks, parts and scratch."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.name.startswith((".", "profkit-scratch-")) or ".part" in path.name:
                yield f"left: {path.relative_to(folder.parent)}"


def left_processes(marker: str) -> list[int]:
    """Return the processes that have ``marker`` in their environment, after a time in which they may end."""
    deadline = time.monotonic() + _ENDING_S
    while (found := processes(marker)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return found


def processes(marker: str, command: str = "") -> list[int]:
    """Return the live processes that have ``marker`` in their environment and ``command`` in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if marker.encode() in (entry / "environ").read_bytes() and command in words and words:
                found.append(int(entry.name))
    return [pid for pid in sorted(found) if pid != os.getpid()]
