"""What once went wrong with an index, or could: rounds lost or counted twice, secrets kept, hostile names and rows."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import math
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet as parquet
import pytest
from msgspec.structs import replace

from profkit import fetching
from profkit.comparison.records.index import IndexedNow
from profkit.errors import InputError, OutputError, UsageError
from profkit.fleet.batches import Batch, Options, index_batch
from profkit.fleet.comparing import compare_groups
from profkit.fleet.dataset import Dataset
from profkit.fleet.history import follow
from profkit.fleet.overview import describe
from profkit.fleet.selection import Asked, Chosen
from profkit.fleet.session import Plan, index
from profkit.fleet.sources import find_folders
from profkit.fleet.sql import Tables
from profkit.locations import Url, redacted
from profkit.report.kinds import kind_of
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import FORMATS, render
from profkit.report.saved import load
from profkit.runs.store import read_manifest, write_manifest
from profkit.views.diff import compare_runs
from tests.builders import forward
from tests.conftest import ROOT, trace_json
from tests.unit import fleet_results
from tests.unit.nights import Here, Silent, add_night, index_here
from tests.unit.test_index import ask
from tests.unit.test_query import run

Patch = pytest.MonkeyPatch
ADD = {"aten::add": 300.0}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))


def add_lone(folder: Path, name: str, start: int, us: int = 300) -> Path:
    """Write a trace without a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [r for k in range(3) for r in forward(start + 10_000 * k, ("aten::add", us))]
    (folder / name).write_bytes(trace_json(records))
    return folder / name


# rounds that are lost


def test_a_manifest_that_was_damaged_and_is_whole_again(tmp_path: Path, monkeypatch: Patch) -> None:
    folder, to = add_night(tmp_path / "logs", 0, ADD), tmp_path / "index"
    whole = (folder / "profkit.json").read_bytes()
    (folder / "profkit.json").write_bytes(whole[:-20])
    assert index_here([tmp_path / "logs"], to, monkeypatch).failed == 1
    (folder / "profkit.json").write_bytes(whole)
    assert index_here([tmp_path / "logs"], to, monkeypatch).indexed == 2
    assert ask(to, "SELECT count(*) FROM rounds") == [(2,)]
    assert ask(to, "SELECT count(*) FROM failures") == [(0,)]


def test_traces_that_came_before_their_manifest(tmp_path: Path, monkeypatch: Patch) -> None:
    folder, to = add_night(tmp_path / "logs", 0, ADD, rounds=4), tmp_path / "index"
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, rounds=manifest.rounds[:2]))
    index_here([tmp_path / "logs"], to, monkeypatch)
    assert ask(to, "SELECT count(*) FROM rounds") == [(2,)]
    assert index_here([tmp_path / "logs"], to, monkeypatch).bytes == 0  # what was left out is known
    write_manifest(folder, manifest)
    assert index_here([tmp_path / "logs"], to, monkeypatch).indexed == 2
    assert ask(to, "SELECT count(*), count(latency_ns) FROM rounds") == [(4, 4)]


def test_traces_that_were_indexed_without_a_manifest(tmp_path: Path, monkeypatch: Patch) -> None:
    folder, to = add_night(tmp_path / "logs", 0, ADD), tmp_path / "index"
    manifest = read_manifest(folder)
    (folder / "profkit.json").unlink()
    index_here([tmp_path / "logs"], to, monkeypatch)
    assert ask(to, "SELECT count(*), count(latency_ns) FROM rounds") == [(2, 0)]
    write_manifest(folder, manifest)
    index_here([tmp_path / "logs"], to, monkeypatch)
    rows = ask(to, "SELECT count(*), count(latency_ns), any_value(label) FROM rounds")
    assert rows == [(2, 2, "nightly")]
    assert ask(to, "SELECT count(*) FROM operators") == [(2,)]


# rounds that are counted twice


def test_a_batch_that_was_killed_and_is_written_again_as_copies(tmp_path: Path) -> None:
    add_night(tmp_path / "logs", 0, ADD)
    to = tmp_path / "index"
    Dataset(str(to)).create()
    folders = tuple(find_folders([str(tmp_path / "logs")]))
    index_batch(Batch(folders), str(to), Options(1 << 30))
    (source,) = (to / "sources").iterdir()
    source.unlink()  # it was killed before it wrote this
    shutil.copytree(tmp_path / "logs", tmp_path / "elsewhere")
    index_batch(Batch(tuple(find_folders([str(tmp_path / "elsewhere")]))), str(to), Options(1 << 30))
    known = tuple(row[0] for row in ask(to, "SELECT trace FROM rounds"))
    assert index_batch(Batch(folders, known=known), str(to), Options(1 << 30)).copies == 2
    for table, count in (("rounds", 2), ("operators", 2), ("forwards", 12)):
        assert ask(to, f"SELECT count(*) FROM {table}") == [(count,)]


def test_traces_of_one_process_are_one_round_as_in_a_diff_of_the_runs(tmp_path: Path, monkeypatch: Patch) -> None:
    for label, factor in (("a", 1.0), ("b", 1.05)):
        for number in range(4):
            add_lone(
                tmp_path / label / "net", f"host_1.{number}.pt.trace.json", 10**6 * (number + 1), round(300 * factor)
            )
    index_here([tmp_path / "a", tmp_path / "b"], tmp_path / "index", monkeypatch)
    with Tables(Dataset(str(tmp_path / "index"))) as tables:
        indexed = compare_groups(Chosen(tables, Asked(str(tmp_path / "index"))), "name", 0.02)["name"]
    read = compare_runs(tmp_path / "a", tmp_path / "b")
    assert (indexed.baseline.rounds, indexed.workloads[0].forward.verdict) == (1, "inconclusive")
    assert (read.baseline.rounds, read.workloads[0].forward.verdict) == (1, "inconclusive")


def test_a_file_that_is_listed_while_it_gets_its_name_is_no_error(tmp_path: Path, monkeypatch: Patch) -> None:
    add_night(tmp_path / "logs", 0, ADD)
    to = tmp_path / "index"
    index_here([tmp_path / "logs"], to, monkeypatch)
    (to / "rounds/.part-of-another-writer").symlink_to("nowhere")
    assert ask(to, "SELECT count(*) FROM rounds") == [(2,)]


def test_an_index_below_the_traces_is_no_source(tmp_path: Path, monkeypatch: Patch) -> None:
    add_night(tmp_path / "logs", 0, ADD)
    to = tmp_path / "logs/index"
    index_here([tmp_path / "logs"], to, monkeypatch)
    done = index_here([tmp_path / "logs"], to, monkeypatch)
    assert (done.indexed, done.failed) == (0, 0)


# failures


def test_the_last_that_is_known_of_a_file_counts(tmp_path: Path, monkeypatch: Patch) -> None:
    path, to = add_lone(tmp_path / "logs/label/net", "a.pt.trace.json", 0), tmp_path / "index"
    whole = path.read_bytes()
    index_here([tmp_path / "logs"], to, monkeypatch)
    path.write_bytes(b"damaged")
    for _ in range(2):
        with Patch.context() as patch:
            index_here([tmp_path / "logs"], to, patch)
        assert ask(to, "SELECT count(*) FROM failures") == [(1,)]
        path.write_bytes(b"damaged again")
    path.write_bytes(whole)
    index_here([tmp_path / "logs"], to, monkeypatch)
    assert ask(to, "SELECT count(*) FROM failures") == [(0,)]


def test_runs_that_cannot_all_be_read_are_named_with_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_lone(tmp_path / "label/net", "a.pt.trace.json", 0)
    (tmp_path / "label/net/b.pt.trace.json").write_text("damaged")
    assert run("query", "SELECT count(*) FROM rounds", str(tmp_path / "label"), "--format", "csv") == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[1] == "1"
    assert "1 of the files could not be read" in err
    assert "b.pt.trace.json" in err


def test_an_error_of_profkit_costs_one_file(tmp_path: Path, monkeypatch: Patch) -> None:
    add_lone(tmp_path / "logs/net", "a.pt.trace.json", 0)
    add_lone(tmp_path / "logs/net", "b.pt.trace.json", 50_000)
    original = index_batch.__globals__["add_trace"]

    def fails(collected: Any, origin: Any, trace: Any, path: str, *rest: Any) -> None:
        if path.endswith("a.pt.trace.json"):
            raise ZeroDivisionError("planted")
        original(collected, origin, trace, path, *rest)

    monkeypatch.setattr("profkit.fleet.batches.add_trace", fails)
    done = index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch)
    assert (done.indexed, done.failed) == (1, 1)
    assert "ZeroDivisionError: planted" in ask(tmp_path / "index", "SELECT what FROM failures")[0][0]


def test_workers_that_write_to_another_folder_of_that_name(tmp_path: Path, monkeypatch: Patch) -> None:
    add_night(tmp_path / "logs", 0, ADD)
    (tmp_path / "elsewhere").mkdir()

    class Elsewhere(Here):
        def finished(self) -> Any:
            batch = self.batches.pop()
            return batch, index_batch(batch, str(tmp_path / "elsewhere"), self._arguments[1])

    monkeypatch.setattr("tests.unit.nights.Here", Elsewhere)
    with pytest.raises(OutputError, match="they see another folder of that name"):
        index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch)


def test_a_relative_index_is_the_same_for_every_worker(tmp_path: Path, monkeypatch: Patch) -> None:
    add_night(tmp_path / "logs", 0, ADD)
    monkeypatch.chdir(tmp_path)
    seen = []

    class Remembers(Here):
        def __init__(self, index: str, options: Options) -> None:
            super().__init__(index, options)
            seen.append(index)

    monkeypatch.setattr("tests.unit.nights.Here", Remembers)
    index_here([Path("logs")], Path("index"), monkeypatch)
    assert seen == [str(tmp_path / "index")]


# names and dates


def test_a_name_that_is_not_utf_8(tmp_path: Path, monkeypatch: Patch) -> None:
    add_lone(tmp_path / "logs/net", os.fsdecode(b"\xff.pt.trace.json"), 0)
    assert index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch).indexed == 1
    ((path,),) = ask(tmp_path / "index", "SELECT path FROM rounds")
    assert path.endswith("\\udcff.pt.trace.json")
    with pytest.raises(UsageError, match="is not UTF-8"):
        ask(tmp_path / "index", "SELECT '\udcff'")


@pytest.mark.parametrize("started", ["\0" * 10, "/../../..", "../../x", "2026-1-1", "", "2026-09-011"])
def test_a_start_that_is_no_time_is_no_folder(started: str, tmp_path: Path, monkeypatch: Patch) -> None:
    folder, to = add_night(tmp_path / "logs", 0, ADD), tmp_path / "a/b/index"
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, rounds=[replace(r, started=started) for r in manifest.rounds]))
    index_here([tmp_path / "logs"], to, monkeypatch)
    assert ask(to, "SELECT count(*), count(date) FROM rounds") == [(2, 0)]
    assert [path.name for path in (to / "rounds").iterdir()] == ["month=unknown"]
    assert {path.name for path in (tmp_path / "a").rglob("*") if path.is_dir()} >= {"b", "index"}
    assert not list((tmp_path / "a").glob("*.parquet"))


# secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/x.zip?sv=1&se=2026-11-03T00:00:00Z&sig=SECRET", "https://h/x.zip"),
        ("s3://key:se@SECRET@bucket/logs", "s3://bucket/logs"),
        ("zip://a::https://u:SECRET@h/x.zip?sig=SECRET", "zip://a::https://h/x.zip"),
        ("https://h/x.json#SECRET", "https://h/x.json"),
        ("s3://b/2026-11-??/x", "s3://b/2026-11-??/x"),
        ("/a/b?c/d@e", "/a/b?c/d@e"),
    ],
)
def test_secrets_are_left_out(url: str, shown: str) -> None:
    assert redacted(url) == shown
    assert "SECRET" not in repr(Url(url))


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files whatever query follows their names, without checksums or times, as some servers do."""

    def send_header(self, keyword: str, value: str) -> None:
        if keyword not in ("Last-Modified", "ETag"):
            super().send_header(keyword, value)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "web"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()


def test_a_trace_at_a_signed_address(web: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url, folder = web
    add_lone(folder, "t.pt.trace.json", 0)
    signed, to = f"{url}/t.pt.trace.json?sig=SECRET&f=t.json", tmp_path / "index"
    assert index(Plan([signed], str(to), Options(1 << 30), 1), Silent()).indexed == 1
    ((path, size),) = ask(to, "SELECT path, bytes FROM rounds")
    assert (path, size) == (f"{url}/t.pt.trace.json", (folder / "t.pt.trace.json").stat().st_size)
    assert run("ops", signed, "--format", "json") == 0
    out, err = capsys.readouterr()
    assert "SECRET" not in out + err
    kept = [
        path
        for path in tmp_path.rglob("*")
        if "SECRET" in path.name or (path.is_file() and b"SECRET" in path.read_bytes())
    ]
    assert kept == []


def test_a_trace_on_the_web_that_has_changed(web: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = web
    add_lone(folder, "t.pt.trace.json", 0, us=300)
    first = fetching.fetch(f"{url}/t.pt.trace.json").read_bytes()
    add_lone(folder, "t.pt.trace.json", 0, us=400)
    assert fetching.fetch(f"{url}/t.pt.trace.json").read_bytes() != first
    plan = Plan([f"{url}/t.pt.trace.json"], str(tmp_path / "index"), Options(1 << 30), 1)
    assert index(plan, Silent()).indexed == 1
    add_lone(folder, "t.pt.trace.json", 0, us=500)
    assert index(plan, Silent()).indexed == 1


def test_arguments_that_a_cluster_logs_have_no_secret() -> None:
    folder = msgspec.structs.replace(next(find_folders([str(Path(__file__))])), root="s3://key:SECRET@bucket")
    assert "SECRET" not in repr(folder) + repr(Batch((folder,)))


# places


def test_file_urls_are_paths(tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    add_night(tmp_path / "logs", 0, ADD)
    assert run("index", f"file://{tmp_path}/logs", "--to", f"file://{tmp_path}/index", "-q") == 0
    for words in (["history"], ["ops"]):
        assert run(*words, f"file://{tmp_path}/index") == 0
    assert run("query", "SELECT count(*) FROM rounds", f"file://{tmp_path}/index", "--format", "csv") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2"


def test_traces_at_the_root_of_an_archive(tmp_path: Path, monkeypatch: Patch) -> None:
    add_lone(tmp_path / "resnet50", "t.pt.trace.json", 0)
    archive = shutil.make_archive(str(tmp_path / "nightly/resnet50"), "zip", tmp_path / "resnet50")
    index_here([Path(archive)], tmp_path / "index", monkeypatch)
    assert ask(tmp_path / "index", "SELECT workload, label, path FROM rounds") == [
        ("resnet50", "nightly", f"zip://t.pt.trace.json::{archive}")
    ]


def test_copies_that_a_command_uses_are_kept(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(fetching, "BOUND_BYTES", 0)
    paths = []
    for name in ("a", "b", "c"):
        add_lone(tmp_path / name, "t.pt.trace.json", 0)
        paths.append(fetching.fetch(shutil.make_archive(str(tmp_path / name), "zip", tmp_path / name)))
    assert all(path.exists() for path in paths)


# figures


def test_days_and_operators_without_time(tmp_path: Path, monkeypatch: Patch, recwarn: pytest.WarningsRecorder) -> None:
    for night in range(12):
        slow = 1.4 if night >= 6 else 1.0
        folder = add_night(tmp_path / "logs", night, {"aten::add": 1000 * slow + night, "aten::view": 0})
        if night == 3:
            manifest = read_manifest(folder)
            write_manifest(
                folder, replace(manifest, rounds=[replace(r, latency_ns=[0, 0, 0]) for r in manifest.rounds])
            )
    index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch)
    with Tables(Dataset(str(tmp_path / "index"))) as tables:
        (series,) = follow(tables, "index", "true", None, 0.02).series
    assert [step.verdict for step in series.steps] == ["slower"]
    assert series.kind == "profiled"  # because one day has no latency
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_rounds_of_several_batch_sizes_are_not_mixed(tmp_path: Path, monkeypatch: Patch) -> None:
    for number, batch in enumerate((1, 8)):
        folder = add_night(tmp_path / "logs", number, {"aten::add": 300 * batch})
        manifest = read_manifest(folder)
        write_manifest(folder, replace(manifest, workload=replace(manifest.workload, batch=batch)))
    index_here([tmp_path / "logs"], tmp_path / "index", monkeypatch)
    with Tables(Dataset(str(tmp_path / "index"))) as tables:
        with pytest.raises(UsageError, match="several batch sizes: 1, 8"):
            Chosen(tables, Asked("index"))
        Chosen(tables, Asked("index", "samples = 8"))


# what is not installed


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["index", "{logs}", "--to", "{to}"], "duckdb"),
        (["index", "{logs}", "--to", "{to}"], "pyarrow"),
        (["query", "SELECT 1", "{logs}"], "duckdb"),
        (["index", "{logs}", "--to", "{to}", "--scheduler", "tcp://127.0.0.1:1"], "distributed"),
    ],
)
def test_a_library_that_is_not_installed(
    words: list[str], missing: str, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_night(tmp_path / "logs", 0, ADD)
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else known(name))
    assert run(*(word.format(logs=tmp_path / "logs", to=tmp_path / "index") for word in words)) == 2
    assert f"{missing} is not installed. pip install 'profkit[fleet]'" in capsys.readouterr().err


# hostile files


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("sound")
    for night in range(2):
        add_night(top / "logs", night, ADD, label=f"label-{night}")
    with Patch.context() as patch:
        index_here([top / "logs"], top / "index", patch)
    return top / "index"


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("rounds", "latency_ns", math.nan),
        ("rounds", "latency_ns", math.inf),
        ("rounds", "profiled_ns", -1.0),
        ("rounds", "bytes", -5),
        ("rounds", "workload", None),
        ("rounds", "resolution_ns", None),
        ("runs", "manifest", "{}"),
        ("runs", "manifest", None),
        ("operators", "self_ns", math.nan),
        ("operators", "name", None),
        ("sources", "bytes", None),
    ],
)
def test_hostile_rows_end_in_words(
    table: str, column: str, value: object, sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "index"
    shutil.copytree(sound, copy)
    for name in Dataset(str(copy)).files(table):
        rows = parquet.read_table(copy / name)
        place = rows.schema.get_field_index(column)
        values = pyarrow.array([value] * len(rows), rows.schema.field(column).type)
        parquet.write_table(rows.set_column(place, rows.schema.field(column), values), copy / name)
    for words in (["diff"], ["compare"], ["ops", "--where", "label = 'label-0'"], ["history"], ["index", "--to"]):
        words = [words[0], *words[1:], str(copy)] if words[0] == "index" else [words[0], str(copy), *words[1:]]
        assert run(*words, "-q") in (0, 2, 3)
        err = capsys.readouterr().err
        assert "Traceback" not in err


@pytest.mark.parametrize("rows", [[[1, 2, 3]], [[]], [[1, 2], [1]]], ids=["too many", "none", "of different lengths"])
def test_a_saved_answer_with_other_rows_is_refused(rows: list[list[int]], tmp_path: Path) -> None:
    document = {**msgspec.to_builtins(fleet_results.answer()), "rows": rows}
    (tmp_path / "answer.json").write_bytes(msgspec.json.encode(document))
    with pytest.raises(InputError):
        load(tmp_path / "answer.json")


def test_saved_results_with_extreme_numbers_are_shown(tmp_path: Path) -> None:
    overview = fleet_results.overview()
    now = IndexedNow(indexed=1, copies=0, failed=0, unchanged=0, bytes=2**53, seconds=5e-324)
    answer = replace(fleet_results.answer(), rows=[["x", 10**400], ["y", -1]])
    history = fleet_results.history()
    series = replace(history.series[1], steps=[replace(history.series[1].steps[0], date="0001-01-01")])
    for name, value in (
        ("index", replace(overview, now=now)),
        ("query", answer),
        ("history", replace(history, series=[series])),
    ):
        for form in FORMATS:
            assert render(kind_of(name), value, form, Selection())


def test_names_of_columns_are_text() -> None:
    named = replace(fleet_results.answer(), columns=["\x1b[31m\n", "=1+1"])
    header = render(kind_of("query"), named, "csv", Selection()).splitlines()[0]
    assert header == "\\x1b[31m\\n,'=1+1"


def test_saved_results_whose_parts_do_not_fit_are_refused(tmp_path: Path) -> None:
    for name, field, value in (
        ("bisect-resnet50-frozen", "versions", []),
        ("bisect-resnet50-frozen", "versions", ["2.0", "9.9"]),
        ("sweep-eager", "labels", []),
        ("sweep-eager", "workloads", []),
    ):
        document = json.loads((ROOT / f"examples/versions/{name}.json").read_text(encoding="utf-8"))
        (tmp_path / "saved.json").write_text(json.dumps({**document, field: value}), encoding="utf-8")
        with pytest.raises(InputError):
            load(tmp_path / "saved.json")
    document = json.loads((ROOT / "examples/versions/sweep-eager.json").read_text(encoding="utf-8"))
    document["workloads"][0]["points"][0]["operators_ns"].pop()
    (tmp_path / "saved.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError):
        load(tmp_path / "saved.json")


def test_an_unreadable_folder_is_said(tmp_path: Path, monkeypatch: Patch) -> None:
    add_night(tmp_path / "logs", 0, ADD)

    def walk(top: object, onerror: Any = None, **_: object) -> Iterator[Any]:
        onerror(PermissionError(13, "Permission denied", str(top)))
        yield from ()

    monkeypatch.setattr("profkit.fleet.sources.os.walk", walk)
    with pytest.raises(InputError, match="Permission denied"):
        list(find_folders([str(tmp_path / "logs")]))


def test_the_overview_of_a_new_index(tmp_path: Path) -> None:
    Dataset(str(tmp_path / "index")).create()
    assert describe(Dataset(str(tmp_path / "index"))).traces == 0
