"""Every command of the README and the guides, run as it stands there; its tables and pictures, compared."""

from __future__ import annotations

import importlib.util
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from profkit.capture.environments.environments import Environment
from tests.conftest import ROOT
from tests.live.processes import run_while_it_progresses, started, wait_while_it_progresses
from tests.live.test_pages import CHROMIUM

PAGES = [ROOT / "README.md", *sorted((ROOT / "profkit/guides").glob("*.md"))]
TEXT_OF_ALL = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCK = re.compile(r"```bash\n(.*?)```", re.S)
TEXT = re.compile(r"<text[^>]*>(.*?)</text>", re.S)
TABLE = re.compile(r"<!-- table: profkit (.*?) -->\n(.*?)<!-- end of table -->", re.S)


SHORT_ROUND = ["--steps", "5", "--warmup", "2"]
SHORTER = {  # only the commands are tested, so every configuration gets few and short rounds
    "capture": ["--rounds", "1", *SHORT_ROUND],
    "sweep": ["--rounds", "2", *SHORT_ROUND, "--no-onednn"],
    "tune": ["--rounds", "2", *SHORT_ROUND, "--no-onednn"],
    "bisect": ["--max-time", "1", *SHORT_ROUND, "--no-onednn"],
    "load": ["--duration", "1", "--warmup", "1"],
}


def commands(page: Path) -> list[str]:
    """Return the commands of a page, in its order."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [line for block in blocks for line in block.splitlines() if line.startswith("profkit ")]


def shortened(line: str) -> list[str]:
    """Return the words of a command, with short rounds of a smaller model where it captures."""
    words = [sys.executable, "-m", "profkit.cli", *shlex.split(line)[1:]]
    command = words[3]
    if command not in SHORTER or "--run" in words:
        return words
    words = ["resnet18" if word == "resnet50" else word for word in words] + SHORTER[command]
    if command == "capture" and "--fpmath" not in words:  # a guide reads the log of those only
        words.append("--no-onednn")
    return words


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_every_command_runs(page: Path, tmp_path: Path, environments: dict[str, Environment]) -> None:
    """In the order of the page and a folder of its own: a page must not need what another one captures."""
    for name in ("traces", "examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    for line in commands(page):
        words = shortened(line)
        if words[3] == "view" and "--html" not in words:
            serves_until_interrupted(words, tmp_path)
        else:
            done = run_while_it_progresses(words, tmp_path)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_every_command_is_found() -> None:
    """A command in a block of another kind would not be run."""
    names = {path.stem for path in (ROOT / "profkit/cli/commands").glob("*.py")}
    words = [line.split() for line in TEXT_OF_ALL.splitlines() if line.startswith("profkit ")]
    assert sum(len(commands(page)) for page in PAGES) == sum(second in names for _, second, *_ in words)


def serves_until_interrupted(words: list[str], folder: Path) -> None:
    with started(words, folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert "http://" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        wait_while_it_progresses(process, lambda: process.poll() is not None)
        assert process.returncode == 0


def test_the_examples_in_python_compile() -> None:
    """They need torch in this interpreter, which the tests do not install; test_capture runs what they call."""
    for path in (ROOT / "examples").rglob("*.py"):
        compile(path.read_text(encoding="utf-8"), path.name, "exec")


def test_tables_are_of_today() -> None:
    found = TABLE.findall(TEXT_OF_ALL)
    assert found
    for words, table in found:
        command = [sys.executable, "-m", "profkit.cli", *shlex.split(words)]
        done = run_while_it_progresses(command, ROOT)
        assert done.returncode == 0, done.stderr
        assert table.strip() in done.stdout


def test_pictures_are_of_today() -> None:
    specification = importlib.util.spec_from_file_location("make", ROOT / "examples/pictures/make.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    drawn = module.pictures()
    shown = re.findall(r"\]\((?:\.\./\.\./)?(examples/pictures/[^)]+)\)", TEXT_OF_ALL)
    assert shown
    for name, svg in drawn.items():
        # where their fonts differ machines draw other outlines, so what is written counts
        kept = (ROOT / "examples/pictures" / name).read_text(encoding="utf-8")
        assert TEXT.findall(kept) == TEXT.findall(svg)
        assert TEXT.findall(svg)
    pictures = {p.name for p in (ROOT / "examples/pictures").iterdir() if p.suffix in (".svg", ".png")}
    assert pictures == {*drawn, "report.png"}
    assert {Path(name).name for name in shown} == pictures
    kept = (ROOT / "examples/pictures/report.sha256").read_text(encoding="utf-8").strip()
    assert kept == module.fingerprint(module.page())
