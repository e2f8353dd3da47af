"""Files that are no traces: recognised by content, refused in one paragraph that says what they are; or skipped."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from profkit.errors import InputError
from profkit.runs import find_runs
from profkit.trace.file import load
from profkit.trace.options import ReadOptions
from profkit.trace.reading.foreign import BEGINNING, recognise
from profkit.trace.reading.reader import read
from profkit.views.operators import view_operators
from tests.conftest import ROOT, event, trace_json
from tests.unit.test_cli import run

FILES = ROOT / "tests/data/foreign"
TRACE = trace_json([event("aten::relu", 1, 2, 0)])
Capsys = pytest.CaptureFixture[str]


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name in names:
            packed.writestr(name, b"\x80\x02}q\x00.")
    return stream.getvalue()


def database(folder: Path, *tables: str) -> bytes:
    path = folder / "database"
    with sqlite3.connect(path) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (start INTEGER, value TEXT)")
    return path.read_bytes()


class Unloadable:
    """Would create a file if it was unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (open, ("/tmp/profkit-unpickled", "w"))


EXECUTION_TRACE = {"schema": "1.1.1-chakra.0.0.4", "pid": 1, "nodes": [{"id": 1, "name": "aten::relu"}]}
EVENT_FILE = b'\x18\0\0\0\0\0\0\0\xa3\x7fK"\t\0\0\xc0\x8e\xb1\x11\xd9A\x1a\rbrain.Event:2\xec\xd5\x1c\x1d'
# content, and what it is
KINDS: dict[str, tuple[bytes, str]] = {
    "memory timeline": ((FILES / "memory-timeline.json").read_bytes(), "a memory timeline, not a trace"),
    "raw memory timeline": (b"[[-1, 0, 1024, 3], [17, 1, 1024, 3]]", "a memory timeline, not a trace"),
    "memory timeline as a page": (b"<html>\n<head><title>GPU Memory Timeline HTML</title>", "a memory timeline (a web"),
    "memory snapshot": ((FILES / "memory-snapshot.pickle").read_bytes(), "a snapshot of CUDA memory, not a trace"),
    "pickle": (pickle.dumps([Unloadable()]), "a Python pickle, not a trace"),
    "text pickle": (pickle.dumps({"a": 1}, protocol=0), "a Python pickle, not a trace"),
    "execution trace": (json.dumps(EXECUTION_TRACE).encode(), "an execution trace"),
    "Perfetto": ((FILES / "perfetto.pftrace").read_bytes(), "a Perfetto protobuf trace, not a trace"),
    "XPlane": (b"\n\x8e\x01\x08\x01\x12\x09/host:CPU\x1a\x05\x08\x01\x12\x01a", "an XPlane profile of JAX or Tensor"),
    "event file": (EVENT_FILE, "a TensorBoard event file, not a trace"),
    "Nsight Systems": (
        b"NVIDIA Tegra Profiler Report 2026@4@1@191-264138605071v0.\n\x0b",
        "a report of Nsight Systems",
    ),
    "Nsight Compute": (b"NVR\0\x10\0\0\0", "a report of Nsight Compute"),
    "page": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page, not a trace"),
    "XML": (b'<?xml version="1.0"?><a/>', "an XML file"),
    "model": (archive("net/data.pkl", "net/version"), "a PyTorch model or checkpoint, not a trace"),
    "old checkpoint": (
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
        "a PyTorch model or checkpoint",
    ),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x052.0.1:\xd0\x01", "an ONNX model, not a trace"),
    "arrays": (archive("x.npy"), "a file of NumPy arrays"),
    "array": (b"\x93NUMPY\x01\0v\0", "a NumPy array"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a pointer of Git LFS"),
    "oneDNN log": (b"onednn_verbose,info,oneDNN v3.1.1 (commit 64f6bcb)\n", "oneDNN's verbose log"),
    "saved result": (b'{\n  "schema": "diff/2",\n  "baseline": {}', "a saved result of profkit"),
    "speedscope": (b'{"$schema": "https://www.speedscope.app/file-format-schema.json"}', "a profile of speedscope"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_refused_by_what_it_is(kind: str, packed: bool, tmp_path: Path, capsys: Capsys) -> None:
    """Whatever its name; and the next step is said."""
    content, what = KINDS[kind]
    path = tmp_path / "a.pt.trace.json"
    path.write_bytes(gzip.compress(content) if packed else content)
    for command in (["ops", path], ["info", path], ["diff", path, path], ["repair", path, tmp_path / "out.json"]):
        assert run(*command) == 3
        error = capsys.readouterr().err
        assert f"is {what}" in error
        assert "not a trace; " in error
        assert len(error) < 600
    assert not (tmp_path / "out.json").exists()
    assert not Path("/tmp/profkit-unpickled").exists()


def test_a_database_of_nsight_systems(tmp_path: Path) -> None:
    nsight = database(tmp_path, "CUPTI_ACTIVITY_KIND_KERNEL", "StringIds")
    (tmp_path / "database").unlink()
    other = database(tmp_path, "people")
    path = tmp_path / "a.json"
    for content, what in ((nsight, "an export of Nsight Systems"), (other, "an SQLite database")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"is {what}"):
            read(path)


def test_a_model_larger_than_the_memory_limit_is_still_recognised(tmp_path: Path) -> None:
    """It is not read whole to be recognised."""
    path = tmp_path / "model.pt"
    path.write_bytes(archive("net/data.pkl") + bytes(8 << 20))
    with pytest.raises(InputError, match="is a PyTorch model"):
        read(path, options=ReadOptions(memory_limit=1 << 20))


@pytest.mark.parametrize(
    "content",
    [
        TRACE,
        b"\n" + TRACE,
        b"\xef\xbb\xbf" + TRACE,
        TRACE.replace(b"relu", b"\x01\x02"),
        json.dumps([event("nodes", 1, 2, schema="1")]).encode(),
        trace_json([event("<html>", 1, 2)], schema="1.0", nodes=[]),
        b"",
        b"onednn",
        TRACE[:20],
    ],
)
def test_what_may_be_a_trace_is_left_to_the_reader(content: bytes) -> None:
    assert recognise(content[:BEGINNING]) is None


@pytest.mark.parametrize("path", sorted((ROOT / "tests/data").glob("d*/*.json*")), ids=lambda path: path.name)
def test_our_damaged_traces_and_dialects_are_none_of_these(path: Path) -> None:
    content = path.read_bytes()
    if path.name == "execution-trace.json" or path.suffix == ".gz":
        return
    assert recognise(content[:BEGINNING]) is None


# beside traces


def test_other_files_beside_a_trace_are_skipped_and_named(tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "run.json").write_bytes(TRACE)
    (tmp_path / "memory.json").write_bytes(KINDS["memory timeline"][0])
    (tmp_path / "jax.json").write_bytes((ROOT / "tests/data/without_operators/jax-empty-event.json").read_bytes())
    (tmp_path / "config.json.gz").write_bytes(gzip.compress(b'{"lr": 0.1}'))
    (tmp_path / "notes.txt").write_text("not JSON, so nobody takes it for a trace")
    (found,) = find_runs(tmp_path)
    assert found.traces == (tmp_path / "run.json",)
    assert found.warnings == (
        "3 files beside the traces are skipped: config.json.gz is JSON without traceEvents; jax.json is a trace of JAX "
        "or XLA; memory.json is a memory timeline.",
    )
    assert [row.name for row in view_operators(found).operators] == ["aten::relu"]
    assert run("ops", tmp_path) == 0
    assert "memory.json is a memory timeline" in capsys.readouterr().out
    assert run("diff", tmp_path, tmp_path / "run.json") == 0
    assert "memory.json is a memory timeline" in capsys.readouterr().out.replace("\n", " ")


def test_files_beside_traces_named_as_tensorboard_names_them(tmp_path: Path) -> None:
    for name in ("a.pt.trace.json", "other.json"):
        (tmp_path / name).write_bytes(TRACE.replace(b"relu", name[:1].encode()))
    (tmp_path / "memory.pt.trace.json").write_bytes(KINDS["memory timeline"][0])
    (found,) = find_runs(tmp_path)
    assert found.traces == (tmp_path / "a.pt.trace.json",)
    (warning,) = found.warnings
    assert "memory.pt.trace.json is a memory timeline" in warning
    assert "other.json is a trace whose name does not end in .pt.trace.json" in warning


def test_a_trace_with_a_long_head_is_a_trace_by_its_name(tmp_path: Path) -> None:
    """What stands before its events may be longer than the part that is looked at."""
    (tmp_path / "a.pt.trace.json").write_bytes(trace_json([event("aten::relu", 1, 2, 0)], note="x" * (2 * BEGINNING)))
    (found,) = find_runs(tmp_path)
    assert [row.name for row in view_operators(found).operators] == ["aten::relu"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("memory.json", KINDS["memory timeline"][0], "memory.json is a memory timeline, not a trace; "),
        ("snapshot.pickle", KINDS["memory snapshot"][0], "snapshot.pickle is a snapshot of CUDA memory, not a trace"),
        ("trace.pftrace", KINDS["Perfetto"][0], "trace.pftrace is a Perfetto protobuf trace"),
        ("deep/trace.zip", archive("t.json"), "deep/trace.zip is packed by zip: if it is a trace, name it instead"),
        ("README", b"nothing", "Pass a folder of .json or .json.gz traces"),
    ],
)
def test_a_folder_without_a_trace_says_what_is_in_it(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="no trace in this folder") as error:
        find_runs(tmp_path)
    assert said in str(error.value)


def test_a_folder_named_like_a_trace_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "2.0/net").mkdir(parents=True)
    (tmp_path / "2.0/net/a.pt.trace.json").write_bytes(TRACE)
    (tmp_path / "2.0/net/b.pt.trace.json").mkdir()
    (tmp_path / "2.0.pt.trace.json").mkdir()
    (found,) = find_runs(tmp_path)
    assert (found.path, found.traces) == (tmp_path / "2.0/net", (tmp_path / "2.0/net/a.pt.trace.json",))
    with pytest.raises(InputError, match=r"such as .*a\.pt\.trace\.json\."):
        load(tmp_path)
    named = tmp_path / "2.0.pt.trace.json"
    (named / "x.json").write_bytes(TRACE)
    (inside,) = find_runs(named)
    assert (inside.workload, inside.label) == ("2.0", str(named))
