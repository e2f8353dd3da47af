"""Runs and indexes at URLs: archives, HTTP and S3, against real servers; no secret is ever shown or kept."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import profkit
from profkit import fetching
from profkit.cli.main import main
from profkit.errors import InputError, UsageError
from profkit.fleet.batches import Options
from profkit.fleet.dataset import Dataset
from profkit.fleet.session import Plan, index
from profkit.fleet.sql import Tables
from profkit.locations import Place, is_url, redacted
from tests.conftest import ROOT
from tests.unit.nights import Silent, add_night, index_here

Capsys = pytest.CaptureFixture[str]
RUN = ROOT / "traces/2.0"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server that has a trace and an archive."""
    folder = tmp_path_factory.mktemp("web")
    shutil.copy(next(RUN.rglob("*.pt.trace.json.gz")), folder / "one.pt.trace.json.gz")
    shutil.make_archive(str(folder / "logs"), "zip", ROOT / "traces", "2.0")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A server that speaks S3, with an empty bucket; the environment has its address and credentials."""
    pytest.importorskip("moto")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    Place("s3://fleet").files.mkdir("fleet")
    yield "s3://fleet"
    server.stop()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def upload(folder: Path, url: str) -> None:
    place = Place(url)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            place.files.put_file(str(path), f"{place.path}/{path.relative_to(folder).as_posix()}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/logs", True),
        ("https://example.org/x.pt.trace.json", True),
        ("zip://run::logs.zip", True),
        ("logs.zip", True),
        ("logs.tar.gz", True),
        ("logs/2.0", False),
        ("aten::add", True),
        ("/tmp/trace.json.gz", False),
    ],
)
def test_urls_are_told_from_paths(text: str, expected: bool) -> None:
    assert is_url(text) is expected


def test_what_exists_here_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aten::add.json").write_text("{}")
    (tmp_path / "logs.zip").mkdir()
    assert not is_url("aten::add.json")
    assert not is_url("logs.zip")


def test_the_library_takes_urls(tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "logs"), "zip", ROOT / "traces")
    loaded = profkit.load(f"zip://2.0::{archive}")
    assert len(loaded.operators()) == len(profkit.load(RUN).operators())
    assert profkit.diff(f"zip://2.0::{archive}", RUN).record.workloads[0].name == "resnet50"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/logs", "s3://bucket/logs"),
        ("s3://key:secret@bucket/logs", "s3://bucket/logs"),
        ("https://user:pw@host/x.json?X-Amz-Signature=abc", "https://host/x.json"),
        ("zip://run::https://host/x.zip?token=abc", "zip://run::https://host/x.zip"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_a_run_in_an_archive_is_read_as_one_in_a_folder(tmp_path: Path, capsys: Capsys) -> None:
    archive = shutil.make_archive(str(tmp_path / "logs"), "zip", ROOT / "traces")
    assert run("ops", str(RUN), "--format", "csv") == 0
    expected = capsys.readouterr().out
    for url in (f"zip://2.0::{archive}", f"zip://2.0::file://{archive}"):
        assert run("ops", url, "--format", "csv") == 0
        assert capsys.readouterr().out == expected
    for kind in ("tar", "gztar"):
        packed = shutil.make_archive(str(tmp_path / "run"), kind, RUN)
        assert run("ops", packed, "--format", "csv") == 0
        assert capsys.readouterr().out == expected


def test_a_trace_and_an_archive_from_the_web(web: str, capsys: Capsys, own_cache: Path) -> None:
    url = f"{web}/one.pt.trace.json.gz"
    assert run("ops", url, "--format", "csv") == 0
    assert "aten::mkldnn_convolution" in capsys.readouterr().out
    assert len(fetching.copies()) == 1
    assert run("info", url) == 0
    assert len(fetching.copies()) == 1  # the same copy
    assert run("diff", f"zip://2.0::{web}/logs.zip", str(ROOT / "traces/2.15"), "--format", "json") == 0
    assert run("cache", "clear") == 0
    assert fetching.copies() == []


def test_a_run_in_a_bucket(s3: str, capsys: Capsys) -> None:
    upload(RUN, f"{s3}/logs/2.0/resnet50")
    assert run("ops", f"{s3}/logs/2.0/resnet50", "--format", "csv") == 0
    found = capsys.readouterr().out
    assert run("ops", str(RUN), "--format", "csv") == 0
    assert capsys.readouterr().out == found


def test_an_index_in_a_bucket_of_traces_in_a_bucket(s3: str, tmp_path: Path, capsys: Capsys) -> None:
    for night in range(3):
        add_night(tmp_path / "logs", night, {"aten::add": 300 + night})
    upload(tmp_path / "logs", f"{s3}/nightly")
    to = f"{s3}/index"
    plan = Plan([f"{s3}/nightly"], to, Options(1 << 30), 1)
    assert index(plan, Silent()).indexed == 6
    assert index(plan, Silent()).indexed == 0
    assert index(Plan([f"{s3}/nightly/2026-09-*"], to, Options(1 << 30), 1), Silent()).unchanged == 9
    dataset = Dataset(to)
    dataset.require()
    with Tables(dataset) as tables:
        ((count, path),) = tables.ask("SELECT count(*), min(path) FROM rounds").rows
        assert (count, path.startswith("s3://fleet/nightly/2026-09-01/")) == (6, True)
        for sql in ("SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM glob('s3://fleet/nightly/*')"):
            with pytest.raises(UsageError):
                list(tables.ask(sql).rows)
    index_here([tmp_path / "logs"], tmp_path / "local", pytest.MonkeyPatch())
    for words in (["history"], ["ops", "--where", "date = '2026-09-02'"]):
        results = []
        for place in (to, str(tmp_path / "local")):
            assert run(words[0], place, *words[1:], "--format", "csv") == 0
            results.append(capsys.readouterr().out)
        assert results[0] == results[1]


def test_nothing_that_is_kept_has_a_secret(s3: str, tmp_path: Path, capsys: Capsys) -> None:
    add_night(tmp_path / "logs", 7, {"aten::add": 300})
    upload(tmp_path / "logs", f"{s3}/secret")
    to = tmp_path / "index"
    index(Plan([f"{s3}/secret"], str(to), Options(1 << 30), 1), Silent())
    assert run("history", str(to), "--format", "json") == 0
    out, err = capsys.readouterr()
    kept = b"".join(path.read_bytes() for path in to.rglob("*") if path.is_file())
    assert b"testing-secret" not in kept
    assert "testing-secret" not in out + err


def test_a_bucket_that_vanishes_in_the_middle(s3: str, tmp_path: Path) -> None:
    add_night(tmp_path / "logs", 8, {"aten::add": 300})
    upload(tmp_path / "logs", f"{s3}/vanishing")

    class Vanishes(Silent):
        def found(self, files: int, size: int, unchanged: int) -> None:
            Place(f"{s3}/vanishing").files.rm(f"{s3}/vanishing", recursive=True)

    to = tmp_path / "index"
    done = index(Plan([f"{s3}/vanishing"], str(to), Options(1 << 30), 1), Vanishes())
    assert (done.indexed, done.failed) == (0, 1)  # the manifest; its traces do not count without it
    with Tables(Dataset(str(to))) as tables:
        ((path, what),) = tables.ask("SELECT path, what FROM failures").rows
    assert path.endswith("profkit.json")
    assert "there is nothing" in what


@pytest.mark.parametrize(
    ("url", "status", "complaint"),
    [
        ("s3://fleet/nothing", 3, "s3://fleet/nothing: there is no trace and no run"),
        ("s3://nowhere/logs", 3, "s3://nowhere/logs: "),
        ("zip://x::/nowhere.zip", 3, "there is nothing"),
        ("/nowhere.zip", 3, "there is nothing"),
        ("strange://x", 3, "strange://x: "),
        ("http://127.0.0.1:9/x.json", 3, "http://127.0.0.1:9/x.json: "),
    ],
)
def test_what_is_wrong_is_said(url: str, status: int, complaint: str, s3: str, capsys: Capsys) -> None:
    assert run("ops", url) == status
    err = capsys.readouterr().err
    assert complaint in err
    assert "Traceback" not in err


def test_missing_credentials(s3: str, monkeypatch: pytest.MonkeyPatch, capsys: Capsys, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    Place("s3://fleet").files.clear_instance_cache()
    assert run("ops", "s3://fleet/private") == 3
    assert "AWS_ACCESS_KEY_ID" in capsys.readouterr().err
    Place("s3://fleet").files.clear_instance_cache()


def test_an_archive_that_names_a_file_outside_its_folder(tmp_path: Path) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../../evil.pt.trace.json", "{}")
        packed.writestr("good.pt.trace.json", "{}")
    with contextlib.suppress(InputError):  # by the archive's library or by us: refused, or without that file
        copy = fetching.fetch(str(archive))
        assert all(copy in path.parents for path in fetching.folder().rglob("*.json"))
    assert not (tmp_path / "evil.pt.trace.json").exists()
    assert not (fetching.folder().parent / "evil.pt.trace.json").exists()


def test_old_copies_are_removed_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "BOUND_BYTES", 0)
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "x.pt.trace.json").write_text("{}")
        monkeypatch.setattr(fetching, "_OWN", set())  # as another command
        fetching.fetch(shutil.make_archive(str(folder), "zip", folder))
    (kept,) = fetching.copies()
    assert next(kept.iterdir()).name == "b"
