"""What a :class:`Worker` makes of a worker's reports and of its end, with real child processes."""

from __future__ import annotations

import json
import os
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

    def start(script: str, timeout_s: float = 30.0, *, finish: bool = True) -> Outcome:
        interpreter = tmp_path / "python"
        interpreter.write_text(f"#!/bin/bash\nr=$5\n{script}\n")
        interpreter.chmod(0o755)
        with Worker(interpreter, {}, dict(os.environ), tmp_path / "log", timeout_s, lambda report: None) as worker:
            if finish:
                worker.finish()
            outcome = worker.outcome()
        deadline = time.monotonic() + 10  # an ended process stays in /proc for a moment
        while processes_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert processes_of(tmp_path) == []
        return outcome

    return start


def lines(*reports: Any) -> str:
    return "".join(f"echo '{json.dumps(report)}' >&$r\n" for report in reports)


READY = {"event": "ready", "on_device": False, "peak_memory_bytes": 1}
TURN = {"event": "turn", "stage": "time", "forward_ns": 1, "peak_memory_bytes": None}
SLICE: dict[str, Any] = {"event": "slice", "index": [], "claimed_ns": [], "peak_memory_bytes": None}
FORWARD = {"event": "forward", "stage": "x", "index": 1, "count": 2}


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("junk", "something that is not a report (b'junk')"),
        ("\udc80", "something that is not a report"),
        ([1], "something that is not a report (b'[1]')"),
        (7, "something that is not a report"),
        ({"event": ["round"]}, "something that is not a report"),
        ({"event": None}, "something that is not a report"),
        ({"event": "unknown"}, "something that is not a report"),
        ("[" * 100_000, "something that is not a report"),
        ('{"event": "turn", "stage": "x", "forward_ns": %s}' % ("9" * 5_000), "something that is not a report"),
        ('{"event": "ready", "on_device": false, "peak_memory_bytes": NaN}', "something that is not a report"),
        ({"event": "round"}, "a round report that is not valid (Object missing required field `trace`)"),
        ({"event": "stage", "stage": 7}, "a stage report that is not valid (Expected `str`, got `int` - at `$.stage`)"),
        ({**FORWARD, "index": "1"}, "a forward report that is not valid (Expected `int`, got `str` - at `$.index`)"),
        ({**FORWARD, "index": True}, "a forward report that is not valid (Expected `int`, got `bool` - at `$.index`)"),
        ({**FORWARD, "count": -1}, "a forward report that is not valid (Expected `int` >= 0 - at `$.count`)"),
        ({**FORWARD, "count": 10**400}, "a forward report that is not valid"),
        ({"event": "error", "message": None, "hint": ""}, "a error report that is not valid"),
        ({**READY, "on_device": 1}, "a ready report that is not valid"),
        ({**READY, "peak_memory_bytes": 10**300}, "a ready report that is not valid"),
        ({**TURN, "forward_ns": -5}, "a turn report that is not valid (Expected `int` >= 0 - at `$.forward_ns`)"),
        ({**TURN, "forward_ns": 10**18}, "a turn report that is not valid (Expected `int` <= "),
        ({"event": "notes", "notes": ["a", 1]}, "a notes report that is not valid (Expected `str`, got `int`"),
        ({"event": "notes", "notes": ["a"] * 1_000}, "a notes report that is not valid (Expected `array` of length <="),
        ({"event": "torch", "version": "x" * 200_000}, "a torch report with a text of more than 100,000 characters"),
        ({"event": "torch", "version": "2", "threads": 10**10}, "a torch report that is not valid"),
        ({"event": "workload", "inputs": [{"shape": [-1], "dtype": ""}], "weights_sha256": None}, "a workload report"),
        ({**ROUND, "latency_ns": [10**25]}, "a round report that is not valid (Expected `int` <="),
        (
            {**ROUND, "latency_ns": [-5]},
            "a round report that is not valid (Expected `int` >= 0 - at `$.latency_ns[0]`)",
        ),
        ({**ROUND, "latency_ns": [1.5]}, "a round report that is not valid (Expected `int`, got `float`"),
        ({**ROUND, "load": {"cpu_mhz": -1}}, "a round report that is not valid (Expected `float` >= 0.0"),
        (json.dumps({**ROUND, "load": {"cpu_mhz": 0}})[:-3] + "1e400}}", "a round report that is not valid"),
        ({**ROUND, "trace": "../a.pt.trace.json.gz"}, "trace is not the name of a trace in the run's folder"),
        ({**ROUND, "trace": "/a.pt.trace.json.gz"}, "trace is not the name of a trace in the run's folder"),
        ({**ROUND, "trace": "profkit.json"}, "trace is not the name of a trace in the run's folder"),
        ({**ROUND, "trace": "a\0.pt.trace.json.gz"}, "trace is not the name of a trace in the run's folder"),
        (
            {**SLICE, "started_ns": [1, 2], "ended_ns": [2]},
            "a slice report that is not valid (its lists differ in length",
        ),
        ({**SLICE, "started_ns": [1], "ended_ns": [2], "index": [0]}, "(its lists differ in length"),
        ({**SLICE, "started_ns": [5], "ended_ns": [4]}, "a slice report that is not valid (its requests overlap"),
        ({**SLICE, "started_ns": [1, 2], "ended_ns": [3, 4]}, "a slice report that is not valid (its requests overlap"),
        ({**SLICE, "started_ns": [-1], "ended_ns": [4]}, "a slice report that is not valid (Expected `int` >= 0"),
        ({**SLICE, "started_ns": [0] * 100_001, "ended_ns": []}, "(Expected `array` of length <= 100000"),
        ({"event": "served"}, "a served report that was not asked for"),
        ({"event": "log", "name": ".."}, "a log report that is not valid (name is not onednn.log.gz)"),
        ({"event": "log", "name": "onednn.log.gz"}, "a log report that was not asked for"),
        ({"event": "onednn", "trace": "x", "warmup": 1, "steps": 1}, "trace is not onednn.trace.json.gz"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) else "",
)
def test_an_invalid_report_is_a_failure_in_words(run: Run, tmp_path: Path, report: Any, words: str) -> None:
    line = report if isinstance(report, str) else json.dumps(report)
    (tmp_path / "line").write_bytes(line.encode("utf-8", "surrogateescape") + b"\n")
    outcome = run(f"cat {tmp_path}/line >&$r")
    assert outcome.failure is not None
    assert outcome.failure.startswith("sent ")
    assert outcome.failure.endswith(" while starting")
    assert words in outcome.failure
    assert len(outcome.failure) < 400
    assert not outcome.crashed


def test_a_round_that_was_not_asked_for_is_refused(run: Run) -> None:
    outcome = run(lines(*DESCRIBED, ROUND), finish=False)
    assert outcome.failure == "sent a round report that was not asked for while starting"


def test_unknown_fields_are_not_kept(run: Run) -> None:
    outcome = run(lines(*DESCRIBED, {**ROUND, "status": "x", "load": {"cpu_mhz": 1.0, "more": [[[[]]]]}}))
    assert outcome.reports["round"].keys() == {*ROUND, "load"}
    assert "more" not in outcome.reports["round"]["load"]


def test_a_full_disk_is_told_from_other_errors(run: Run) -> None:
    for kind, unwritable in (("output", True), ("internal", False)):
        outcome = run(lines({"event": "error", "kind": kind, "message": "m", "hint": "h"}))
        failure = "m" if unwritable else "starting, m"
        assert (outcome.failure, outcome.hint, outcome.unwritable) == (failure, "h", unwritable)


def test_what_the_kernel_kills_for_its_memory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's counter tells it from another SIGKILL; it would happen again, so it is not tried again."""
    kill = f"{lines({'event': 'turn', 'stage': 'time', 'forward_ns': 1, 'peak_memory_bytes': 3 << 30})}kill -KILL $$"
    counts = iter([4, 5])
    monkeypatch.setattr(process, "memory_kills", lambda: next(counts))
    outcome = run(kill, finish=False)
    assert outcome.failure == "killed by the kernel because no memory was left, starting, at 3.00 GiB or more"
    assert outcome.hint.startswith("Use a smaller --batch")
    assert not outcome.crashed
    for kills in (None, 5):
        monkeypatch.setattr(process, "memory_kills", lambda kills=kills: kills)
        outcome = run(kill, finish=False)
        assert outcome.failure == "died of SIGKILL starting"
        assert outcome.crashed


def test_the_memory_of_a_worker_is_watched_while_it_says_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([0, 1])
    monkeypatch.setattr(process, "memory_kills", lambda: next(counts))
    monkeypatch.setattr(process, "peak_bytes", lambda pid: 5 << 30)
    outcome = run("sleep 0.5\nkill -KILL $$", finish=False)
    assert outcome.failure is not None
    assert outcome.failure.endswith("at 5.00 GiB or more")


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
        assert not worker.prepare()
        assert not worker.order("warm_up")
        outcome = worker.outcome()
    assert outcome.failure == f"{tmp_path}/none cannot be started (No such file or directory)"
