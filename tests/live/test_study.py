"""examples/study from its captures to its report, in the small variant."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT
from tests.live.processes import run_while_it_progresses

TABLE = re.compile(r"^\|[^\n]*\|\n\| :?-[^\n]*\n((?:\|[^\n]*\n)+)", re.M)


def study(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.study", "--quick", *map(str, words)]
    done = run_while_it_progresses(command, folder, {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the captures of one run, with its report."""
    folder = tmp_path_factory.mktemp("study")
    study(folder)
    return folder / "logs/study-quick"


def test_the_report(logs: Path) -> None:
    text = (logs / "report.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.*)$", text, re.M)
    assert titles == [
        *("Published and measured", "Figure 1: speedup of each model"),
        "Figures 2 and 3: relative cost and p90 latency",
        *("Figure 4: the part of the stack that changed", "Figure 5: the primitive cache"),
        *("Figure 6: forward wall time", "Figure 7: operator host time"),
        *("The sequel: torch.compile", "The tutorial: Linear stack"),
        *("What to know before relying on the figures", "Sources"),
    ]
    tables = TABLE.findall(text)
    assert len(tables) >= 9
    summary = [row.split(" | ") for row in tables[0].splitlines()]
    assert {len(row) for row in summary} == {4}
    assert [row[0].lstrip("| ")[0] for row in summary[:8]] == [*"1B234567"]
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) == len(set(pictures)) >= 4
    for picture in pictures:
        assert ElementTree.parse(logs / picture).getroot().tag.endswith("svg")
    page = (logs / "report.html").read_text(encoding="utf-8")
    assert all(title in page for title in titles)
    assert str(logs.parent) not in text


def test_what_is_captured_is_not_captured_again(logs: Path) -> None:
    manifests = {path: path.read_bytes() for path in logs.rglob("profkit.json")}
    assert len(manifests) == 4 + 2 + 2 + 4
    done = study(logs.parent.parent)
    assert "profkit capture" not in done.stderr
    assert {path: path.read_bytes() for path in logs.rglob("profkit.json")} == manifests


def test_machines(logs: Path, tmp_path: Path) -> None:
    """Figures 2 and 3 of two machines, at the prices of their instance types."""
    machines = []
    for name in ("c5.4xlarge", "c7g.4xlarge"):
        folder = tmp_path / name
        shutil.copytree(logs, folder)
        for path in folder.rglob("profkit.json"):
            manifest = json.loads(path.read_text(encoding="utf-8"))
            manifest["host"]["instance_type"] = name
            path.write_text(json.dumps(manifest), encoding="utf-8")
        machines += ["--machine", folder]
    study(logs.parent.parent, "--no-capture", *machines, "--to", tmp_path / "report")
    text = (tmp_path / "report/report.md").read_text(encoding="utf-8")
    assert "Each machine ran the same captures" in text
    found = re.search(r"^\| 2: relative cost \|.*relative to [^:]*c5[^:]*: ([0-9.]+) to ([0-9.]+) \|", text, re.M)
    assert found is not None
    ratio = 0.58 / 0.68  # the same times on both, at other prices
    assert [float(text) for text in found.groups()] == pytest.approx([ratio, ratio], abs=0.01)
