"""Only regular files are read: a pipe would block for ever, a device may never end."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from profkit.runs.manifest import PrimitivesPass
from profkit.runs.store import read_manifest, write_manifest
from tests.builders import manifest, write_run
from tests.conftest import ROOT
from tests.unit.test_cli import run

pytestmark = pytest.mark.timeout(60)
Capsys = pytest.CaptureFixture[str]


@pytest.fixture(params=["pipe", "device", "socket"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def put(path: Path, kind: str) -> Path:
    """Put something that is not a regular file in the place of ``path``."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        before = Path.cwd()
        os.chdir(path.parent)  # the address of a socket has 108 bytes at most
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
        os.chdir(before)
    return path


def expect(capsys: Capsys, kind: str, status: int, *words: object) -> None:
    capsys.readouterr()
    assert run(*words) == status
    said = capsys.readouterr().err
    assert f"is a {kind}, not a regular file" in said
    assert len(said) < 600


@pytest.mark.parametrize(
    "words",
    [
        ["ops", "{}"],
        ["info", "{}"],
        ["diff", "{}", "{}"],
        ["onednn", "{}"],
        ["render", "{}"],
        ["repair", "{}", "out.json"],
        ["lanes", "{}", "{}"],
        ["compare", "{}", "{}"],
        ["export", "{}", "--parquet", "out"],
        ["view", "{}"],
        ["view", "--perfetto", "{}"],
        ["view", "--html", "{}"],
    ],
    ids=" ".join,
)
def test_an_argument(
    tmp_path: Path, kind: str, words: list[str], capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = put(tmp_path / "trace.json", kind)
    expect(capsys, kind, 3, *[word.format(path) for word in words])


def test_a_workload(tmp_path: Path, kind: str, capsys: Capsys) -> None:
    expect(capsys, kind, 2, "capture", f"{put(tmp_path / 'model.py', kind)}:make", "--torch", "2.0")


def test_a_trace_in_a_folder(tmp_path: Path, kind: str, capsys: Capsys) -> None:
    write_run(tmp_path / "net", manifest("2.0", 2, 100), ("aten::relu", 50))
    put(tmp_path / "net/1.pt.trace.json", kind)
    for words in (["ops", tmp_path], ["info", tmp_path], ["diff", tmp_path, tmp_path]):
        expect(capsys, kind, 3, *words)
    (tmp_path / "net/profkit.json").unlink()
    expect(capsys, kind, 3, "ops", tmp_path)


def test_the_trace_that_is_served(tmp_path: Path, kind: str, capsys: Capsys) -> None:
    write_run(tmp_path / "net", manifest("2.0", 1, 100), ("aten::relu", 50))
    put(tmp_path / "net/0.pt.trace.json", kind)
    expect(capsys, kind, 3, "view", "--perfetto", "--no-browser", tmp_path)


def test_a_manifest(tmp_path: Path, kind: str, capsys: Capsys) -> None:
    write_run(tmp_path / "net", manifest("2.0", 1, 100), ("aten::relu", 50))
    put(tmp_path / "net/profkit.json", kind)
    expect(capsys, kind, 3, "ops", tmp_path)
    expect(capsys, kind, 3, "render", tmp_path / "net/profkit.json")


def test_files_beside_the_traces_count_as_absent(tmp_path: Path, kind: str, capsys: Capsys) -> None:
    """Outputs, the log of oneDNN and its trace; a comparison needs none of them."""
    for side in ("a", "b"):
        shutil.copytree(ROOT / "traces/2.0/resnet50", tmp_path / side / "resnet50")
    folder = tmp_path / "b/resnet50"
    described = read_manifest(folder)
    assert isinstance(described.primitives, PrimitivesPass)
    write_manifest(folder, described)
    for name in ("outputs.npz", "onednn.log.gz", "onednn.trace.json.gz"):
        put(folder / name, kind)
    assert run("diff", tmp_path / "a", tmp_path / "b") == 0
    assert "outputs" not in capsys.readouterr().out
    assert run("onednn", folder) == 3
    assert "has no oneDNN log" in capsys.readouterr().err


def test_the_configuration(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pyproject.toml that is no file is none; the next one above it counts."""
    (tmp_path / "below").mkdir()
    put(tmp_path / "below/pyproject.toml", kind)
    (tmp_path / "pyproject.toml").write_text('[tool.profkit]\nfail-if = ["latency > 3%"]\n')
    from profkit.cli.configuration import configured_rules

    assert configured_rules(tmp_path / "below") == ["latency > 3%"]
