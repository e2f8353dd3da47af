"""The guides: they are whole, their links lead somewhere, and they say what the program says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
import pytest

from profkit.cli.commands.guide import FOLDER, topics
from profkit.cli.main import COMMANDS, group
from tests.conftest import ROOT
from tests.schema_reference import reference
from tests.unit.test_cli import run

PAGES = [ROOT / "README.md", *sorted(FOLDER.glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
CODE = re.compile(r"`[^`\n]*`|```.*?```", re.S)
EVERY_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
STUDY = ROOT / "examples/study/__main__.py"
FOREIGN_OPTIONS = {"--logdir", "--megabytes", "--mutations", "--kills"}  # of TensorBoard, benchmarks and campaigns


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_the_readme_links_every_guide() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    assert [name for name in topics() if f"](profkit/guides/{name}.md)" not in text] == []


def test_every_guide_has_a_title() -> None:
    assert all(topics().values())


def test_every_command_is_in_a_guide() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in COMMANDS if f"profkit {name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_in_a_guide_exists(page: Path) -> None:
    known = FOREIGN_OPTIONS | {"--help"} | set(EVERY_OPTION.findall(STUDY.read_text(encoding="utf-8")))
    with click.Context(group) as context:
        for name in COMMANDS:
            command = group.get_command(context, name)
            assert command is not None
            for parameter in command.params:
                known.update([*parameter.opts, *parameter.secondary_opts])
    used = {option for code in CODE.findall(page.read_text(encoding="utf-8")) for option in EVERY_OPTION.findall(code)}
    assert used - known == set()


def test_the_schemas_are_of_today() -> None:
    page = FOLDER / "schemas.md"
    if os.environ.get("PROFKIT_RENEW_GOLDEN"):
        page.write_text(reference(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == reference()


def test_the_command_lists_topics_and_shows_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("guide") == 0
    assert "gate" in capsys.readouterr().out
    assert run("guide", "gate") == 0
    assert capsys.readouterr().out == (FOLDER / "gate.md").read_text(encoding="utf-8")
    assert run("guide", "gates") == 2
    assert "'results'" in capsys.readouterr().err
