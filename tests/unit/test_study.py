"""The study's plan, and the report of it that is in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from examples.study import __main__ as command
from examples.study import plan, published
from profkit.cli.commands.capture import command as capture
from tests.conftest import ROOT

STUDY = ROOT / "examples/study"


@pytest.mark.parametrize("chosen", [plan.full(), plan.quick()], ids=["full", "quick"])
def test_every_capture_is_a_command(chosen: plan.Plan) -> None:
    for words in chosen.captures:
        capture.make_context("capture", list(words.words))
    parts = [words.part for words in chosen.captures]
    assert list(dict.fromkeys(parts)) == ["models", "threads", "sequel", "tutorial"]
    assert parts.count("tutorial") == len(chosen.batches)


def test_the_full_plan_is_the_study() -> None:
    chosen = plan.full()
    assert chosen.models == ("resnet50", "distilbert-sentiment", "roberta-fill-mask", "roberta-sentiment")
    assert chosen.torches == ("1.13", "2.0", "2.15")
    assert next(words.words[:2] for words in chosen.captures if words.part == "sequel") == ("t5-small", "bert")
    assert {batch for batch, _, _ in published.TUTORIAL_S} == set(chosen.batches)


def test_the_guide_names_the_options() -> None:
    guide = (ROOT / "profkit/guides/study.md").read_text(encoding="utf-8")
    used = set(re.findall(r"(?<=[ `])--[a-z-]+", guide)) - {"--torch", "--fpmath", "--mode"}
    source = Path(command.__file__).read_text(encoding="utf-8")
    assert used == {"--quick", "--no-capture", "--machine"}
    assert all(f'"{option}"' in source for option in used)


def test_the_report_in_the_repository() -> None:
    text = (STUDY / "report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert pictures
    assert {(STUDY / picture).is_file() for picture in pictures} == {True}
    kept = {path.name for path in (STUDY / "pictures").iterdir()}
    assert kept == {Path(picture).name for picture in pictures}
    page = (STUDY / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"/tmp/|/home/|/root/|/work/", text + page)
    for model in plan.full().models:
        assert f"| 1: {model}, 1.13 → 2.0 |" in text
    assert sum(path.stat().st_size for path in STUDY.rglob("*") if path.suffix in (".md", ".html", ".svg")) < 1_500_000
