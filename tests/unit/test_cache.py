"""The cache of columns, and reading in chunks and in two processes: always the same answer."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profkit.errors import InputError
from profkit.locks import machine_tag
from profkit.trace.events import Events, Trace
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading import cache_folder
from profkit.trace.reading.pending import begin_read
from profkit.trace.reading.reader import read
from tests.conftest import ROOT
from tests.unit.test_cli import run

SOURCE = sorted((ROOT / "traces/2.0").rglob("*.pt.trace.json.gz"))[0]
LARGE_BYTES = 26 << 20  # above what one process decodes alone (24 MiB)
KEPT_BYTES = 5 << 20  # above what is read as fast as it is found in the cache (4 MiB)


def repeated(least_bytes: int) -> bytes:
    """The text of a real capture, its events repeated until there are ``least_bytes``."""
    text = gzip.decompress(SOURCE.read_bytes())
    first, last = text.index(b"\n  {\n"), text.rindex(b"\n  ],\n")
    events = text[first:last]
    times = least_bytes // len(events) + 1
    return text[:first] + b",".join([events] * times) + text[last:]


@pytest.fixture(scope="module")
def large_text() -> bytes:
    return repeated(LARGE_BYTES)


@pytest.fixture
def forking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two processors, whichever this one is, and an empty cache."""
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)


@pytest.fixture
def large(tmp_path: Path, large_text: bytes, forking: None) -> Path:
    """A trace that two processes decode."""
    path = tmp_path / "large.json"
    path.write_bytes(large_text)
    return path


@pytest.fixture
def kept(tmp_path: Path, forking: None) -> Path:
    """A trace that is worth keeping."""
    path = tmp_path / "kept.json"
    path.write_bytes(repeated(KEPT_BYTES))
    return path


def entries(path: Path) -> list[Path]:
    """The files of the cache beside ``path``."""
    return sorted(found for found in (path.parent / "cache").rglob("*") if found.is_file())


def same(a: Trace, b: Trace) -> bool:
    columns = (f.name for f in fields(Events))
    tables = ("names", "categories", "tracks", "shapes", "call_stacks", "hierarchies", "flow_records", "metadata")
    heads = ("resolution_ns", "base_ns", "dialect", "devices", "other_events", "repairs")
    return all(np.array_equal(getattr(a.events, c), getattr(b.events, c)) for c in columns) and all(
        getattr(a, t) == getattr(b, t) for t in (*tables, *heads)
    )


UNCACHED = ReadOptions(use_cache=False)


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The children that are forked from here on."""
    if not hasattr(os, "fork") or sys.platform == "darwin":
        pytest.skip("one process reads a trace where forking is not safe")
    begun: list[int] = []
    fork = os.fork

    def counted() -> int:
        pid = fork()
        begun.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", counted)
    return begun


@pytest.mark.parametrize("detail", [Detail.NONE, Detail.ALL])
@pytest.mark.parametrize("packed", [False, True])
def test_one_process_and_two_agree(
    large_text: bytes,
    packed: bool,
    detail: Detail,
    tmp_path: Path,
    forking: None,
    forks: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "large.json"
    # stored, not deflated: repeated events would pack into too little to be shared
    path.write_bytes(gzip.compress(large_text, 0) if packed else large_text)
    two = read(path, detail=detail, options=UNCACHED)
    assert len(forks) == 1
    monkeypatch.delattr(os, "fork")  # Windows
    one = read(path, detail=detail, options=UNCACHED)
    assert same(one, two)
    assert len(one.events) > 80_000


@pytest.mark.parametrize("shift", [0, 1, 7, 333, 4_096, 50_003])
def test_wherever_the_file_is_cut_its_events_are_the_same(shift: int, tmp_path: Path, forking: None) -> None:
    """A longer head moves every cut between two events to another place."""
    path = tmp_path / "trace.json"
    text = gzip.decompress(SOURCE.read_bytes())
    path.write_bytes(text)
    expected = read(path, detail=Detail.ALL, options=UNCACHED)
    path.write_bytes(text.replace(b'"schemaVersion": 1,', b'"schemaVersion": 1,' + b" " * shift, 1))
    assert same(read(path, detail=Detail.ALL, options=UNCACHED), expected)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), ("  ,  ", " : ")], ids=["dense", "plain", "uncut"])
def test_however_the_file_is_written_its_events_are_the_same(
    separators: tuple[str, str], tmp_path: Path, forking: None
) -> None:
    """The last way has no text between two events that a cut is made at: the file is read in one piece."""
    path = tmp_path / "trace.json"
    text = gzip.decompress(SOURCE.read_bytes())
    path.write_bytes(text)
    expected = read(path, detail=Detail.NONE, options=UNCACHED)
    path.write_text(json.dumps(json.loads(text), separators=separators))
    found = read(path, detail=Detail.NONE, options=UNCACHED)
    assert path.stat().st_size > 2 << 20  # several pieces
    assert same(found, expected)


def children() -> set[int]:
    """The processes that this one has started and not waited for."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_a_pending_read_gives_the_same_trace(large: Path) -> None:
    before = children()
    pending = begin_read(large, Detail.ALL, UNCACHED)
    assert len(children() - before) == 1
    assert same(pending.result(), read(large, options=UNCACHED))
    assert children() == before
    read(large)
    known = begin_read(large)  # its columns are in the cache: nothing is decoded, threads hash the file
    assert children() == before
    assert same(known.result(), read(large, options=UNCACHED))
    assert threading.active_count() == 1  # no thread is left


@pytest.mark.timeout(60)  # a child that is left behind would block for ever on its pipe
def test_a_pending_read_that_is_not_used_leaves_no_process(large: Path) -> None:
    before, descriptors = children(), len(list(Path("/proc/self/fd").iterdir()))
    with begin_read(large, Detail.ALL, UNCACHED):
        assert len(children() - before) == 1
    assert children() == before
    forgotten = begin_read(large, Detail.ALL, UNCACHED)
    assert len(children() - before) == 1
    del forgotten
    assert children() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@pytest.mark.timeout(20)
def test_a_pending_read_reports_errors_with_its_result(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "absent", "no such file"), (tmp_path, "folder"), (tmp_path / "pipe", "is a pipe")):
        with pytest.raises(InputError, match=words):
            begin_read(path).result()


def test_a_lost_child_costs_time_only(
    large_text: bytes, tmp_path: Path, forking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process ends before it has sent anything, as one does that is killed for its memory."""
    path = tmp_path / "large.json"
    path.write_bytes(large_text)
    expected = read(path, detail=Detail.NONE, options=UNCACHED)
    fork, lost = os.fork, []

    def dying() -> int:
        pid = fork()
        if pid == 0:
            os._exit(9)
        lost.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", dying)
    assert same(read(path, detail=Detail.NONE, options=UNCACHED), expected)
    assert len(lost) == 1


def test_a_second_look_is_the_same(kept: Path) -> None:
    first = read(kept, detail=Detail.SHAPES)
    (entry,) = entries(kept)
    assert same(read(kept, detail=Detail.SHAPES), first)
    assert len(read(kept, detail=Detail.NONE).shapes) > 10  # from the entry with more detail
    assert entries(kept) == [entry]


def test_clearing_removes_every_entry(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(kept, detail=Detail.NONE)
    assert len(entries(kept)) == 1
    assert run("cache", "clear") == 0
    assert entries(kept) == []
    assert capsys.readouterr().out.startswith("removed ")


def test_other_content_of_the_same_size_and_time_is_not_believed(kept: Path) -> None:
    read(kept, detail=Detail.NONE)
    stat = kept.stat()
    kept.write_bytes(kept.read_bytes().replace(b"aten::conv2d", b"aten::CONV2D"))
    os.utime(kept, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert kept.stat().st_size == stat.st_size
    assert "aten::CONV2D" in read(kept, detail=Detail.NONE).names


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_entry_is_not_believed(kept: Path, damage: str) -> None:
    """The trace is read again, and a sound entry takes the damaged one's place."""
    expected = read(kept, detail=Detail.NONE)
    (entry,) = entries(kept)
    sound = entry.read_bytes()
    data = bytearray(sound)
    if damage == "cut":
        data = data[:-100]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "empty":
        data = bytearray()
    else:
        data = bytearray(b"\x80\x05cos\nsystem\n")
    entry.write_bytes(data)
    assert same(read(kept, detail=Detail.NONE), expected)
    assert entry.read_bytes() == sound


DEEP = "nested too deeply"  # stands for a value that Python can neither make nor write
Change = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


def reseal(entry: Path, change: Change) -> None:
    """Change the head and the columns of an entry, and give it the hash of what it is then."""
    data, magic = entry.read_bytes(), b"profkit columns\n"
    at = len(magic) + 8
    end = at + int.from_bytes(data[len(magic) : at], "little")
    head = json.loads(data[at:end])
    columns = {}
    for described in head["columns"]:
        columns[described["name"]] = np.frombuffer(data, described["dtype"], described["length"], end).copy()
        end += columns[described["name"]].nbytes
    change(head, columns)
    text = json.dumps(head).replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000).encode()
    content = magic + len(text).to_bytes(8, "little") + text + b"".join(c.tobytes() for c in columns.values())
    entry.write_bytes(content + hashlib.sha256(content).digest())


def set_value(name: str, value: int) -> Change:
    return lambda head, columns: columns[name].__setitem__(5, value)


def describe(place: int, **fields: Any) -> Change:
    return lambda head, columns: head["columns"][place].update(fields)


@pytest.mark.parametrize(
    "change",
    [
        set_value("name", 10**6),
        set_value("name", -1),
        set_value("category", -7),
        set_value("track", 2**31 - 1),
        set_value("shape", -2),
        set_value("shape", 10**6),
        set_value("start_ns", 2**63 - 1),
        set_value("duration_ns", -(2**63)),
        describe(0, length=-1),
        describe(0, length=10**15),
        describe(1, length=5),
        describe(0, dtype="|O"),
        describe(0, dtype="<f8"),
        describe(0, dtype="<M8[ns]"),
        describe(0, name="nothing"),
        describe(0, name="duration_ns"),
        lambda head, columns: columns.update(more=np.zeros(10)),
        lambda head, columns: columns.pop("start_ns"),
        lambda head, columns: head.update(columns=[]),
        lambda head, columns: head["head"].update(names=[]),
        lambda head, columns: head["head"].update(resolution_ns=0),
        lambda head, columns: head["head"].update(devices=-1),
        lambda head, columns: head["head"].update(other_events={"M": -1}),
        lambda head, columns: head["head"].update(flow_records=[["s", "c", 1, 1, 1, 2**63 - 1]]),
        lambda head, columns: head["head"].update(metadata={"a": DEEP}),
    ],
)
def test_a_resealed_entry_that_cannot_be_is_not_believed(kept: Path, change: Change) -> None:
    expected = read(kept, detail=Detail.SHAPES)
    (entry,) = entries(kept)
    sound = entry.read_bytes()
    reseal(entry, lambda head, columns: None)
    assert same(read(kept, detail=Detail.SHAPES), expected)  # the change below is what makes the difference
    assert entry.read_bytes() != sound
    reseal(entry, change)
    assert same(read(kept, detail=Detail.SHAPES), expected)
    assert entry.read_bytes() == sound


@pytest.mark.timeout(60)
def test_only_a_regular_file_of_a_possible_size_is_an_entry(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(kept, detail=Detail.NONE)
    (entry,) = entries(kept)
    with entry.open("r+b") as stream:
        stream.truncate(cache_folder.BOUND_BYTES + 1)  # a sparse file: it takes no space
    assert same(read(kept, detail=Detail.NONE), expected)
    entry.unlink()
    os.mkfifo(entry)
    assert same(read(kept, detail=Detail.NONE), expected)


def test_part_files_of_killed_writers_are_removed(kept: Path) -> None:
    read(kept)
    (entry,) = entries(kept)
    left = entry.with_name(f".other.part-{machine_tag()}-12345678")
    left.write_bytes(b"half")
    entry.unlink()
    read(kept)
    assert entries(kept) == [entry]


def test_the_cache_is_bounded(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(kept, detail=Detail.NONE)
    (entry,) = entries(kept)
    monkeypatch.setattr(cache_folder, "BOUND_BYTES", entry.stat().st_size + 10)
    other = kept.with_name("other.json")
    other.write_bytes(kept.read_bytes().replace(b"aten::conv2d", b"aten::CONV2D"))
    os.utime(entry, ns=(0, 0))
    read(other, detail=Detail.NONE)
    assert len(entries(kept)) == 1
    assert not entry.exists()


def test_a_cache_that_cannot_be_written_is_not_an_error(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (kept.parent / "file").write_text("")
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(kept.parent / "file"))
    assert len(read(kept).events) > 10_000


def test_no_cache_leaves_nothing(kept: Path) -> None:
    read(kept, options=UNCACHED)
    assert entries(kept) == []
