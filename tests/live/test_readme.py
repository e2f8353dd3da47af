"""Every command of the README, run as it stands there; every table and picture of it, compared with today's."""

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
from tests.live.conftest import start
from tests.live.test_pages import CHROMIUM

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```bash\n(.*?)```", re.S)
TEXT = re.compile(r"<text[^>]*>(.*?)</text>", re.S)
TABLE = re.compile(r"<!-- table: profkit (.*?) -->\n(.*?)<!-- end of table -->", re.S)


def commands() -> list[str]:
    return [line for block in BLOCK.findall(README) for line in block.splitlines() if line.startswith("profkit ")]


def test_every_command_runs(tmp_path: Path, environments: dict[str, Environment]) -> None:
    for name in ("traces", "examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert len(commands()) > 10
    for line in commands():
        words = [sys.executable, "-m", "profkit.cli", *shlex.split(line)[1:]]
        process = start(words, tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if words[3] == "view" and "--html" not in words:
            assert process.stdout is not None
            assert "http://" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, f"{line}\n{out}\n{err}"


def test_tables_are_of_today() -> None:
    found = TABLE.findall(README)
    assert found
    for words, table in found:
        command = [sys.executable, "-m", "profkit.cli", *shlex.split(words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
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
    shown = re.findall(r"\]\((examples/pictures/[^)]+)\)", README)
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
