"""Traces that were packed again, put into an archive, or written in UTF-16: read, or the command that unpacks them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from profkit.errors import InputError
from profkit.trace.operators import sum_operators
from profkit.trace.options import ReadOptions
from profkit.trace.reading.reader import read, write_mended
from tests.conftest import ROOT, event, trace_json

PACKED = ROOT / "tests/data/packed"
PLAIN = (PACKED / "plain.json").read_bytes()
Figures = dict[str, int]


def self_ns(path: Path, **options: int) -> Figures:
    samples = sum_operators(read(path, options=ReadOptions(**options)))
    return {key[0]: ns for key, ns in zip(samples.keys, samples.self_ns[0].tolist(), strict=True)}


EXPECTED = {"aten::linear": 20_375, "aten::addmm": 80_125, "aten::relu": 20_500}


def zipped(*members: tuple[str, bytes], stored: bool = False) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    "name", ["plain.json", "trace.pt.trace.zip", "gz-in-gz.json.gz", "utf16.json", "utf16-nobom.json"]
)
def test_real_ways_to_pack(name: str) -> None:
    assert self_ns(PACKED / name) == EXPECTED
    repairs = {"UTF-16 text": 1} if name.startswith("utf16") else {}
    assert read(PACKED / name).repairs == repairs


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "two bzip2 streams": lambda text: bz2.compress(text[:100]) + bz2.compress(text[100:]),
    "gzip in bzip2": lambda text: bz2.compress(gzip.compress(text)),
    "gzip in zip": lambda text: zipped(("a/t.pt.trace.json.gz", gzip.compress(text)), stored=True),
    "zip with notes": lambda text: zipped(("README", b"notes"), ("__MACOSX/._t.json", b"x"), ("t.json", text)),
    "zip of one file": lambda text: zipped(("profile.txt", text)),
    "zip in gzip": lambda text: gzip.compress(zipped(("t.json", text))),
    "gzip in gzip in gzip": lambda text: gzip.compress(gzip.compress(gzip.compress(text))),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_pack(way: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(WAYS[way](PLAIN))
    assert self_ns(path) == EXPECTED
    assert read(path).repairs == {}
    assert write_mended(path, tmp_path / "out.json") == {}
    assert (tmp_path / "out.json").read_bytes() == PLAIN


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("start", ["", "\r\n  "])
def test_encodings_of_windows(encoding: str, start: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    text = start + trace_json([event("aten::relu µ \N{FIRE}", 1, 2, 0)]).decode().replace("\\u00b5", "µ")
    path.write_bytes(text.encode(encoding))
    assert self_ns(path) == {"aten::relu µ \N{FIRE}": 2_000}
    assert read(path).repairs == {f"{encoding[:6].upper()} text": 1}


def test_utf_16_that_was_cut(tmp_path: Path) -> None:
    """In the middle of a character, of an event: everything before it is good."""
    path = tmp_path / "trace.json"
    path.write_bytes((PACKED / "utf16.json").read_bytes()[:-201])
    assert self_ns(path) == {name: ns for name, ns in EXPECTED.items() if name != "aten::relu"}
    assert read(path).repairs == {"UTF-16 text": 1, "file ends in mid-event": 1}


def test_what_the_library_cannot_unpack_names_a_command_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "compression.zstd", None)  # as before Python 3.14
    source = tmp_path / "with a space.json.zst"
    source.write_bytes((PACKED / "plain.json.zst").read_bytes())
    with pytest.raises(InputError, match="is packed by zstd") as error:
        read(source)
    command = error.value.hint.removeprefix("Unpack it first: ")
    assert command == f"zstd -d '{source}' -o '{source.with_suffix('')}'"
    if subprocess.run(["which", "zstd"], capture_output=True, check=False).returncode == 0:
        subprocess.run(["sh", "-c", f"{command} -q"], check=True)
        assert self_ns(source.with_suffix("")) == EXPECTED


def test_zstd_is_read_where_python_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.14 on; here by a module that stands in for it."""

    class ZstdError(Exception):
        pass

    def unpack(stream: io.BytesIO) -> io.BytesIO:
        if not stream.read().startswith(b"\x28\xb5\x2f\xfd"):
            raise ZstdError("no frame")
        return io.BytesIO(PLAIN)

    module = types.SimpleNamespace(open=unpack, ZstdError=ZstdError)
    monkeypatch.setitem(sys.modules, "compression.zstd", module)
    assert self_ns(PACKED / "plain.json.zst") == EXPECTED


@pytest.mark.parametrize(
    ("content", "what", "hint"),
    [
        (b"\x04\x22\x4d\x18" + bytes(40), "is packed by lz4", "lz4 -d "),
        (b"7z\xbc\xaf\x27\x1c" + bytes(40), "is packed by 7-Zip", "7z x "),
        (bytes(257).replace(b"\0", b"a") + b"ustar\0" + bytes(300), "is packed by tar", "tar -xf "),
        (zipped(("a.json", PLAIN), ("b.json", PLAIN)), r"is a zip archive of 2 files: a\.json, b\.json", "unzip "),
        (zipped(("folder/", b"")), "is a zip archive of 0 files", "unzip "),
        (bz2.compress(PLAIN)[:-20], "the bzip2 is damaged", "Copy it again"),
        (lzma.compress(PLAIN)[:-20], "the xz is damaged", "Copy it again"),
        (zipped(("a.json", PLAIN))[:-30], "the zip archive is damaged", "Copy it again"),
        (zipped(("a.json", b"[[1, 2], [3]]")), "is a memory timeline, not a trace", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_with_the_next_step(content: bytes, what: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what) as error:
        read(path)
    assert hint in error.value.hint
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("way", ["bzip2", "xz", "gzip in gzip in gzip", "zip of one file", "gzip in zip"])
def test_what_comes_out_is_bounded(way: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(WAYS[way](b'{"traceEvents": [' + b" " * (64 << 20)))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="would take more than 24 MiB"):
        read(path, options=ReadOptions(memory_limit=24 << 20))


def test_packed_too_often(tmp_path: Path) -> None:
    text = PLAIN
    for _ in range(12):
        text = gzip.compress(text)
    path = tmp_path / "trace.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match="is packed more than"):
        read(path)
