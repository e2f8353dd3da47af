"""Captures by turns under a stub torch: who runs when, what a failure costs, what stays behind."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from profkit.capture import blocks
from profkit.capture.block import TurnsNotPossibleError
from profkit.capture.process import Worker
from profkit.capture.stopping import Costs
from profkit.capture.task import Task
from profkit.runs import Manifest, read_manifest
from profkit.runs.pairing import pair_rounds
from tests.unit.stub import SHORT, Heard, capture, write_model

ROOT = Path(__file__).parent.parent.parent
TWO = {"fpmath": ("fp32", "bf16")}
RECORD = "open({log!r}, 'a').write(f'{{os.getpid()}} {{time.monotonic_ns()}} {{call}}\\n')"
RECORD_MAKE = "open({log!r}, 'a').write(f'{{os.getpid()}} {what}\\n')"


pytestmark = pytest.mark.usefixtures("nothing_stays")


def manifests(logs: Path, *labels: str) -> list[Manifest]:
    return [read_manifest(logs / label / "model") for label in labels or ("stub", "stub-bf16")]


def calls_in_order(log: Path) -> list[tuple[str, int]]:
    """Return (process, call number) of every forward, in the order in which they ran."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(pid, int(call)) for pid, _, call in sorted(lines, key=lambda line: int(line[1]))]


def test_workers_take_turns(python: Path, tmp_path: Path) -> None:
    """In each block two workers are alive; each turn runs one forward that does not count, then those that do."""
    log = tmp_path / "calls"
    settings = SHORT.changed(rounds=1, steps=10, warmup=2)
    model = write_model(tmp_path / "m", RECORD.format(log=str(log)) + "\ntime.sleep(0.02)")
    done = capture(python, [model], tmp_path / "logs", settings=settings, varied=TWO)
    assert [c.failure for c in done] == [None, None]
    calls = calls_in_order(log)
    assert len({pid for pid, _ in calls}) == 2
    prepared = [[call for pid, call in calls if pid == each] for each in dict.fromkeys(pid for pid, _ in calls)]
    assert prepared[0] == list(range(1, len(prepared[0]) + 1))
    # after both are warm: 5 turns each and pass, in an order that changes, so that a worker has two of them in a row
    changes = sum(a[0] != b[0] for a, b in itertools.pairwise(calls))
    assert changes >= 2 * 5  # of the latency pass and of the profile pass
    one, two = manifests(tmp_path / "logs")
    for manifest in (one, two):
        (round_,) = manifest.rounds
        assert len(round_.latency_ns) >= 10
        assert len(round_.counters.cpu_ns) == len(round_.latency_ns)
        assert len(round_.profiled_ns) == 10
    assert (one.rounds[0].session, one.rounds[0].block) == (two.rounds[0].session, two.rounds[0].block)
    assert pair_rounds(one, two).together


def test_turns_of_workers_of_different_speed(python: Path, tmp_path: Path) -> None:
    """One times four forwards a turn, the other two, as each of them takes longer than a turn should."""
    slow = "time.sleep(0.07 if os.environ['DNNL_DEFAULT_FPMATH_MODE'] == 'BF16' else 0.001)"
    settings = SHORT.changed(rounds=1, steps=20)
    done = capture(python, [write_model(tmp_path / "m", slow)], tmp_path / "logs", settings=settings, varied=TWO)
    assert [c.failure for c in done] == [None, None]
    (fast,), (slow_one,) = (m.rounds for m in manifests(tmp_path / "logs"))
    assert (len(fast.latency_ns), len(slow_one.latency_ns)) == (40, 20)  # in ten turns
    assert (len(fast.profiled_ns), len(slow_one.profiled_ns)) == (20, 20)


def test_models_are_made_one_after_the_other(python: Path, tmp_path: Path) -> None:
    """Also in the second block, when the memory that they need is known."""
    log = tmp_path / "made"
    record = {what: RECORD_MAKE.format(log=str(log), what=what) for what in ("start", "end")}
    make = f"{record['start']}\ntime.sleep(0.2)\n{record['end']}"
    capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs", varied=TWO)
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [what for _, what in lines] == ["start", "end"] * 4
    assert [start[0] for start in lines[::2]] == [end[0] for end in lines[1::2]]


def test_torch_is_imported_while_the_model_before_is_prepared(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker starts before the model of the one before is ordered, and no earlier."""
    events: list[str] = []

    class Recorded(Worker):
        def __init__(self, *arguments: Any, **fields: Any) -> None:
            events.append("start")
            super().__init__(*arguments, **fields)

        def prepare(self) -> bool:
            events.append("prepare")
            return super().prepare()

    monkeypatch.setattr("profkit.capture.task.Worker", Recorded)
    varied, settings = {"fpmath": ("fp32", "bf16", "tf32")}, SHORT.changed(rounds=1)
    done = capture(python, [write_model(tmp_path / "m")], tmp_path / "logs", settings=settings, varied=varied)
    assert [c.failure for c in done] == [None] * 3
    assert events == ["start", "start", "prepare", "start", "prepare", "prepare"]


def test_every_block_is_paired(python: Path, tmp_path: Path) -> None:
    capture(python, [write_model(tmp_path / "m")], tmp_path / "logs", settings=SHORT.changed(rounds=3), varied=TWO)
    one, two = manifests(tmp_path / "logs")
    assert [r.block for r in one.rounds] == [r.block for r in two.rounds] == [0, 1, 2]
    assert [[r.order for r in m.rounds] for m in (one, two)] == [[0, 1, 0], [1, 0, 1]]  # none is always the first
    pairing = pair_rounds(one, two)
    assert (pairing.baseline, pairing.candidate, pairing.paired) == ((0, 1, 2), (0, 1, 2), True)
    # captured again, in another session: the blocks have numbers that were used before, and are others
    capture(python, [write_model(tmp_path / "m")], tmp_path / "logs", settings=SHORT.changed(rounds=2), varied=TWO)
    one, two = manifests(tmp_path / "logs")
    assert len({(r.session, r.block) for r in one.rounds}) == 5
    assert pair_rounds(one, two).baseline == (0, 1, 2, 3, 4)


def test_one_after_the_other_on_request(python: Path, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    settings = SHORT.changed(sequential=True)
    model = write_model(tmp_path / "m", RECORD.format(log=str(log)))
    capture(python, [model], tmp_path / "logs", settings=settings, varied=TWO)
    calls = calls_in_order(log)
    assert sum(a[0] != b[0] for a, b in itertools.pairwise(calls)) == 3  # four processes
    one, two = manifests(tmp_path / "logs")
    assert pair_rounds(one, two).paired
    assert [[r.order for r in m.rounds] for m in (one, two)] == [[0, 1], [1, 0]]


@pytest.mark.parametrize("mode", ["STRICT", "BF16"])
@pytest.mark.parametrize(
    ("when", "where"),
    [("call == 2", "warm-up"), ("call == 7", "latency"), ("sys.modules['torch.profiler']._current", "profile")],
    ids=["warm-up", "latency", "profile"],
)
def test_a_crash_costs_one_round_of_one_configuration(
    python: Path, tmp_path: Path, when: str, where: str, mode: str
) -> None:
    """The round is captured in another block, in which the baseline has one more; so every round has a partner."""
    flag = tmp_path / "crashed"
    crash = (
        f"if os.environ['DNNL_DEFAULT_FPMATH_MODE'] == '{mode}' and {when} "
        f"and not os.path.exists({str(flag)!r}):"
        f"\n    open({str(flag)!r}, 'w')\n    os.kill(os.getpid(), signal.SIGSEGV)"
    )
    done = capture(python, [write_model(tmp_path / "m", crash)], tmp_path / "logs", varied=TWO)
    assert [c.failure for c in done] == [None, None]
    assert flag.exists()
    crashed, other = manifests(tmp_path / "logs")[:: 1 if mode == "STRICT" else -1]
    assert (len(crashed.fallbacks), len(other.fallbacks)) == (1, 0)
    assert f"in the {where} pass" in crashed.fallbacks[0].reason
    assert (len(crashed.rounds), len(other.rounds)) == (2, 3)
    pairing = pair_rounds(crashed, other)
    assert pairing.paired
    assert len(pairing.baseline) == 2


def test_a_hang_costs_one_configuration(python: Path, tmp_path: Path) -> None:
    hang = "if os.environ['DNNL_DEFAULT_FPMATH_MODE'] == 'BF16' and call == 7: time.sleep(600)"
    settings = SHORT.changed(timeout_s=2.0)
    one, two = capture(python, [write_model(tmp_path / "m", hang)], tmp_path / "logs", settings=settings, varied=TWO)
    assert one.failure is None
    assert two.failure is not None
    assert two.failure.startswith("hung for 2 s while in the latency pass")


@pytest.mark.parametrize("where", ["is on a device", "needs more memory than there is"])
def test_turns_that_are_not_possible(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The configurations run one after the other, and a message says so."""
    tried: list[int] = []
    run_block = blocks.run_block

    def refuse(tasks: Sequence[Task], *rest: Any) -> Costs:
        tried.append(len(tasks))
        if len(tasks) > 1:
            raise TurnsNotPossibleError(f"the model {where}")
        return run_block(tasks, *rest)

    monkeypatch.setattr(blocks, "run_block", refuse)
    heard = Heard()
    done = capture(python, [write_model(tmp_path / "m")], tmp_path / "logs", heard, varied=TWO)
    assert [c.failure for c in done] == [None, None]
    assert tried == [2, 1, 1, 1, 1]
    assert heard.messages == [f"model: configurations run one after the other instead of by turns: the model {where}"]
    assert [len(m.rounds) for m in manifests(tmp_path / "logs")] == [2, 2]


def test_more_configurations_than_memory_allows(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups share the first configuration; each pair of it and another one is compared pairwise."""
    monkeypatch.setattr(blocks.Blocks, "_fitting", lambda self, due: 2)
    heard = Heard()
    three = {"fpmath": ("fp32", "bf16", "tf32")}
    capture(python, [write_model(tmp_path / "m")], tmp_path / "logs", heard, varied=three)
    first, *others = manifests(tmp_path / "logs", "stub", "stub-bf16", "stub-tf32")
    assert [len(m.rounds) for m in (first, *others)] == [4, 2, 2]
    for other in others:
        assert pair_rounds(first, other).paired
        assert [r.order for r in other.rounds] == [1, 0]  # in both groups, though one has all even blocks
    assert not pair_rounds(*others).together
    assert heard.messages == [
        "model: memory for 2 configurations at a time, so they take turns in 2 groups, each with stub"
    ]


@pytest.mark.parametrize(("workers", "alive"), [(1, 1), (2, 2), (10, 3)])
def test_memory_is_looked_at_before_another_worker_starts(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, alive: int
) -> None:
    """There is memory for so many workers; how many a block has is seen in the blocks that the rounds name."""
    started: list[str] = []

    class Counting(Heard):
        def report(self, who: str, report: dict[str, object]) -> None:
            super().report(who, report)
            started.append(who) if report["event"] == "ready" else None

    monkeypatch.setattr("profkit.capture.block.available_bytes", lambda: 10**12 if len(started) % 3 < workers else 0)
    monkeypatch.setattr(blocks, "available_bytes", lambda: None)
    three = {"fpmath": ("fp32", "bf16", "tf32")}
    settings = SHORT.changed(rounds=1)
    heard = Counting()
    done = capture(python, [write_model(tmp_path / "m")], tmp_path / "logs", heard, settings=settings, varied=three)
    assert [c.failure for c in done] == [None] * 3
    runs = manifests(tmp_path / "logs", "stub", "stub-bf16", "stub-tf32")
    first_block = [m.label for m in runs if any(r.block == 0 for r in m.rounds)]
    assert len(first_block) == (3 if alive == 1 else alive)  # one after the other they share the block, too
    assert any("one after the other" in text for text in heard.messages) == (alive == 1)


@pytest.mark.parametrize("stage", ["warm-up", "latency", "profile"])
def test_nothing_waits_after_the_session_was_killed(python: Path, tmp_path: Path, stage: str) -> None:
    """Both workers end, also the one that waits for its turn; the round before is there at the next start."""
    model = write_model(tmp_path / "m", "time.sleep(0.01)")
    script = tmp_path / "session.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.unit.stub import Heard, capture\n"
        "class Killing(Heard):\n"
        "    def report(self, who, report):\n"
        "        super().report(who, report)\n"
        "        rounds = sum(r['event'] == 'round' for r in self.reports)\n"
        f"        if rounds == 2 and report.get('stage') == {stage!r} and report['event'] == 'forward':\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        f"capture(Path({str(python)!r}), [Path({str(model)!r})], Path({str(tmp_path / 'logs')!r}), Killing(),\n"
        f"        varied={TWO!r})\n"
    )
    done = subprocess.run([sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    capture(python, [model], tmp_path / "logs", varied=TWO)
    assert [len(m.rounds) for m in manifests(tmp_path / "logs")] == [2, 2]
