"""What a :class:`Worker` makes of a worker's reports and of its end, with real child processes."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profkit.capture import process
from profkit.capture.process import Outcome, Worker
from tests.unit.stub import processes_of

ROUND = {
    "event": "round",
    "trace": "a.pt.trace.json.gz",
    "warmup_ns": [1],
    "stable": True,
    "latency_ns": [1],
    "profiled_ns": [1],
    "outputs_sha256": None,
}
DESCRIBED = [
    {"event": "torch", "version": "2.0"},
    {"event": "python", "version": "3.10"},
    {"event": "workload", "inputs": [], "weights_sha256": None},
    {"event": "notes", "notes": []},
]

Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a shell script as the interpreter; ``$r`` is the report descriptor in it."""
    monkeypatch.setattr(process, "_GRACE_S", 1.0)

    def start(script: str, timeout_s: float = 30.0) -> Outcome:
        interpreter = tmp_path / "python"
        interpreter.write_text(f"#!/bin/bash\nr=$5\n{script}\n")
        interpreter.chmod(0o755)
        with Worker(interpreter, {}, dict(os.environ), tmp_path / "log", timeout_s, lambda report: None) as worker:
            outcome = worker.outcome()
        deadline = time.monotonic() + 10  # an ended process stays in /proc for a moment
        while processes_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert processes_of(tmp_path) == []
        return outcome

    return start


def lines(*reports: Any) -> str:
    return "".join(f"echo '{json.dumps(report)}' >&$r\n" for report in reports)


@pytest.mark.parametrize(
    "line",
    [
        "junk",
        "[1]",
        "7",
        '{"event": ["round"]}',
        '{"event": null}',
        '{"event": "unknown"}',
        '{"event": "round"}',
        '{"event": "stage", "stage": 7}',
        '{"event": "forward", "stage": "x", "index": "1", "count": 2}',
        '{"event": "error", "message": null, "hint": ""}',
        json.dumps({**ROUND, "trace": "../a.pt.trace.json.gz"}),
        '{"event": "log", "name": ".."}',
        "[" * 100_000,
    ],
    ids=lambda line: line[:40],
)
def test_an_invalid_report_is_a_failure_in_words(run: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "line").write_text(line + "\n")
    outcome = run(f"cat {tmp_path}/line >&$r")
    assert outcome.failure is not None
    assert re.match(r"sent (something that is not a report|a \w+ report with)", outcome.failure)
    assert not outcome.crashed


def test_a_round_counts_although_the_process_does_not_end(run: Run, tmp_path: Path) -> None:
    began = time.monotonic()
    outcome = run(f"trap '' TERM\n{lines(*DESCRIBED, ROUND)}\nwhile true; do sleep 0.1; done # {tmp_path}")
    assert outcome.failure is None
    assert outcome.reports["round"] == ROUND
    assert time.monotonic() - began < 20


def test_a_round_without_a_description_is_refused(run: Run) -> None:
    assert run(lines(ROUND)).failure == "did not report its torch"


def test_a_report_in_the_moment_of_the_end_counts(run: Run) -> None:
    """A child holds the descriptor open, so only the worker's exit ends the wait."""
    for _ in range(5):
        assert run(f"sleep 60 &\nsleep 0.2\n{lines(*DESCRIBED, ROUND)}exit 0").failure is None


def test_a_worker_that_closes_its_descriptor_may_end_by_itself(run: Run) -> None:
    outcome = run('eval "exec $r>&-"\nsleep 0.3\nexit 5')
    assert outcome.failure == "ended with status 5 while starting"


def test_a_name_that_is_not_utf8(run: Run) -> None:
    outcome = run(lines({"event": "error", "message": "a\udc80b \U0001f600", "hint": ""}))
    assert outcome.failure == "a?b \U0001f600"


def test_a_long_message_is_cut(run: Run) -> None:
    outcome = run(lines({"event": "error", "message": "x" * 9000, "hint": "y" * 9000}))
    assert (len(outcome.failure or ""), len(outcome.hint)) == (2000, 2000)


def test_signals_with_and_without_a_name(run: Run) -> None:
    for number, name in ((11, "SIGSEGV"), (40, "signal 40")):
        outcome = run(f"kill -{number} $$")
        assert (outcome.failure, outcome.crashed) == (f"died of {name} starting", True)


def test_a_hang(run: Run) -> None:
    outcome = run("sleep 600", timeout_s=1.0)
    assert (outcome.failure, outcome.crashed) == ("hung for 1 s while starting", True)


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    with Worker(tmp_path / "none", {}, {}, tmp_path / "log", 1.0, lambda report: None) as worker:
        assert not worker.is_ready()
        assert not worker.order("warm_up")
        outcome = worker.outcome()
    assert outcome.failure == f"{tmp_path}/none cannot be started (No such file or directory)"
