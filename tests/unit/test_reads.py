"""Each file is read once per command, however many views of it a report shows."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profkit import forked
from profkit.onednn import log
from profkit.trace.reading import reader
from tests.conftest import ROOT
from tests.unit.test_cli import run

Reads = Counter[str]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Counts the traces that are decoded and the logs that are parsed, by file name."""
    counted: Reads = Counter()

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(path: Path, *args: Any, **options: Any) -> Any:
            counted[Path(path).name] += 1
            return function(path, *args, **options)

        return wrapped

    monkeypatch.setattr(reader, "finish", counting(reader.finish))  # ends every read, also one begun early
    monkeypatch.setattr(log, "read_log", counting(log.read_log))
    monkeypatch.setattr(forked, "processors", lambda: 1)  # what a second process reads could not be counted here
    monkeypatch.chdir(ROOT)
    return counted


def counts(reads: Reads, ending: str) -> list[int]:
    return [count for name, count in reads.items() if name.endswith(ending)]


def test_a_diff_as_a_page(reads: Reads, tmp_path: Path) -> None:
    """Three groupings of operators, call trees, primitives and fpmath verdicts, from one decode of each trace."""
    assert run("diff", "traces/2.0", "traces/2.0-bf16", "-o", tmp_path / "diff.html") == 0
    assert counts(reads, ".pt.trace.json.gz") == [1] * 10
    assert counts(reads, "onednn.trace.json.gz") == [2]  # one of each side: they have the same name
    assert counts(reads, "onednn.log.gz") == [2]


def test_a_folder_with_copies(reads: Reads, tmp_path: Path) -> None:
    """A copy is told by its bytes, before anything is decoded."""
    for path in sorted(Path("traces/2.0/resnet50").glob("vm_*.json.gz"))[:2]:
        for name in (path.name, f"copy of {path.name}"):
            shutil.copy(path, tmp_path / name)
    for command in (["ops", tmp_path], ["info", tmp_path], ["diff", tmp_path, "traces/2.0/resnet50", "--top", "1"]):
        reads.clear()
        assert run(*command) == 0
        assert not [name for name in reads if name.startswith("copy")]
        assert set(counts(reads, ".pt.trace.json.gz")) <= {1, 2}  # both sides of the diff have the two


def test_operators_per_forward(reads: Reads) -> None:
    assert run("ops", "traces/2.0", "--per-forward", "--top", "1") == 0
    assert counts(reads, ".pt.trace.json.gz") == [1] * 5


def test_onednn_joins_once(reads: Reads) -> None:
    assert run("onednn", "traces/2.0-bf16", "--top", "1") == 0
    assert counts(reads, "onednn.trace.json.gz") == [1]
    assert counts(reads, "onednn.log.gz") == [1]


def test_of_many_runs_two_are_read_for_findings(reads: Reads) -> None:
    """Wall times are in the manifests: only the run that the first sentence is about is explained by its traces."""
    assert run("compare", "traces") == 0
    assert counts(reads, ".pt.trace.json.gz") == [1] * 10
    assert counts(reads, "onednn.log.gz") == [2]  # one of each run


def test_many_runs_without_a_change_that_is_shown_need_no_trace(reads: Reads) -> None:
    assert run("compare", "traces/2.0", "traces/2.0-bf16") == 0
    assert not reads


def test_a_page_of_two_runs(reads: Reads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of `view` is the page of `diff`: its operators by shape too, from the same reads."""
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path))
    assert run("view", "--html", "--no-browser", "traces/1.13/resnet50", "traces/2.0/resnet50", "--no-cache") == 0
    assert counts(reads, ".pt.trace.json.gz") == [1] * 10
    assert "operator and shapes" in next(tmp_path.rglob("*.html")).read_text(encoding="utf-8")
