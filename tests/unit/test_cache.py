"""The cache of columns, and reading in chunks and in two processes: always the same answer."""

from __future__ import annotations

import gzip
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from profkit.errors import InputError
from profkit.trace.events import Events, Trace
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading import cache, cache_folder, chunks, parallel
from profkit.trace.reading.pending import begin_read
from profkit.trace.reading.reader import read
from tests.conftest import ROOT

SOURCE = sorted((ROOT / "traces/2.0").rglob("*.json.gz"))[0]


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trace that is cut into many chunks, decoded in two processes, and kept."""
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(parallel, "SMALL_BYTES", 0)
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    monkeypatch.setattr(cache_folder, "WORTHWHILE_BYTES", 0)
    path = tmp_path / "large.json"
    path.write_bytes(gzip.decompress(SOURCE.read_bytes()))
    return path


def same(a: Trace, b: Trace) -> bool:
    columns = (f.name for f in fields(Events))
    tables = ("names", "categories", "tracks", "shapes", "call_stacks", "hierarchies", "flow_records", "metadata")
    heads = ("resolution_ns", "base_ns", "dialect", "devices", "other_events", "repairs")
    return all(np.array_equal(getattr(a.events, c), getattr(b.events, c)) for c in columns) and all(
        getattr(a, t) == getattr(b, t) for t in (*tables, *heads)
    )


UNCACHED = ReadOptions(use_cache=False)


@pytest.mark.parametrize("detail", [Detail.NONE, Detail.SHAPES, Detail.ALL])
@pytest.mark.parametrize("packed", [False, True])
def test_one_process_two_and_one_chunk_agree(
    large: Path, packed: bool, detail: Detail, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = large
    if packed:
        path = large.with_suffix(".json.gz")
        path.write_bytes(gzip.compress(large.read_bytes()))
    assert parallel.may_fork()
    two = read(path, detail=detail, options=UNCACHED)
    monkeypatch.setattr(parallel, "may_fork", lambda: False)  # macOS, Windows, or beside other threads
    one = read(path, detail=detail, options=UNCACHED)
    monkeypatch.setattr(chunks, "_SEPARATORS", ())  # a file that cannot be cut
    whole = read(path, detail=detail, options=UNCACHED)
    assert same(one, two)
    assert same(whole, two)
    assert len(two.events) > 10_000


@pytest.mark.parametrize("size", [5_000, 65_536, 1 << 20])
def test_chunks_of_any_size_hold_the_same_events(large: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(large, options=UNCACHED)
    monkeypatch.setattr(chunks.Chunks.__init__, "__defaults__", (size,))
    monkeypatch.setattr(parallel, "CHUNK_BYTES", size)
    assert same(read(large, options=UNCACHED), expected)


def test_a_lost_child_costs_time_only(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(large, options=UNCACHED)
    monkeypatch.setattr(parallel, "_receive", lambda descriptor: parallel.ChildLostError())
    assert same(read(large, options=UNCACHED), expected)


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
    assert parallel.may_fork()  # no thread is left


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


def test_a_second_look_is_the_same(large: Path) -> None:
    first = read(large, detail=Detail.SHAPES)
    (entry,) = cache_folder.entries()
    assert same(read(large, detail=Detail.SHAPES), first)
    assert len(read(large, detail=Detail.NONE).shapes) > 10  # from the entry with more detail
    assert cache_folder.entries() == [entry]
    assert cache_folder.clear() > 0
    assert cache_folder.entries() == []


def test_other_content_of_the_same_size_and_time_is_not_believed(large: Path) -> None:
    read(large, detail=Detail.NONE)
    stat = large.stat()
    large.write_bytes(large.read_bytes().replace(b"aten::conv2d", b"aten::CONV2D"))
    os.utime(large, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert large.stat().st_size == stat.st_size
    assert "aten::CONV2D" in read(large, detail=Detail.NONE).names


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "of another format"])
def test_a_damaged_entry_is_not_believed(large: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(large, detail=Detail.NONE)
    (entry,) = cache_folder.entries()
    data = bytearray(entry.read_bytes())
    if damage == "cut":
        data = data[:-100]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "empty":
        data = bytearray()
    elif damage == "foreign":
        data = bytearray(b"\x80\x05cos\nsystem\n")
    else:
        monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    entry.write_bytes(data)
    assert cache.load(large, cache_folder.content_hash(large), Detail.NONE) is None
    assert same(read(large, detail=Detail.NONE), expected)


def test_the_cache_is_bounded(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(large, detail=Detail.NONE)
    (entry,) = cache_folder.entries()
    monkeypatch.setattr(cache_folder, "BOUND_BYTES", entry.stat().st_size + 10)
    other = large.with_name("other.json")
    other.write_bytes(large.read_bytes().replace(b"aten::conv2d", b"aten::CONV2D"))
    os.utime(entry, ns=(0, 0))
    read(other, detail=Detail.NONE)
    assert len(cache_folder.entries()) == 1
    assert not entry.exists()


def test_a_cache_that_cannot_be_written_is_no_error(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (large.parent / "file").write_text("")
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(large.parent / "file"))
    assert len(read(large).events) > 10_000


def test_no_cache_leaves_nothing(large: Path) -> None:
    read(large, options=UNCACHED)
    assert cache_folder.entries() == []
