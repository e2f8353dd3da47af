"""Where output goes: closed pipes, closed streams, full disks; and the exit status that is left."""

from __future__ import annotations

import csv
import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from profkit.cli.main import _end
from profkit.errors import OutputError, ProfkitError
from profkit.report.formats.csv import render_csv
from profkit.runs import read_manifest
from tests.builders import manifest, write_run
from tests.conftest import ROOT
from tests.unit.stub import write_model

PROFKIT = f"{sys.executable} -m profkit.cli"


def shell(line: str, folder: Path = ROOT) -> tuple[int, str]:
    """Run a line of bash with ``pipefail``; return its status and what it wrote to standard error."""
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environ)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def write_pair(folder: Path, count: int) -> Path:
    """Two runs with so many operators, whose second is slower."""
    operators = [(f"aten::an_operator_with_quite_a_long_name_{number:04}", 200) for number in range(count)]
    for side, factor in (("a", 1), ("b", 2)):
        described = manifest("2.0", 3, 200 * count * factor)
        write_run(folder / side / "net", described, *[(name, us * factor) for name, us in operators])
    return folder


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair whose tables are larger than what a pipe takes without a reader (64 KiB)."""
    return write_pair(tmp_path_factory.mktemp("slower"), 600)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_pair(tmp_path_factory.mktemp("small"), 60)
    assert shell(f"{PROFKIT} diff a b -o d.json -q", folder) == (0, "")
    return folder


GATED = f"{PROFKIT} diff a b --top 0 --fail-if 'latency > 3%'"


@pytest.mark.parametrize("reader", ["| head -1", "| true", "2>&1 | head -1"])
def test_a_closed_pipe_does_not_hide_a_failed_gate(slower: Path, reader: str) -> None:
    assert shell(f"{GATED} {reader}", slower)[0] == 1


@pytest.mark.parametrize("unbuffered", ["", "PYTHONUNBUFFERED=1"])
@pytest.mark.parametrize("reader", ["| head -1", "2>&1 | true"])
def test_a_closed_pipe_is_no_error(slower: Path, reader: str, unbuffered: str) -> None:
    assert shell(f"{unbuffered} {PROFKIT} diff a b --top 0 {reader}", slower) == (0, "")
    assert shell(f"{unbuffered} {PROFKIT} schema diff {reader}", slower) == (0, "")
    assert shell(f"{unbuffered} {PROFKIT} diff a nowhere {reader}", slower)[0] == 3


def test_a_closed_pipe_does_not_keep_files_from_being_written(small: Path, tmp_path: Path) -> None:
    status, said = shell(f"{PROFKIT} export a/net --parquet {tmp_path} | true", small)
    assert (status, said) == (0, "")
    assert len(list(tmp_path.rglob("*.parquet"))) == 3 * 4


def test_a_capture_goes_on_without_a_reader(python: Path, tmp_path: Path) -> None:
    words = f"capture {write_model(tmp_path / 'm')}:make --python {python} --label stub --logdir {tmp_path}/logs"
    words += " --rounds 2 --steps 1 --warmup 1 --no-onednn"
    assert shell(f"PROFKIT_CACHE_DIR={tmp_path}/cache {PROFKIT} {words} 2>&1 | true")[0] == 0
    assert read_manifest(tmp_path / "logs/stub/model").status == "complete"


def test_what_is_written_is_whole(slower: Path) -> None:
    for unbuffered in ("", "PYTHONUNBUFFERED=1 "):
        line = f"{unbuffered}{PROFKIT} diff a b --top 0 --format csv | wc -l"
        done = subprocess.run(["bash", "-c", line], cwd=slower, capture_output=True, text=True, check=True)
        assert int(done.stdout) == 601


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "words", ["diff a b", "ops a/net", "schema diff", "--help", "--version", "workloads", "cache info", "machine"]
)
def test_a_full_disk_is_status_5(small: Path, words: str) -> None:
    status, said = shell(f"{PROFKIT} {words} > /dev/full", small)
    assert status == 5
    assert said.startswith("profkit: standard output: cannot write (No space left on device).")
    assert shell(f"{PROFKIT} diff a nowhere 2> /dev/full", small)[0] == 3  # an error has no other place to go


@pytest.mark.parametrize("words", ["ops a/net", "schema diff", "--help"])
def test_a_closed_stream_is_status_5_and_no_file_gets_the_output(small: Path, words: str) -> None:
    status, said = shell(f"{PROFKIT} {words} >&-", small)
    assert status == 5
    assert "standard output: cannot write (Bad file descriptor)" in said
    assert shell(f"{PROFKIT} {words} > /dev/null 2>&-", small) == (0, "")
    assert shell(f"{PROFKIT} {words} > /dev/null <&-", small) == (0, "")
    assert shell(f"{PROFKIT} diff a nowhere >&- 2>&-", small)[0] == 3


UNWRITABLE = [
    "diff a b -o {0}/x.html",
    "diff a b -o {0}/x.json",
    "ops a/net -o {0}/x.csv",
    "export a/net --parquet {0}/x",
    "repair a/net/0.pt.trace.json {0}/x.json",
    "lanes a/net b/net -o {0}/x.json",
    "render d.json -o {0}/x.md",
]


@pytest.mark.parametrize("words", UNWRITABLE)
@pytest.mark.parametrize("place", ["a file in the place of a folder", "a limit on the size of files"])
def test_what_cannot_be_written_is_status_5_and_leaves_nothing(
    small: Path, tmp_path: Path, words: str, place: str
) -> None:
    folder = tmp_path / "out"
    if place.startswith("a file"):
        folder.write_text("")
    elif place.startswith("a limit"):
        folder.mkdir()
    limit = "ulimit -f 1; " if place.startswith("a limit") else ""  # 1 KiB
    status, said = shell(f"{limit}PROFKIT_CACHE_DIR={tmp_path}/cache {PROFKIT} {words.format(folder)}", small)
    assert status == 5, said
    assert "cannot write" in said
    assert not [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else True


def test_a_page_that_cannot_be_kept_is_status_5(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, said = shell(f"PROFKIT_CACHE_DIR={tmp_path}/file {PROFKIT} view --html a --no-browser", small)
    assert status == 5, said
    status, said = shell(f"TMPDIR={tmp_path}/none PROFKIT_CACHE_DIR={tmp_path}/file {PROFKIT} view --html a", small)
    assert status == 5, said


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), 5),
        (OSError(errno.EROFS, "Read-only file system", "x"), 5),
        (OSError(errno.EFBIG, "File too large"), 5),
        (OSError(errno.EACCES, "Permission denied", "x"), 3),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), 3),
        (OutputError("x"), 5),
    ],
)
def test_the_status_of_a_system_error(error: OSError, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert _end(error) == status
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_error_is_a_paragraph_that_can_be_read() -> None:
    error = ProfkitError("w" * 50_000_000, where="p" * 50_000_000, hint="h" * 50_000_000)
    assert len(str(error)) < 2_100
    assert str(error).count("…") == 3


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1+cmd", "'+1+cmd"),
        ("-1+cmd", "'-1+cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =cmd()", "' =cmd()"),
        ('"=cmd()', "'\"=cmd()"),
        ("\uff1dcmd()", "'\uff1dcmd()"),
        ("a;=cmd()", "a;'=cmd()"),
        ('a; "@cmd', "a;' \"@cmd"),
        ("a\t=cmd()", "a\\t=cmd()"),
        ("a\r\n=cmd()", "a\\r\\n=cmd()"),
        ("-5", "-5"),
        ("+2.50e-3", "+2.50e-3"),
        ("[[1, -1], [-2]]", "[[1, -1], [-2]]"),
        ("aten::add_", "aten::add_"),
        ("a=b", "a=b"),
    ],
)
def test_a_text_is_no_formula_in_a_spreadsheet(text: str, field: str) -> None:
    rendered = render_csv(["name", "number"], [[text, -1.5]])
    assert list(csv.reader(io.StringIO(rendered)))[1] == [field, "-1.5"]


def test_a_semicolon_separates_no_formula_either() -> None:
    """A spreadsheet of a country with decimal commas splits the same file at semicolons."""
    rendered = render_csv(["name"], [["a;=cmd()"], ['b;"=cmd()"'], ["c;-1"]])
    cells = [cell for row in csv.reader(io.StringIO(rendered), delimiter=";") for cell in row]
    assert not [cell for cell in cells if cell.strip("\"' ").startswith(("=", "+", "-", "@")) and cell[0] != "'"]
