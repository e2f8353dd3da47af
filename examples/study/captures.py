"""Runs the captures of the plan; a finished one is not run again."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

from examples.study.plan import Capture

DONE = "captured.txt"  # in the folder of a part: one line per finished command


def run(captures: tuple[Capture, ...], logs: Path) -> None:
    """Run each capture that is not finished; raises SystemExit if one fails, or if this process is told to end."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, _end)
    for capture in captures:
        folder = logs / capture.part
        done = folder / DONE
        line = shlex.join(capture.words)
        if done.is_file() and line in done.read_text(encoding="utf-8").splitlines():
            continue
        print(f"profkit capture {line}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "profkit.cli", "capture", *capture.words, "--logdir", str(folder)]
        status = _call(command)
        if status:
            raise SystemExit(f"the capture ended with status {status}; the same command goes on where it stopped")
        with done.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _call(command: list[str]) -> int:
    """Return the status of a command; it ends with this process."""
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        except BaseException:  # Ctrl-C, which the command has got too, or a signal
            process.terminate()
            raise


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)
