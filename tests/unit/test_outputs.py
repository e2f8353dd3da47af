"""Is the answer still right?"""

from __future__ import annotations

import csv
import io
import json
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

from profkit.comparison.outputs import compare_outputs as compare_contents
from profkit.comparison.records.outputs import NotFinite, OutputsChange
from profkit.report.saved import schema
from profkit.runs import Run
from profkit.runs.contents import RunContents
from profkit.runs.outputs import Unreadable, read_outputs
from profkit.trace.options import ReadOptions
from tests.builders import manifest, write_run
from tests.unit.test_cli import run as cli

DATA = Path(__file__).parent.parent / "data" / "outputs"


def compare_outputs(baseline: Run, candidate: Run) -> OutputsChange | None:
    return compare_contents(RunContents(baseline).read(), RunContents(candidate).read())


def run(folder: Path, weights: str = "abc", **arrays: np.ndarray) -> Run:
    folder.mkdir()
    described = manifest("2.0", 1, 1)
    described = msgspec.structs.replace(
        described, workload=msgspec.structs.replace(described.workload, weights_sha256=weights)
    )
    np.savez(folder / "outputs.npz", **arrays)  # type: ignore[arg-type]  # its stub has no keyword arrays
    return Run(folder, (), described)


def test_moved_outputs(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.array([3.0, 4.0], dtype=np.float32))
    b = run(tmp_path / "b", output=np.array([4.0, 3.0], dtype=np.float32))
    found = compare_outputs(a, b)
    assert found is not None
    assert found.comparable
    assert found.cosine_similarity == pytest.approx(24 / 25)
    assert found.max_abs_error == 1.0


def test_other_weights_or_shapes_do_not_compare(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.ones(2))
    for other, reason in (
        (run(tmp_path / "b", "xyz", output=np.ones(2)), "the weights differ"),
        (run(tmp_path / "c", output=np.ones(3)), "their names or shapes differ"),
        (run(tmp_path / "d", other=np.ones(2)), "their names or shapes differ"),
        (run(tmp_path / "e", output=np.array([1.0, np.nan])), "a side has NaN or infinity"),
    ):
        found = compare_outputs(a, other)
        assert found is not None, reason
        assert (found.comparable, found.reason) == (False, reason)


def test_complex_outputs_count_their_imaginary_half(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.array([1 + 1j]))
    b = run(tmp_path / "b", output=np.array([1 - 1j]))
    found = compare_outputs(a, b)
    assert found is not None
    assert found.cosine_similarity == 0.0
    assert found.max_abs_error == 2.0


def test_outputs_that_are_no_numbers_any_more_are_said_so(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.array([1.0, 2.0]))
    b = run(tmp_path / "b", output=np.array([1.0, np.nan]))
    found = compare_outputs(a, b)
    assert found is not None
    assert not found.finite


def test_no_outputs(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.ones(2))
    assert compare_outputs(a, Run(tmp_path, ())) is None


def not_comparable(tmp_path: Path, content: bytes, limit: int = 16 << 20) -> str:
    """Why the outputs are not comparable if one side has a file of this content; ``limit`` is in bytes."""
    a = run(tmp_path / "a", output=np.ones(2))
    b = run(tmp_path / "b", output=np.ones(2))
    (tmp_path / "b/outputs.npz").write_bytes(content)
    options = ReadOptions(memory_limit=16 * limit)
    found = compare_contents(RunContents(a, options).read(), RunContents(b, options).read())
    assert found is not None
    assert not found.comparable
    assert found.reason is not None
    assert found.reason.startswith(f"{tmp_path}/b/outputs.npz: ")
    return found.reason.removeprefix(f"{tmp_path}/b/outputs.npz: ")


def npz(member: str, content: bytes, **options: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        archive.writestr(member, content)
    return stream.getvalue()


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode()
    length = len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + text + data


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("header-indented", "'output' is not an array of numbers"),
        ("header-of-one-token", "'output' is not an array of numbers"),
        ("header-unbalanced", "'output' is not an array of numbers"),
        ("header-unhashable", "'output' is not an array of numbers"),
        ("huge-shape", "'output' is not an array of numbers"),
        ("pickle-member", "'output' is not an array as NumPy saves it"),
    ],
)
def test_headers_that_numpys_reader_stumbles_over(tmp_path: Path, name: str, words: str) -> None:
    assert not_comparable(tmp_path, (DATA / f"{name}.npz").read_bytes()).startswith(words)


SOUND = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is damaged (it is not a ZIP file)"),
        (b"PK damaged", "the file is damaged (it is not a ZIP file)"),
        (b"PK\x05\x06" + b"\xff" * 18, "the file has too many members"),
        (b"x" * 20 + b"PK\x05\x06" + b"\x09\0\0\0" * 4 + b"\0\0", "the file is damaged ("),
        (npz("output.npy", npy(SOUND, b"\0" * 16))[:-40], "the file is damaged (it is not a ZIP file)"),
        (npz("output.npy", b""), "'output' is not an array as NumPy saves it"),
        (npz("output.npy", b"\x93NUMPY"), "'output' is not an array as NumPy saves it"),
        (npz("output.npy", npy(SOUND, b"\0" * 16, b"\x09\0")), "'output' is not an array as NumPy saves it"),
        (npz("output.npy", npy(SOUND.replace("<f8", "|O"), b"\x80\x05.")), "'output' is not an array of numbers"),
        (npz("output.npy", npy(SOUND.replace("<f8", "<U2"), b"\0" * 16)), "'output' is not an array of numbers"),
        (npz("output.npy", npy(SOUND.replace("<f8", "<i3"), b"\0" * 6)), "the file is damaged (data type"),
        (npz("output.npy", npy(SOUND.replace("2,", "3,"), b"\0" * 16)), "'output' has 16 bytes, which its shape (3,)"),
        (npz("output.npy", npy(SOUND.replace("2,", "9" * 18 + ", 9"), b"\0")), "'output' has 1 bytes, which its shape"),
        (npz("output.npy", npy(SOUND.replace("2,", "1, " * 70 + "2"), b"\0" * 16)), "the file is damaged ("),
        (npz("output.npy", npy(SOUND.replace("2,", "-1,"), b"\0" * 16)), "'output' is not an array of numbers"),
        (npz("o.npy", npy(SOUND + " " * 70_000, b"", b"\x02\0")), "'o' is not an array of numbers"),
        (npz("output.npy", npy(SOUND, b"\0" * 16), compression=zipfile.ZIP_LZMA), "'output' is not an array as"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_files_that_are_no_outputs(tmp_path: Path, content: bytes, words: str) -> None:
    assert not_comparable(tmp_path, content).startswith(words)


def test_a_wrong_bit_is_found(tmp_path: Path) -> None:
    content = bytearray(npz("output.npy", npy(SOUND, b"\0" * 16)))
    content[content.index(b"\n\0\0\0\0\0") + 3] ^= 1
    assert "Bad CRC-32" in not_comparable(tmp_path, bytes(content))


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    arrays = {
        "half": np.arange(6, dtype=np.float16).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "scalar": np.array(3.5),
        "flags": np.array([True, False]),
        "complex": np.array([1 + 2j], dtype=np.complex64),
        "empty": np.zeros((0, 3)),
        "big": np.arange(3, dtype=">i8"),
    }
    np.savez_compressed(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]  # its stub has no keyword arrays
    found = read_outputs(tmp_path / "x.npz", 1 << 20)
    assert not isinstance(found, Unreadable)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array), name


def test_no_more_is_unpacked_than_the_limit(tmp_path: Path) -> None:
    """A file of 1 MB that unpacks to 1 GB: 100 MB take as little to refuse."""
    stream = io.BytesIO()
    np.savez_compressed(stream, output=np.zeros(100 << 17))
    assert len(stream.getvalue()) < 1 << 20
    tracemalloc.start()
    try:
        said = not_comparable(tmp_path, stream.getvalue(), limit=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert said == "the outputs are larger than 1 MiB unpacked, the limit (--memory-limit sets it)"
    assert peak < 8 << 20
    several = io.BytesIO()
    np.savez_compressed(several, **{str(i): np.zeros(1 << 16) for i in range(3)})  # type: ignore[arg-type]
    (tmp_path / "several.npz").write_bytes(several.getvalue())
    assert isinstance(read_outputs(tmp_path / "several.npz", 1 << 20), Unreadable)  # together they are too large


@pytest.mark.timeout(20)
def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "outputs.npz")
    assert read_outputs(tmp_path / "outputs.npz", 1 << 20) == Unreadable(
        f"{tmp_path}/outputs.npz: is a pipe, not a regular file"
    )


def test_a_diff_goes_on_without_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ("a", "b"):
        write_run(tmp_path / side / "net", manifest("2.0", 3, 100), ("aten::conv2d", 50))
        np.savez(tmp_path / side / "net/outputs.npz", output=np.ones(2))
    (tmp_path / "b/net/outputs.npz").write_bytes((DATA / "header-unhashable.npz").read_bytes())
    assert cli("diff", tmp_path / "a", tmp_path / "b") == 0
    said = capsys.readouterr()
    assert f"outputs not comparable: {tmp_path}/b/net/outputs.npz: 'output' is not an array of numbers" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("before", "after", "cosine", "error"),
    [
        ([3e200, 4e200], [4e200, 3e200], 24 / 25, 1e200),  # squares overflow
        ([3e-200, 4e-200], [4e-200, 3e-200], 24 / 25, 1e-200),  # squares vanish
        ([0.0, 0.0], [0.0, 0.0], 1.0, 0.0),
        ([0.0, 0.0], [1e-200, 0.0], 0.0, 1e-200),
    ],
)
def test_outputs_of_any_size(
    tmp_path: Path, before: list[float], after: list[float], cosine: float, error: float
) -> None:
    a, b = (run(tmp_path / name, output=np.array(v)) for name, v in (("a", before), ("b", after)))
    found = compare_outputs(a, b)
    assert found is not None
    assert found.cosine_similarity == pytest.approx(cosine)
    assert found.max_abs_error == pytest.approx(error, rel=1e-12)


def test_a_difference_beyond_all_numbers(tmp_path: Path) -> None:
    a, b = (run(tmp_path / name, output=np.array([v])) for name, v in (("a", 1.7e308), ("b", -1.7e308)))
    found = compare_outputs(a, b)
    assert found is not None
    assert (found.comparable, found.reason) == (False, "they differ by more than a number can hold")


LOGITS = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 1.0, 4.0], [5.0, 1.0, 4.0]], dtype=np.float32)


def top1(tmp_path: Path, before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> float | None:
    found = compare_outputs(run(tmp_path / "a", **before), run(tmp_path / "b", **after))
    assert found is not None
    assert found.comparable
    return found.top1_agreement


def test_top1_agreement_counts_samples(tmp_path: Path) -> None:
    moved = LOGITS + np.float32(0.5)
    moved[3] = [1.0, 1.0, 1.5]  # the fourth sample has another class now
    assert top1(tmp_path, {"output": LOGITS}, {"output": moved}) == 0.75


@pytest.mark.parametrize(
    "arrays",
    [
        {"output": LOGITS.reshape(2, 2, 3)},  # tokens, or pixels
        {"output": LOGITS[0]},
        {"output": LOGITS[:, :1]},
        {"output": LOGITS[:0]},
        {"output": LOGITS.astype(np.int64)},
        {"output.0.boxes": LOGITS, "output.0.scores": LOGITS[:, 0]},  # what a detection model returns
    ],
)
def test_what_is_not_a_classifiers_output_has_no_top1(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    assert top1(tmp_path, arrays, arrays) is None


def test_relative_error_is_of_the_largest_output(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.array([-8.0, 1.0]))
    b = run(tmp_path / "b", output=np.array([-8.0, 1.5]))
    found = compare_outputs(a, b)
    assert found is not None
    assert (found.max_abs_error, found.relative_error) == (0.5, 0.0625)


def test_values_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    """Whether the outputs are comparable or not; NaN and infinity apart; a complex value has two parts."""
    a = run(tmp_path / "a", output=np.array([1.0, np.inf, 3.0], dtype=np.float16), ids=np.arange(4))
    odd = np.array([complex(np.nan, 1), complex(-np.inf, np.nan)])
    b = run(tmp_path / "b", weights="xyz", output=odd)
    found = compare_outputs(a, b)
    assert found is not None
    assert found.reason == "the weights differ"
    assert found.baseline_not_finite == NotFinite(nan=0, infinite=1, values=7)
    assert found.candidate_not_finite == NotFinite(nan=2, infinite=1, values=4)
    assert found.candidate_nan == 2


def test_outputs_that_cannot_be_read_have_no_counts(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", output=np.ones(2)), run(tmp_path / "b", output=np.ones(2))
    (tmp_path / "b/outputs.npz").write_bytes(b"")
    found = compare_outputs(a, b)
    assert found is not None
    assert (found.baseline_not_finite, found.candidate_not_finite) == (NotFinite(nan=0, infinite=0, values=2), None)


def write_pair(tmp_path: Path, before: np.ndarray, after: np.ndarray) -> list[Path]:
    """Write two runs of the workload ``net`` with these outputs, and return their folders."""
    for side, array in (("a", before), ("b", after)):
        described = msgspec.structs.replace(manifest("2.0", 3, 100), label=side)
        write_run(tmp_path / side / "net", described, ("aten::conv2d", 50))
        np.savez(tmp_path / side / "net/outputs.npz", output=array)
    return [tmp_path / "a", tmp_path / "b"]


def test_a_diff_says_how_far_the_outputs_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = LOGITS.copy()
    moved[3, 2] = 6.0
    assert cli("diff", *write_pair(tmp_path, LOGITS, moved)) == 0
    text = capsys.readouterr().out
    x, y = LOGITS.astype(float), moved.astype(float)
    cosine = (x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y)
    assert (
        f"outputs: cosine similarity {cosine:.7f}, largest error 2 (0.4 of the largest output), top-1 agreement 75.0%"
    ) in " ".join(text.split())


def test_not_finite_outputs_are_a_warning_and_a_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = LOGITS.copy()
    broken[0, :2] = np.nan, np.inf
    paths = write_pair(tmp_path, LOGITS, broken)
    warning = "Warning: net: of the 12 output values of b, 1 are NaN and 1 infinite."
    for words in (("diff", *paths), ("compare", *paths)):
        assert cli(*words) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert warning in shown
    assert cli("diff", *paths, "--fail-if", "outputs.nan > 0") == 1
    assert cli("diff", *paths, "--fail-if", "outputs.nan > 1") == 0
    assert cli("diff", *reversed(paths), "--fail-if", "outputs.nan > 0") == 0  # the candidate has none


def test_compare_shows_outputs_relative_to_the_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = LOGITS.copy()
    moved[3, 2] = 6.0
    paths = write_pair(tmp_path, LOGITS, moved)
    assert cli("compare", *paths, "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema("compare"))
    entries = {run["label"]: run["entries"][0]["outputs"] for run in document["runs"]}
    assert entries["a"] is None
    assert (entries["b"]["max_abs_error"], entries["b"]["top1_agreement"]) == (2.0, 0.75)
    assert entries["b"]["relative_error"] == pytest.approx(0.4)
    assert cli("compare", *paths, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["run"], row["max_abs_error"], row["top1_agreement"], row["candidate_nan"]) for row in rows] == [
        ("a", "", "", ""),
        ("b", "2", "0.75", "0"),
    ]
    assert cli("compare", *paths) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("net: outputs relative to a")
    (line,) = (text for text in lines[at:] if text.startswith("b "))
    assert line.split()[2:] == ["2", "0.4", "75.0%"]
