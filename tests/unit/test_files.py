"""Whole-file writing and bounded opening: nothing half written, nothing that blocks, nothing without a bound."""

from __future__ import annotations

import gzip
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from profkit import files
from profkit.errors import InputError
from profkit.files import OversizeError, open_regular, open_unpacked, read_bounded, replacing, write_whole
from profkit.locks import machine_tag

TEXT = b"0123456789" * 1_000


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_from_bytes_or_chunks(tmp_path: Path) -> None:
    write_whole(tmp_path / "bytes", TEXT)
    write_whole(tmp_path / "chunks", (TEXT[i : i + 7] for i in range(0, len(TEXT), 7)))
    assert (tmp_path / "bytes").read_bytes() == (tmp_path / "chunks").read_bytes() == TEXT
    assert names(tmp_path) == ["bytes", "chunks"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_part_file(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield TEXT
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, chunks())
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_folder_in_the_way_is_an_error_and_leaves_no_part_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "folder", TEXT)
    assert names(tmp_path) == ["folder"]


def test_a_link_is_followed_and_a_long_name_is_written(tmp_path: Path) -> None:
    target, link, long = tmp_path / "target", tmp_path / "link", tmp_path / ("n" * 255)
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_whole(link, TEXT)
    write_whole(long, TEXT)
    assert link.is_symlink()
    assert target.read_bytes() == long.read_bytes() == TEXT


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_whole(Path("/dev/null"), TEXT)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OSError, match="No space left"):
        write_whole(Path("/dev/full"), TEXT)


def test_a_part_file_is_beside_its_target(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as part:
        part.write_bytes(TEXT)
        assert part.parent == tmp_path
        assert part.name.startswith(".file.part-")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == TEXT


WRITING = (
    "import os, sys; from pathlib import Path; from profkit.files import replacing\n"
    "with replacing(Path(sys.argv[1])) as part:\n"
    "    part.write_bytes(b'half'); print(part.name, flush=True); sys.stdin.read()\n"
)


def test_part_files_of_killed_writers_are_removed_by_the_next_one(tmp_path: Path) -> None:
    """Those of living ones, of another machine, and files that only look like one, stay."""
    other = machine_tag().replace(machine_tag().partition(".")[0], "00000000").rpartition(".")[0] + ".00000000"
    kept = [f".x.part-{other}-12345678", ".x.part-1-2", "x.part", f".x.part-{machine_tag()}-12345678.txt"]
    for name in kept:
        (tmp_path / name).write_text("")
    (tmp_path / f".folder.part-{machine_tag()}-12345678").mkdir()
    command = [sys.executable, "-c", WRITING, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as writer:
        assert writer.stdout is not None
        part = writer.stdout.readline().strip()
        write_whole(tmp_path / "another", TEXT)
        assert part in names(tmp_path)
        writer.kill()
    assert part in names(tmp_path)
    write_whole(tmp_path / "another", TEXT)
    assert set(names(tmp_path)) == {*kept, f".folder.part-{machine_tag()}-12345678", "another"}


def test_a_link_in_the_place_of_a_part_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("text")
    (tmp_path / f".x.part-{machine_tag()}-12345678").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "file", TEXT)
    assert (tmp_path / "precious").read_text() == "text"


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "😀" * 63])
def test_a_name_as_long_as_names_can_be(tmp_path: Path, name: str) -> None:
    write_whole(tmp_path / name, TEXT)
    assert names(tmp_path) == [name]


def test_a_full_disk_leaves_no_part_file(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from profkit.files import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: write_whole(Path(sys.argv[1]), b'x' * 1000)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "file"], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert names(tmp_path) == []


@pytest.mark.timeout(20)  # a FIFO without a writer would block for ever
@pytest.mark.parametrize("opening", [open_regular, open_unpacked, lambda path: read_bounded(path, 1 << 20)])
def test_only_regular_files_are_opened(tmp_path: Path, opening: object) -> None:
    assert callable(opening)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path, words in (
            (tmp_path / "pipe", "is a pipe, not a regular file"),
            (tmp_path / "socket", "is a socket, not a regular file"),
            (Path("/dev/zero"), "is a device, not a regular file"),
            (tmp_path, "is a folder"),
            (tmp_path / "absent", "no such file"),
            (tmp_path / "pipe" / "below", "Not a directory"),
        ):
            with pytest.raises(InputError, match=words) as caught:
                opening(path)
            assert caught.value.where == str(path)


def test_gzip_is_told_by_content_and_all_members_are_read(tmp_path: Path) -> None:
    (tmp_path / "plain.gz").write_bytes(TEXT)
    (tmp_path / "packed").write_bytes(gzip.compress(TEXT) + gzip.compress(TEXT) + b"other bytes")
    assert read_bounded(tmp_path / "plain.gz", 1 << 20) == (TEXT, False)
    assert read_bounded(tmp_path / "packed", 1 << 20) == (TEXT + TEXT, False)


def test_the_limit_is_on_the_unpacked_bytes(tmp_path: Path) -> None:
    for name, content in (
        ("plain", TEXT),
        ("packed", gzip.compress(TEXT)),
        ("empty", b""),
        ("none", gzip.compress(b"")),
    ):
        (tmp_path / name).write_bytes(content)
    for name in ("plain", "packed"):
        assert read_bounded(tmp_path / name, len(TEXT)).data == TEXT
        with pytest.raises(OversizeError, match="is larger than 0 MiB unpacked"):
            read_bounded(tmp_path / name, len(TEXT) - 1)
    assert read_bounded(tmp_path / "empty", 0) == read_bounded(tmp_path / "none", 0) == (b"", False)


def test_a_file_of_the_kernel_that_claims_no_size_is_read() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("no /proc on this platform")
    assert b"Name:" in read_bounded(path, 1 << 20).data


@pytest.mark.parametrize("cut", [3, 40, -9, -1])
def test_a_gzip_cut_short_gives_what_is_there(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress(os.urandom(1_000) + TEXT)
    (tmp_path / "cut.gz").write_bytes(packed[:cut])
    data, cut_short = read_bounded(tmp_path / "cut.gz", 1 << 20)
    assert cut_short
    assert gzip.decompress(packed).startswith(data)
    assert (len(data) > 1_000) == (cut < 0)


def test_a_gzip_with_wrong_bits_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    (tmp_path / "wrong.gz").write_bytes(packed)
    with pytest.raises(InputError, match="the gzip is damaged"):
        read_bounded(tmp_path / "wrong.gz", 1 << 20)


def test_closing_an_unpacked_stream_closes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def recorded(path: Path) -> object:
        opened.append(open_regular(path))
        return opened[-1]

    monkeypatch.setattr(files, "open_regular", recorded)
    (tmp_path / "packed").write_bytes(gzip.compress(TEXT))
    with open_unpacked(tmp_path / "packed") as stream:
        assert stream.read() == TEXT
        assert not opened[0].closed
    assert opened[0].closed
