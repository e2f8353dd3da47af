"""What --output and --quiet say and write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from profkit.cli.options import Output, write_whole
from profkit.errors import OutputError
from profkit.report.formats.text import align_decimals
from tests.conftest import ROOT
from tests.unit.test_cli import Capsys, run


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


COMMANDS = {
    "diff": ["render", "tests/golden/diff.json", "--output"],
    "ops": ["ops", "traces/2.0", "--output"],
    "info": ["info", "traces/2.0", "--output"],
    "onednn": ["onednn", "traces/2.0", "--output"],
    "lanes": ["lanes", "traces/1.13", "traces/2.0", "--output"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_file_that_was_written_is_named_unless_quiet(name: str, tmp_path: Path, capsys: Capsys) -> None:
    path = tmp_path / "result.json"
    assert run(*COMMANDS[name], path) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(rf"^Wrote {re.escape(str(path))} \((\d|\.)+ (B|kB|MB)\)$", err, re.M)
    path.unlink()
    assert run(*COMMANDS[name], path, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert path.stat().st_size > 100


def test_the_size_is_that_of_the_file(tmp_path: Path, capsys: Capsys) -> None:
    path = tmp_path / "x.csv"
    assert run("render", "tests/golden/diff.json", "--top", 1, "-o", path) == 0
    assert f"({path.stat().st_size} B)" in capsys.readouterr().err


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match=r"taken: cannot write \(Is a directory\)") as caught:
        write_whole(tmp_path / "taken", b"x")
    assert caught.value.exit_status == 5
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_output_error(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115  # closing it fails, as writing to it does
    monkeypatch.setattr("sys.stdout", full)
    with pytest.raises(OutputError, match=r"standard output: cannot write \(No space left on device\)"):
        Output("text", None, colour=False).write("x")


@pytest.mark.parametrize(
    ("texts", "aligned"),
    [
        (["32.1 ms", "109 ms", "1.04 ms"], ["32.1 ms ", "109 ms   ", "1.04 ms"]),
        (["+83.4 µs", "-", "+2.52 ms"], ["+83.4 µs ", "-", "+2.52 ms"]),
        (["1.05x", "13.2x", "-"], ["1.05x", "13.2x ", "-"]),
        (["76.5%", "100.0%"], ["76.5%", "100.0%"]),
        (["53", "425 → 424"], ["53", "425 → 424"]),
    ],
)
def test_decimal_points_are_aligned_without_a_gap_before_the_unit(texts: list[str], aligned: list[str]) -> None:
    assert align_decimals(texts) == aligned
