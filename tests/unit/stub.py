"""Captures with the real worker under the stub torch."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from profkit.capture.plan import EnvironmentRequest, matrix
from profkit.capture.session import Captured, run_session
from profkit.capture.workloads import resolve
from profkit.runs.setting import Value
from profkit.runs.settings import Settings

STUB = Path(__file__).parent.parent / "stub_torch" / "torch"
SHORT = Settings(rounds=2, steps=3, warmup=2, onednn=False, timeout_s=60.0)


def make_interpreter(folder: Path) -> Path:
    """Make a Python in ``folder`` that has the stub torch and this interpreter's NumPy, and return it."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin/python"
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    packages = Path(done.stdout.strip())
    (packages / "torch").symlink_to(STUB)
    installed = Path(numpy.__file__).parent.parent
    for name in ("numpy", "numpy.libs"):
        if (installed / name).is_dir():
            (packages / name).symlink_to(installed / name)
    return python


class Heard:
    """A listener that keeps what it is told, and can act on reports."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.reports: list[Any] = []
        self.results: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def activity(self, text: str) -> None:
        pass

    def started(self, what: str, left: str) -> None:
        pass

    def report(self, who: str, report: Any) -> None:
        self.reports.append(report)

    def result(self, text: str) -> None:
        self.results.append(text)


def capture(
    python: Path,
    models: Sequence[Path],
    logdir: Path,
    listener: Heard | None = None,
    *,
    settings: Settings = SHORT,
    varied: Mapping[str, Sequence[Value]] | None = None,
    overwrite: bool = False,
) -> list[Captured]:
    """Capture the function ``make`` of each file under ``python``, with each of the ``varied`` values of settings."""
    workloads = [resolve(f"{model}:make") for model in models]
    configurations = matrix(workloads, [EnvironmentRequest(None, python, "stub")], varied or {}, None)
    return run_session(configurations, settings, logdir, listener or Heard(), overwrite=overwrite)


def write_model(folder: Path, body: str = "", *, name: str = "model", make: str = "") -> Path:
    """Write a model file: ``body`` runs in every forward, ``make`` when the model is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    indented = "\n".join(f"    {line}" for line in (body or "pass").splitlines())
    made = "\n".join(f"    {line}" for line in (make or "pass").splitlines())
    path.write_text(
        "import itertools, os, signal, subprocess, sys, time\n"
        "import torch\n"
        "calls = itertools.count(1)\n\n"
        "def model(x):\n"
        "    call = next(calls)\n"
        f"{indented}\n"
        "    time.sleep(0.001)\n"
        "    return torch.Tensor(x.array * 2)\n\n"
        "def make():\n"
        f"{made}\n"
        "    return model, torch.Tensor([1.0, 2.0])\n"
    )
    return path


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that have ``folder`` in it, except this one's."""
    found = []
    for entry in Path("/proc").iterdir() if sys.platform == "linux" else ():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found
