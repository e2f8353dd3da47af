"""What tests share: where things are, small traces, and golden files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from profkit.forked import processors

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
FIXTURES = SHARED / "fixtures"
GOLDEN = ROOT / "tests" / "golden"
RENEW = "PROFKIT_RENEW_GOLDEN"

NO_FIXTURES = (
    "needs traces of other projects (TensorBoard plugin, HolisticTraceAnalysis, TraceLens), which are not part of this "
    "repository; test_dialects checks the same rules on small files of our own"
)
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason=NO_FIXTURES)

Row = tuple[Any, ...]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for other processes."""
    return processors() + 1


def event(name: str, ts: float, dur: float, index: int | None = None, **more: Any) -> dict[str, Any]:
    """One span as PyTorch 2.0 writes it; ``more`` replaces or adds fields."""
    args = {} if index is None else {"Ev Idx": index}
    record = {"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": args}
    return {**record, **more}


def trace_json(events: Iterable[dict[str, Any]], **header: Any) -> bytes:
    return json.dumps({**header, "traceEvents": list(events)}).encode()


@pytest.fixture(autouse=True)
def no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is not wrapped; pytest-xdist sets COLUMNS in its workers."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def write_trace(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes events to a trace file and returns its path."""

    def write(events: Sequence[dict[str, Any]], name: str = "trace.json", **header: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(trace_json(events, **header))
        return path

    return write


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Return a function that compares a text with a file of tests/golden; ``make golden`` renews the files."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get(RENEW):
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no {path.name}: run make golden and look at what it wrote"
        assert text == path.read_text(encoding="utf-8")

    return compare
