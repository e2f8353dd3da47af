"""What live tests share: real environments, made once in the user's cache, and the command line as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from profkit.capture.environments.environments import Environment, Environments

TINY = Path(__file__).with_name("tiny.py")
TORCHES = ("1.13", "2.0", "2.15")
Profkit = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.live)


def profkit_command(*words: object) -> list[str]:
    return [sys.executable, "-m", "profkit.cli", *map(str, words)]


def start(command: Sequence[str], folder: Path, **streams: int) -> subprocess.Popen[str]:
    """Start a command that Ctrl-C can end, also where this process was told to ignore it."""
    return subprocess.Popen(
        command, cwd=folder, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **streams
    )


@pytest.fixture
def profkit(tmp_path: Path) -> Profkit:
    """Return a function that runs profkit in an empty folder and returns the finished process."""

    def run(*words: object, status: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            profkit_command(*words),
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def environments() -> dict[str, Environment]:
    """The environments of a 1.x, a 2.0 and the newest PyTorch."""
    store = Environments(lambda text: print(text, file=sys.stderr))
    return {version: store.ensure(version) for version in TORCHES}
