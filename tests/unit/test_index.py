"""The index: every trace once, with the numbers of the plain reader; incremental, restartable, for several writers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

from profkit.cli.main import main
from profkit.errors import InputError, OutputError, UsageError
from profkit.fleet import session, workers
from profkit.fleet.batches import Batch, Done, Options, index_batch
from profkit.fleet.columns import ORIGIN, TABLES
from profkit.fleet.dataset import HEAD, Dataset
from profkit.fleet.overview import describe
from profkit.fleet.session import Plan, index
from profkit.fleet.sources import find_folders
from profkit.fleet.sql import Tables
from profkit.onednn.summary import primitives_by_operator
from profkit.runs import find_runs
from profkit.runs.contents import RunContents
from profkit.runs.measurement import measure
from profkit.stats.quantiles import median
from profkit.trace.file import load
from tests.builders import forward
from tests.conftest import ROOT, trace_json
from tests.unit.nights import Here, Silent, add_night, index_here

TRACES = ROOT / "traces"


def ask(index: Path, sql: str) -> list[tuple[Any, ...]]:
    dataset = Dataset(str(index))
    dataset.require()
    with Tables(dataset) as tables:
        return list(tables.ask(sql).rows)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("index") / "study"
    with pytest.MonkeyPatch.context() as patch:
        done = index_here([TRACES], to, patch)
    assert (done.indexed, done.copies, done.failed) == (50, 0, 0)
    return to


def test_operators_are_the_medians_that_a_run_has(study: Path) -> None:
    (run,) = find_runs(TRACES / "2.0")
    measured = measure(run, ("name", "shape"))
    for by, table, dims in (("name", "operators", "NULL"), ("shape", "operator_shapes", "input_dims")):
        sql = (
            f"SELECT r.round, o.name, {dims}, o.calls, o.self_ns, o.total_ns FROM {table} o JOIN rounds r "
            "USING (batch, trace) WHERE o.label = '2.0' ORDER BY r.round"
        )
        found = {(number, (name, shape)): figures for number, name, shape, *figures in ask(study, sql)}
        matrix = measured.tables[by]  # type: ignore[index]  # a literal
        expected = {}
        for figure in ("calls", "self_ns", "total_ns"):
            for number, values in enumerate(matrix.rounds(figure)):
                for key, value in zip(matrix.keys, median(values).tolist(), strict=True):
                    expected.setdefault((number, key), []).append(value)
        assert {key: values for key, values in expected.items() if values[0]} == {
            key: values for key, values in found.items() if values[0]
        }


def test_rounds_and_forwards_are_those_of_the_manifest_and_the_trace(study: Path) -> None:
    (run,) = find_runs(TRACES / "1.13")
    assert run.manifest is not None
    columns = "path, round, latency_ns, profiled_ns, peak_memory_bytes, date, torch, mode"
    sql = f"SELECT {columns} FROM rounds WHERE label = '1.13' ORDER BY round"
    rows = {row[0]: row[1:] for row in ask(study, sql)}
    assert list(rows) == [str(path.resolve()) for path in run.traces]
    for path, round_ in zip(run.traces, run.manifest.rounds, strict=True):
        walls = load(path).forwards()["wall_ns"]
        expected = (
            round_.index,
            float(np.median(round_.latency_ns)),
            float(np.median(walls)),
            round_.peak_memory_bytes,
        )
        assert rows[str(path.resolve())] == (*expected, round_.started[:10], "1.13.1", "eager")
    ((count,),) = ask(study, "SELECT count(*) FROM forwards WHERE NOT profiled AND label = '1.13'")
    assert count == sum(len(round_.latency_ns) for round_ in run.manifest.rounds)


def test_primitives_are_those_of_the_log_by_operator(study: Path) -> None:
    (run,) = find_runs(TRACES / "2.0")
    joined = RunContents(run).require_primitives()
    expected = {
        (name, use.kind, use.implementation): (round(use.calls * len(joined.forwards)), round(use.exec_ns * 1e3))
        for name, uses in primitives_by_operator(joined).items()
        for use in uses
    }
    sql = (
        "SELECT operator, kind, implementation, sum(calls), any_value(forwards), sum(exec_ns) FROM primitives "
        "WHERE label = '2.0' AND operator IS NOT NULL GROUP BY ALL"
    )
    found = {(name, *key): (calls, round(ns / forwards * 1e3)) for name, *key, calls, forwards, ns in ask(study, sql)}
    assert found == expected
    assert len(found) > 1


def test_an_unchanged_trace_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = add_night(tmp_path / "logs", 0, {"aten::add": 300})
    to = tmp_path / "index"
    assert index_here([tmp_path / "logs"], to, monkeypatch).indexed == 2
    done = index_here([tmp_path / "logs"], to, monkeypatch)
    assert (done.indexed, done.bytes) == (0, 0)
    add_night(tmp_path / "logs", 1, {"aten::add": 300})
    assert index_here([tmp_path / "logs"], to, monkeypatch).indexed == 2
    os.utime(first / "0.pt.trace.json")  # touched: its content is known
    shutil.copytree(first, tmp_path / "logs/copy")
    done = index_here([tmp_path / "logs"], to, monkeypatch)
    assert (done.indexed, done.copies) == (0, 3)
    assert ask(to, "SELECT count(*) FROM rounds") == [(4,)]
    assert ask(to, "SELECT count(*) FROM runs WHERE run LIKE '%copy%'") == [(1,)]


def test_a_trace_that_cannot_be_read_is_a_row_and_the_others_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "logs/label/net"
    folder.mkdir(parents=True)
    (folder / "a.pt.trace.json").write_bytes(trace_json(forward(0, ("aten::add", 10))))
    (folder / "b.pt.trace.json").write_bytes(b"not a trace")
    to = tmp_path / "index"
    done = index_here([tmp_path / "logs"], to, monkeypatch)
    assert (done.indexed, done.failed) == (1, 1)
    ((path, what),) = ask(to, "SELECT path, what FROM failures")
    assert path.endswith("b.pt.trace.json")
    assert what
    assert index_here([tmp_path / "logs"], to, monkeypatch).failed == 0  # known
    (folder / "b.pt.trace.json").write_bytes(trace_json(forward(0, ("aten::mul", 10))))
    assert index_here([tmp_path / "logs"], to, monkeypatch).indexed == 1
    assert ask(to, "SELECT count(*) FROM failures") == [(0,)]
    assert ask(to, "SELECT workload, label FROM rounds") == [("net", "label")] * 2


def test_a_damaged_manifest_is_a_failure_and_its_traces_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = add_night(tmp_path / "logs", 0, {"aten::add": 300})
    (folder / "profkit.json").write_text("{")
    done = index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch)
    assert (done.indexed, done.failed) == (0, 1)
    assert ask(tmp_path / "index", "SELECT count(*) FROM sources WHERE state = 'left out'") == [(2,)]


def test_two_indexers_count_every_trace_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for night in range(3):
        add_night(tmp_path / "logs", night, {"aten::add": 300 + night})
    to = tmp_path / "index"
    Dataset(str(to)).create()
    folders = tuple(find_folders([str(tmp_path / "logs")]))
    for batch in (Batch(folders), Batch(folders[:2]), Batch(folders)):  # as if none knew of the others
        index_batch(batch, str(to), Options(1 << 30))
    assert ask(to, "SELECT count(*) FROM rounds") == [(6,)]
    assert ask(to, "SELECT count(*) FROM runs") == [(3,)]
    for table in ("operators", "forwards"):
        assert ask(
            to, f"SELECT count(*) = count(DISTINCT trace) * {1 if table == 'operators' else 6} FROM {table}"
        ) == [(True,)]


def test_what_is_not_finished_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_night(tmp_path / "logs", 0, {"aten::add": 300})
    to = tmp_path / "index"
    index_here([tmp_path / "logs"], to, monkeypatch)
    (source,) = (to / "sources").iterdir()
    source.unlink()  # a worker that was killed before it wrote this
    assert ask(to, "SELECT count(*) FROM rounds") == [(0,)]
    assert index_here([tmp_path / "logs"], to, monkeypatch).indexed == 2
    assert ask(to, "SELECT count(*) FROM rounds") == [(2,)]
    assert source.is_file()  # the same batch has the same name
    left = to / "rounds/month=2026-09/left.parquet"
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    index_here([tmp_path / "logs"], to, monkeypatch)
    assert not left.exists()


class LosesWorkers(Here):
    """Workers that are lost with some file, as if it took too much memory."""

    deadly = "b.pt.trace.json"

    def finished(self) -> tuple[Batch, Done | Exception]:
        batch = self.batches.pop()
        if any(file.name == self.deadly for folder in batch.folders for file in folder.files):
            return batch, workers.LostWorkerError()
        return batch, index_batch(batch, *self._arguments)


def test_a_file_that_no_worker_survives_is_a_failure_and_the_others_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "logs/label/net"
    folder.mkdir(parents=True)
    for number, name in enumerate("abcde"):
        records = forward(100 * number, ("aten::add", 10))
        (folder / f"{name}.pt.trace.json").write_bytes(trace_json(records))
    to = tmp_path / "index"
    Dataset(str(to)).create()
    places = LosesWorkers(str(to), Options(1 << 30))
    batch = Batch(tuple(find_folders([str(folder)])))
    plan = Plan([str(folder)], str(to), Options(1 << 30), 1)
    found = [done for _, done in session._all_done(places, [batch], plan)]
    assert (sum(done.indexed for done in found), sum(done.failed for done in found)) == (4, 1)
    ((what,),) = ask(to, "SELECT what FROM failures")
    assert "every process that read it was lost" in what


def test_a_run_is_split_by_its_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_night(tmp_path / "logs", 0, {"aten::add": 300}, rounds=5)
    to = tmp_path / "index"
    Dataset(str(to)).create()
    places = LosesWorkers(str(to), Options(1 << 30))
    places.deadly = "3.pt.trace.json"
    plan = Plan([], str(to), Options(1 << 30), 1)
    found = [d for _, d in session._all_done(places, [Batch(tuple(find_folders([str(tmp_path / "logs")])))], plan)]
    assert sum(done.indexed for done in found) == 4
    assert ask(to, "SELECT list(round ORDER BY round) FROM rounds") == [([0, 1, 2, 4],)]
    assert ask(to, "SELECT count(*) FROM runs") == [(1,)]
    assert ("3.pt.trace.json",) in ask(to, "SELECT regexp_extract(path, '[^/]*$') FROM failures")


def test_a_killed_process_of_the_pool_is_replaced(tmp_path: Path) -> None:
    for night in range(2):
        add_night(tmp_path / "logs", night, {"aten::add": 300 + night})
    to = tmp_path / "index"
    Dataset(str(to)).create()
    places = workers.LocalWorkers(1, str(to), Options(1 << 30))
    try:
        first, second = (Batch((folder,)) for folder in find_folders([str(tmp_path / "logs")]))
        places.start(first)
        assert places.finished()[1].indexed == 2  # type: ignore[union-attr]  # it is Done
        (process,) = places._idle[0]._processes.values()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        places.start(second)
        found = places.finished()[1]
        if isinstance(found, workers.LostWorkerError):  # the pool had not seen yet that its process is gone
            places.start(second)
            found = places.finished()[1]
        assert isinstance(found, Done)
    finally:
        places.close()


def test_an_interrupted_indexing_goes_on(tmp_path: Path) -> None:
    for night in range(20):
        add_night(tmp_path / "logs", night, {"aten::add": 300 + night}, rounds=3)
    to = tmp_path / "index"
    words = [
        sys.executable,
        "-m",
        "profkit.cli",
        "index",
        str(tmp_path / "logs"),
        "--to",
        str(to),
        "--workers",
        "1",
        "-q",
    ]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(to.glob("sources/*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode == 130:  # else it was done before the signal came
        assert "the same command continues the work" in err
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert ask(to, "SELECT count(*), count(DISTINCT trace) FROM rounds") == [(60, 60)]


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["index", "nowhere", "--to", "{index}"], 3, "nowhere: no such file or folder"),
        (["index", "no*where", "--to", "{index}"], 3, "no file or folder matches"),
        (["index", "--to", "{index}"], 3, "is not an index. Make one: profkit index"),
        (["index", "traces", "--to", "traces"], 3, "traces: is not an index, and not empty"),
        (["index", "traces", "--to", "/proc/index"], 5, "cannot be written"),
        (["index", "traces", "--to", "x", "--scheduler", "tcp://1", "--workers", "2"], 2, "has its own"),
        (["history", "traces"], 3, "traces: is not an index"),
        (["diff", "traces/2.0", "--where", "true"], 2, "--where is for an index, and this is none"),
        (["ops", "traces/2.0", "--group-by", "host"], 2, "--group-by is for an index"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str],
    status: int,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main([word.format(index=tmp_path / "index") for word in words])
    assert ended.value.code == status
    assert complaint in capsys.readouterr().err


def test_an_index_of_a_newer_version(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(study, copy)
    (copy / HEAD).write_text('{"schema": "tables/9"}')
    with pytest.raises(InputError, match="is an index of another version: tables/9, not tables/1"):
        Dataset(str(copy)).require()
    (copy / HEAD).write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        Dataset(str(copy)).require()


@pytest.mark.parametrize("table", ["operators", "sources"])
def test_a_damaged_file_is_named_with_what_to_do(study: Path, tmp_path: Path, table: str) -> None:
    copy = tmp_path / "index"
    shutil.copytree(study, copy)
    (copy / Dataset(str(copy)).files(table)[0]).write_bytes(b"PAR1 damaged")
    with pytest.raises(InputError, match=r"a file of the index is damaged.*Remove sources/[0-9a-f]{32}\.parquet"):
        ask(copy, f"SELECT count(*), max(trace) FROM {table}")


def test_a_file_with_other_columns_is_damaged(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(study, copy)
    for name in Dataset(str(copy)).files("rounds"):
        parquet.write_table(pyarrow.table({"batch": [1], "strange": ["x"]}), copy / name)
    with pytest.raises(InputError, match=r"a file of the index is damaged"):
        ask(copy, "SELECT count(*) FROM rounds")


def test_the_overview_counts_what_is_there(study: Path) -> None:
    found = describe(Dataset(str(study)))
    assert (found.traces, found.hosts, found.failed) == (50, 1, 0)
    assert [entry.rounds for entry in found.entries] == [5] * 10
    assert set(found.rows) == set(TABLES)
    assert sum(found.days.values()) == 50


def test_every_column_of_the_tables_is_described() -> None:
    for table, columns in TABLES.items():
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.meaning for column in columns)
        if table != "sources":
            assert columns[: len(ORIGIN)] == ORIGIN


def test_the_command_shows_the_index(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["index", "--to", str(study), "--format", "json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["traces"] == 50


def test_a_condition_that_is_no_sql(study: Path) -> None:
    with pytest.raises(UsageError, match="the SQL cannot be answered"):
        ask(study, "SELECT nothing FROM rounds")


def test_a_full_disk_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_night(tmp_path / "logs", 0, {"aten::add": 300})
    to = tmp_path / "index"

    def full(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    Dataset(str(to)).create()
    monkeypatch.setattr("profkit.fleet.storage.write_whole", full)
    with pytest.raises(OutputError, match="No space left on device"):
        index_batch(Batch(tuple(find_folders([str(tmp_path / "logs")]))), str(to), Options(1 << 30))
    assert ask(to, "SELECT count(*) FROM rounds") == [(0,)]


def test_local_processes_index_and_tell_the_progress(tmp_path: Path) -> None:
    for night in range(2):
        add_night(tmp_path / "logs", night, {"aten::add": 300 + night})
    listener = Silent()
    done = index(Plan([str(tmp_path / "logs")], str(tmp_path / "index"), Options(1 << 30), 2), listener)
    assert (done.indexed, listener.files, listener.done) == (4, 6, 6)
