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


def commands() -> list[str]:
    """Return every command once, captures first: what they make, others read."""
    lines = [line for block in BLOCK.findall(TEXT_OF_ALL) for line in block.splitlines() if line.startswith("profkit ")]
    return sorted(dict.fromkeys(lines), key=lambda line: not line.startswith("profkit capture"))


def test_every_command_runs(tmp_path: Path, environments: dict[str, Environment]) -> None:
    for name in ("traces", "examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert len(commands()) > 10
    for line in commands():
        words = [sys.executable, "-m", "profkit.cli", *shlex.split(line)[1:]]
        if words[3] == "capture":  # every configuration, but a short round of a smaller model: only commands are tested
            words = ["resnet18" if word == "resnet50" else word for word in words]
            words += ["--rounds", "1", "--steps", "5", "--warmup", "2"]
            if "--fpmath" not in words:  # guides read the log of the pairs, and a pass takes as long as a round
                words.append("--no-onednn")
        if words[3] == "sweep":
            words = ["resnet18" if word == "resnet50" else word for word in words]
            words += ["--rounds", "2", "--steps", "5", "--warmup", "2", "--no-onednn"]
        if words[3] in ("tune", "bisect") and "resnet50" in words:
            words = ["resnet18" if word == "resnet50" else word for word in words]
            words += ["--steps", "5", "--warmup", "2", "--no-onednn"]  # as the captures, some of which they go on with
            words += ["--rounds", "2"] if words[3] == "tune" else ["--max-time", "1"]
        if words[3] == "load":
            words = ["resnet18" if word == "resnet50" else word for word in words]
            words += ["--duration", "1", "--warmup", "1"]
        if words[3] == "view" and "--html" not in words:
            serves_until_interrupted(words, tmp_path)
        else:
            done = run_while_it_progresses(words, tmp_path)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


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
