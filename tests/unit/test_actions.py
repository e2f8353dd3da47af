"""The workflow for GitHub Actions: its steps run as they stand, with a stub torch and a stand-in for gh."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.stub import STUB, make_interpreter, write_model

WORKFLOW = (ROOT / "examples/github-actions.yml").read_text(encoding="utf-8")
# a step of the workflow: its name, and what it runs in one line or in an indented block
STEP = re.compile(r"^ {6}- name: (?P<name>.*)\n(?P<rest>(?: {8}.*\n|\n)*)", re.M)
RUN = re.compile(r"^ {8}run: (?:\|\n(?P<block>(?: {10}.*\n|\n)*)|(?P<line>.*)\n)", re.M)
GITHUB = {
    "github.token": "token",
    "github.repository": "me/mine",
    "github.event.pull_request.number": "7",
}
VERSIONS = {"TORCH": "8.1", "NEWER_TORCH": "8.2"}
# keeps the comments of a pull request in a folder: one file each, named by its number
GH = """#!/usr/bin/env bash
set -euo pipefail
case "$*" in
  *--method\\ PATCH*) cp comment.md "comments/$(basename "$4")" ;;
  *--method\\ POST*) cp comment.md "comments/$(($(ls comments | wc -l) + 1))" ;;
  *) grep -l '^<!-- profkit -->' comments/* 2>/dev/null | xargs -r -n 1 basename || true ;;
esac
"""


@dataclass(frozen=True)
class Step:
    name: str
    script: str


def steps() -> Iterator[Step]:
    for found in STEP.finditer(WORKFLOW):
        run = RUN.search(found["rest"])
        if run is not None:
            yield Step(found["name"], textwrap.dedent(run["block"] or "") or run["line"])


def github(text: str) -> str:
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: GITHUB[match[1]], text)


@pytest.fixture(scope="module")
def interpreters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one Python per version, each with a stub torch that says it is of that version."""
    folder = tmp_path_factory.mktemp("interpreters")
    for version in VERSIONS.values():
        python = make_interpreter(folder / version)
        (link,) = python.parent.parent.glob("lib/*/site-packages/torch")
        link.unlink()
        shutil.copytree(STUB, link)
        (link / "version.py").write_text((STUB / "version.py").read_text().replace("9.9.1", version))
    return folder


@pytest.fixture
def repository(tmp_path: Path, interpreters: Path) -> Path:
    """A profkit that uses the stub torch and short rounds in place of environments, and a stand-in for gh."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tmp_path / "comments").mkdir()
    (tools / "gh").write_text(GH)
    program = f"exec {shlex.quote(sys.executable)} -m profkit.cli"
    (tools / "profkit").write_text(
        f"""#!/usr/bin/env bash
[ "$1" = capture ] || {program} "$@"
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    --torch) words+=(--python "{interpreters}/$2/bin/python"); shift ;;
    *) words+=("$1") ;;
  esac
  shift
done
{program} "${{words[@]}}" --rounds 3 --steps 3 --warmup 2 --no-onednn
"""
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return tmp_path


def run_steps(repository: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run the steps in their order; return what each did, by name."""
    comments = re.search(r"COMMENTS: (.*)", WORKFLOW)
    assert comments is not None
    variables = {
        **os.environ,
        **VERSIONS,
        "PATH": f"{repository / 'tools'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COMMENTS": github(comments[1]),
    }
    return {
        step.name: subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", github(step.script)],
            cwd=repository,
            env=variables,
            capture_output=True,
            text=True,
        )
        for step in steps()
    }


def checkouts(repository: Path, base: str, head: str) -> None:
    for name, body in (("base", base), ("head", head)):
        write_model(repository / name, body)


def test_a_slower_pull_request_fails_and_has_one_comment(repository: Path) -> None:
    checkouts(repository, "time.sleep(0.002)", "time.sleep(0.012)")
    for _ in range(2):  # the second push of the pull request
        for folder in ("logs", "versions"):
            shutil.rmtree(repository / folder, ignore_errors=True)
        done = run_steps(repository)
        failed = {name: step.returncode for name, step in done.items() if step.returncode}
        assert failed == {"Compare base and head": 1}, "\n".join(step.stderr for step in done.values())
        (comment,) = (repository / "comments").iterdir()
        assert comment.read_text().startswith("<!-- profkit -->\n## 8.1-CHECKOUT-base → 8.1-CHECKOUT-head\n")
        assert "% slower" in comment.read_text()
        assert "## 8.1-CHECKOUT-head → 8.2-CHECKOUT-head" in comment.read_text()
    assert "latency > 3%" in done["Compare base and head"].stderr
    assert {path.name for path in repository.glob("*.html")} == {"change.html", "versions.html"}


def test_a_faster_pull_request_passes(repository: Path) -> None:
    checkouts(repository, "time.sleep(0.012)", "time.sleep(0.002)")
    assert {name: step.returncode for name, step in run_steps(repository).items() if step.returncode} == {}


def test_every_step_is_tested() -> None:
    """A step without a name, or with a form of ``run`` that the test does not know, would not be run here."""
    scripts = re.findall(r"^ +(?:- )?run:", WORKFLOW, re.M)
    assert len(list(steps())) == len(scripts) - 1  # all but pip install profkit
