"""Indexing with real Dask clusters, and killed in the middle: nothing is lost or counts twice, no process stays."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from profkit.fleet.dataset import Dataset
from profkit.fleet.sql import Tables
from tests.live.processes import descendants, end_group, start
from tests.unit.nights import add_night, index_here

NIGHTS, ROUNDS, KILLS = 80, 2, 20
WAIT_S = 120


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("nights")
    for night in range(NIGHTS):
        add_night(logs, night, {"aten::conv2d": 3000 + night, "aten::relu": 300}, rounds=ROUNDS)
    return logs


def words(logs: Path, to: Path, *more: object) -> list[object]:
    return [sys.executable, "-m", "profkit.cli", "index", logs, "--to", to, "-q", "--format", "csv", *more]


def require_everything(to: Path) -> None:
    """Every round of every night counts once, in every table."""
    with Tables(Dataset(str(to))) as tables:

        def one(sql: str) -> tuple[Any, ...]:
            (row,) = tables.ask(sql).rows
            return row

        assert one("SELECT count(*), count(DISTINCT trace), count(DISTINCT run) FROM rounds") == (
            NIGHTS * ROUNDS,
            NIGHTS * ROUNDS,
            NIGHTS,
        )
        assert one("SELECT count(*), sum(self_ns) FROM operators")[0] == 2 * NIGHTS * ROUNDS
        assert one("SELECT count(*) FROM forwards") == (6 * NIGHTS * ROUNDS,)
        assert one("SELECT count(*) FROM runs") == (NIGHTS,)
        assert one("SELECT count(*) FROM failures") == (0,)


def test_twenty_kills_lose_nothing_and_repeat_nothing(nights: Path, tmp_path: Path) -> None:
    """Half of them end a worker, beside which the indexing goes on; half the indexer, after which it is run again."""
    chance, to, in_the_middle = random.Random(16), tmp_path / "index", 0
    for number in range(KILLS):
        process = start(
            words(nights, to, "--workers", 2), tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(chance.uniform(0.6, 1.6))
            ends_indexer = number % 2 == 1
            victims = [process.pid] if ends_indexer else [child.pid for child in descendants(process.pid)]
            if victims and process.poll() is None:
                in_the_middle += 1
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(victims), chance.choice((signal.SIGKILL, signal.SIGTERM)))
            process.wait(WAIT_S)
            deadline = time.monotonic() + WAIT_S
            while descendants(process.pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert descendants(process.pid) == []
        finally:
            end_group(process)
        with pytest.MonkeyPatch.context() as patch:
            index_here([nights], to, patch)
        require_everything(to)
        for path in to.rglob("*.parquet"):  # so that there is work again
            path.unlink()
    assert in_the_middle > KILLS // 2


LOCAL_CLUSTER = """
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        input()
"""


def test_a_local_cluster_of_processes(nights: Path, tmp_path: Path) -> None:
    (tmp_path / "cluster.py").write_text(LOCAL_CLUSTER)
    cluster = start([sys.executable, "cluster.py"], tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert cluster.stdout is not None
        to, address = tmp_path / "index", cluster.stdout.readline().strip()
        run = [str(word) for word in words(nights, to, "--scheduler", address)]
        done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        require_everything(to)
    finally:
        end_group(cluster)


@contextmanager
def command(folder: Path, *told: str) -> Iterator[subprocess.Popen[str]]:
    process = start(
        [Path(sys.executable).with_name("dask"), *told], folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        end_group(process)


def address_of(scheduler: subprocess.Popen[str]) -> str:
    assert scheduler.stderr is not None
    for line in scheduler.stderr:
        if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
            return found[1]
    raise AssertionError("the scheduler did not say where it is")


def test_scheduler_and_workers_as_separate_commands_one_of_which_is_killed(nights: Path, tmp_path: Path) -> None:
    local = ("--host", "127.0.0.1")
    with command(tmp_path, "scheduler", *local, "--port", "0", "--no-dashboard") as scheduler:
        address = address_of(scheduler)
        worker = ("worker", address, *local, "--nthreads", "1", "--no-dashboard")
        with command(tmp_path, *worker) as first, command(tmp_path, *worker):
            to = tmp_path / "index"
            process = start(
                words(nights, to, "--scheduler", address), tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            try:
                deadline = time.monotonic() + WAIT_S
                while not list(to.glob("sources/*")) and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                end_group(first)
                _, err = process.communicate(timeout=WAIT_S)
                assert process.returncode == 0, err
            finally:
                end_group(process)
            require_everything(to)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_no_scheduler_answers(address: str, nights: Path, tmp_path: Path) -> None:
    hurry = "from profkit.fleet import workers; workers._CONNECTING_S = 2"
    code = f"{hurry}; from profkit.cli.main import main; main()"
    told = [str(word) for word in words(nights, tmp_path / "index", "--scheduler", address)[3:]]
    done = subprocess.run(
        [sys.executable, "-c", code, *told], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "no Dask scheduler answers" in done.stderr
    assert "Start one with dask scheduler" in done.stderr
