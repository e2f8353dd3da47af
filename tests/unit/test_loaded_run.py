"""Runs in Python: what ``profkit.load`` returns for a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

import profkit
from profkit.errors import InputError, UsageError
from profkit.runs.loaded import LoadedRun
from profkit.trace.file import load
from tests.conftest import ROOT

RUN = ROOT / "traces/2.0/resnet50"


@pytest.fixture(scope="module")
def run() -> LoadedRun:
    loaded = profkit.load(RUN)
    assert isinstance(loaded, LoadedRun)
    return loaded


def test_it_is_described_in_one_line(run: LoadedRun) -> None:
    assert repr(run) == "<LoadedRun '2.0 resnet50': 5 traces, PyTorch 2.0.1>"
    assert run.path == RUN
    assert run.manifest is not None
    assert run.manifest.settings["steps"] == 10


def test_tables_are_those_of_the_traces_one_after_the_other(run: LoadedRun) -> None:
    files = [RUN / round_.trace for round_ in run.manifest.rounds] if run.manifest else []
    for name in ("operators", "forwards", "flows"):
        table = getattr(run, name)()
        parts = [getattr(load(file), name)() for file in files]
        assert list(table.columns) == ["round", *parts[0].columns]
        assert table["round"].tolist() == [i for i, part in enumerate(parts) for _ in range(len(part))]
        for column in parts[0].columns:
            assert table[column].tolist() == [value for part in parts for value in part[column].tolist()]
    assert len(run.forwards()) == 50
    assert set(run.operators("shape", per_forward=True)["forward"]) == set(range(10))


def test_a_folder_of_several_runs_names_them() -> None:
    with pytest.raises(UsageError, match=r"traces holds 10 runs: .*resnet50, .*and 2 more. Name one"):
        profkit.load(ROOT / "traces")


def test_a_folder_without_a_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trace in this folder"):
        profkit.load(tmp_path)
