"""What live tests share: real environments, made once in the user's cache, and the command line as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from profkit.capture.environments.environments import Environment, Environments
from tests.live.processes import left_behind, processes, run_while_it_progresses

TINY = Path(__file__).with_name("tiny.py")
TORCHES = ("1.13", "2.0", "2.15")
LAST_RESORT_S = 3600  # a hung command is found by its lack of progress long before
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:  # by nohup or a shell's &; what the tests start would inherit it
        signal.signal(_number, _handler)
_GRACE_S = 20  # for what has been told to end: a browser takes seconds on a busy machine
Profkit = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.live)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LAST_RESORT_S))


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail if a process that the tests started is still there at the end."""
    folder = tmp_path_factory.getbasetemp()
    before = frozenset((process.pid, process.started_ticks) for process in processes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("t")))  # the command line of a worker names its orders there
        yield
    deadline = time.monotonic() + _GRACE_S
    while left := left_behind(os.getpid(), folder, before):
        if time.monotonic() > deadline:
            pytest.fail("left running by the tests:\n" + "\n".join(left))
        time.sleep(0.2)


@pytest.fixture(scope="session", autouse=True)
def one_thread_each() -> Iterator[None]:
    """PyTorch's processes use one thread, unless a test asks for more.

    Two test processes capture at once. With as many threads as processors in each, they wait for each other's threads:
    on two processors a forward of ResNet-50 then takes up to 2 s instead of 30 ms.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def profkit_command(*words: object) -> list[str]:
    return [sys.executable, "-m", "profkit.cli", *map(str, words)]


def run_profkit(folder: Path, *words: object, status: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run profkit in ``folder`` and return the finished process; fails if it ends with another status."""
    done = run_while_it_progresses(profkit_command(*words), folder, variables)
    assert done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def profkit(tmp_path: Path) -> Profkit:
    """Return a function that runs profkit in an empty folder and returns the finished process."""

    def run(*words: object, status: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_profkit(tmp_path, *words, status=status, **variables)

    return run


@pytest.fixture(scope="session")
def environments() -> dict[str, Environment]:
    """The environments of a 1.x, a 2.0 and the newest PyTorch."""
    store = Environments(lambda text: print(text, file=sys.stderr))
    return {version: store.ensure(version) for version in TORCHES}


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory, environments: dict[str, Environment]) -> Path:
    """A folder with ``logs/`` that several tests read and none changes: 1.13, 2.0 and 2.15, with stacks."""
    folder = tmp_path_factory.mktemp("captured")
    versions = [word for version in TORCHES for word in ("--torch", version)]
    short = ("--rounds", 1, "--steps", 3, "--warmup", 2)
    run_profkit(folder, "capture", f"{TINY}:make", "resnet18", *versions, "--with-stack", *short, "--no-onednn")
    return folder
