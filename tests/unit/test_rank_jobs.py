"""Ranks of jobs in an index: the spread, the slowest rank and the operator that makes it slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from profkit.comparison.records.ranks import RanksResult
from profkit.errors import UsageError
from profkit.fleet.dataset import Dataset
from profkit.fleet.ranks import side_by_side
from profkit.fleet.sql import Tables
from tests.builders import forward
from tests.conftest import trace_json
from tests.unit.nights import index_here

SLOW = 3  # the rank whose matrix products take longer


def add_job(folder: Path, job: int) -> None:
    folder.mkdir(parents=True)
    for rank in range(4):
        operators = (("aten::mm", 1500 if rank == SLOW else 1000 + rank), ("aten::add", 200))
        records = [r for k in range(3) for r in forward(job * 1_000_000 + rank * 7 + 10_000 * k, *operators)]
        header = {"distributedInfo": {"backend": "gloo", "rank": rank, "world_size": 8}}
        # the name that TensorBoard's handler gives
        name = f"host-{rank}_{100 + rank}.1795377971460.pt.trace.json"
        (folder / name).write_bytes(trace_json(records, **header))


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs, to = tmp_path_factory.mktemp("logs"), tmp_path_factory.mktemp("index") / "index"
    for job in range(3):
        add_job(logs / f"night-{job}" / "bert", job)
    with pytest.MonkeyPatch.context() as patch:
        index_here([logs], to, patch)
    return to


def found(index: Path, where: str = "true") -> RanksResult:
    with Tables(Dataset(str(index))) as tables:
        return side_by_side(tables, str(index), where)


def test_the_slowest_rank_and_its_operator(jobs: Path) -> None:
    result = found(jobs)
    assert [job.label for job in result.jobs] == ["night-0", "night-1", "night-2"]
    job = result.jobs[0]
    assert (job.slowest, job.operator, job.world_size) == (SLOW, "aten::mm", 8)
    assert job.extra_ns == pytest.approx((1500 - 1001.5) * 1000)  # less the median of 1000, 1001, 1002 and 1500
    walls = [entry.wall_ns for entry in job.ranks]
    assert job.spread == pytest.approx(walls[SLOW] / ((walls[1] + walls[2]) / 2))
    assert [(row.host, row.slowest, row.jobs) for row in result.stragglers] == [(f"host-{SLOW}", 3, 3)]


def test_a_condition(jobs: Path) -> None:
    assert [job.label for job in found(jobs, "label = 'night-1'").jobs] == ["night-1"]
    with pytest.raises(UsageError, match="no two traces of a folder name different ranks"):
        found(jobs, "rank = 0")


def test_the_command(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.unit.test_query import run

    assert run("ranks", str(jobs)) == 0
    out = capsys.readouterr().out
    assert f"rank {SLOW} is the slowest of 4" in out
    assert "aten::mm takes +49" in out
    assert run("ranks", str(jobs), "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "ranks/1"
