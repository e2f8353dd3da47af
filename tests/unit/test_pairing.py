"""Which rounds are compared, when a capture has enough of them, and what counts as disturbed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from msgspec.structs import replace

from profkit.capture.disturbance import find_disturbance
from profkit.capture.stopping import Costs, Stopping, judge_latency
from profkit.capture.task import Task
from profkit.runs import Manifest
from profkit.runs.manifest import Load, Round, Tool, Workload
from profkit.runs.pairing import Pairing, how_apart, pair_rounds
from profkit.runs.settings import Settings
from profkit.stats.inference import compare_samples, log_ratios, one_row
from profkit.stats.judged import Design
from profkit.stats.precision import forwards_per_round


def manifest(blocks: str, label: str = "a", *, medians: list[float] | None = None, noisy: str = "") -> Manifest:
    """Return a run with one round per character of ``blocks``: its block, or ``-`` for one that was captured alone.

    The rounds of the blocks in ``noisy`` are disturbed.
    """
    times = medians or [100.0] * len(blocks)
    rounds = [
        Round(
            index=index,
            session=None if block == "-" else "s",
            block=None if block == "-" else ord(block) - ord("a"),
            order=0,
            started="2026-01-01T00:00:00+00:00",
            trace=f"{index}.pt.trace.json.gz",
            warmup_ns=[],
            latency_ns=[round(ms * 1e6)] * 3,
            profiled_ns=[],
            disturbed="other processes used 40% of the CPU time" if block in noisy else None,
        )
        for index, (block, ms) in enumerate(zip(blocks, times, strict=True))
    ]
    return Manifest(
        status="complete",
        label=label,
        workload=Workload(name="w", source="file"),
        settings=Settings(),
        rounds=rounds,
        tool=Tool(version="0"),
    )


@pytest.mark.parametrize(
    ("one", "two", "noisy", "expected"),
    [
        ("abc", "abc", "", Pairing((0, 1, 2), (0, 1, 2), paired=True, together=True)),
        ("acb", "bca", "", Pairing((0, 1, 2), (2, 1, 0), paired=True, together=True)),
        ("abcde", "bd", "", Pairing((1, 3), (0, 1), paired=True, together=True)),  # a baseline of several groups
        ("abc", "def", "", Pairing((0, 1, 2), (0, 1, 2))),
        ("---", "---", "", Pairing((0, 1, 2), (0, 1, 2))),
        ("abcd", "dxyz", "", Pairing((0, 1, 2, 3), (0, 1, 2, 3), together=True)),  # one block in common
        ("abcdef", "efuvwxyz", "", Pairing(tuple(range(6)), tuple(range(8)), together=True)),  # less than half
        ("abcde", "abcde", "b", Pairing((0, 2, 3, 4), (0, 2, 3, 4), paired=True, together=True, left_out=(1, 1))),
        (
            "abcd",
            "abcd",
            "ab",  # without them two would be left, which are too few
            Pairing((0, 1, 2, 3), (0, 1, 2, 3), paired=True, together=True, needed=(5, 5)),
        ),
        (
            "abcdefg",
            "abcdefg",
            "abcd",
            Pairing(tuple(range(7)), tuple(range(7)), paired=True, together=True, needed=(5, 5)),
        ),
        ("abcd", "uvwx", "bu", Pairing((0, 2, 3), (1, 2, 3), left_out=(1, 1))),
        ("abc", "uvw", "v", Pairing((0, 1, 2), (0, 1, 2), needed=(2, 5))),
    ],
)
def test_rounds_that_are_compared(one: str, two: str, noisy: str, expected: Pairing) -> None:
    assert pair_rounds(manifest(one, noisy=noisy), manifest(two, noisy=noisy)) == expected


@pytest.mark.parametrize(
    ("blocks", "noisy", "verdict"),
    [
        ("ab", "", "slower"),
        ("ab", "a", "inconclusive"),
        ("abcd", "abcd", "inconclusive"),
        ("abcde", "abcde", "slower"),
        ("abcd", "a", "slower"),  # it is left out
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_few_disturbed_rounds_give_no_verdict(blocks: str, noisy: str, verdict: str, together: bool) -> None:
    """Two rounds beside a busy process agreed on half the speed, though the truth was 3% less."""
    before = manifest(blocks, noisy=noisy, medians=[100.0 + n / 10 for n in range(len(blocks))])
    slower = manifest(blocks, noisy=noisy, medians=[200.0 + n / 10 for n in range(len(blocks))])
    if not together:
        slower = replace(slower, rounds=[replace(r, session="other") for r in slower.rounds])
    judged = judge_latency(before, slower, 0.02)
    assert judged is not None
    assert judged.speedup == pytest.approx(0.5, rel=1e-2)
    assert judged.verdict == verdict
    is_shown = verdict == "slower"
    assert judged.no_interval == (None if is_shown else "disturbed rounds")
    assert [bound is not None for bound in (judged.low, judged.high, judged.p_value)] == [is_shown] * 3


def test_pairs_cancel_the_drift_of_the_machine() -> None:
    """Both sides drift by 30% together, and differ by 5% in every round."""
    drift = [100.0, 110.0, 120.0, 130.0, 104.0]
    wobble = [1.0, 1.002, 0.998, 1.001, 0.999]
    before = manifest("abcde", medians=drift)
    after = manifest("abcde", medians=[1.05 * d * w for d, w in zip(drift, wobble, strict=True)])
    apart = manifest("vwxyz", medians=[1.05 * d * w for d, w in zip(drift, wobble, strict=True)])
    paired, unpaired = (judge_latency(before, side, 0.02) for side in (after, apart))
    assert paired is not None
    assert unpaired is not None
    assert paired.speedup == pytest.approx(1 / 1.05, rel=1e-3)
    assert unpaired.speedup == pytest.approx(paired.speedup)
    assert (paired.verdict, unpaired.verdict) == ("slower", "inconclusive")
    assert paired.low is not None
    assert paired.low > 0.945


def test_the_interval_of_pairs_is_students() -> None:
    generator = np.random.default_rng(4)
    before = one_row([np.array([round(1e8 * t)]) for t in np.exp(generator.normal(0, 0.1, 6))])
    after = one_row([np.array([round(1e8 * t)]) for t in np.exp(generator.normal(0, 0.1, 6))])
    from scipy.stats import ttest_rel

    logs = [[float(np.log(r[0, 0])) for r in side] for side in (before, after)]
    expected = ttest_rel(*logs)
    ratio = log_ratios(before, after, design=Design(paired=True))
    assert ratio.p_value[0] == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert (ratio.value - ratio.half_width)[0] == pytest.approx(low)
    assert (ratio.value + ratio.half_width)[0] == pytest.approx(high)
    (judged,) = compare_samples(before, after, design=Design(paired=True))
    assert judged.low == pytest.approx(np.exp(low))


class Simulated:
    """As much of a task as the rule looks at."""

    def __init__(self, medians: list[float], failure: str | None = None, wanted: int = 5) -> None:
        blocks = "".join(chr(ord("a") + n) for n in range(len(medians)))
        self.manifest = manifest(blocks, medians=medians)
        self.failure = failure
        self.wanted = wanted
        self.filing = SimpleNamespace()

    @property
    def missing_rounds(self) -> int:
        return 0 if self.failure else max(0, self.wanted - len(self.manifest.rounds))


def due(*tasks: Simulated, **settings: Any) -> list[int]:
    rule = Stopping(Settings(**{"max_time_s": 1e6, "until_operators": 0.0, **settings}))
    listed = [cast(Task, task) for task in tasks]
    return [listed.index(task) for task in rule.due(listed)]


STEADY = [100.0, 101.0, 99.0, 100.0, 100.5, 99.5, 100.0]


def test_a_capture_ends_when_the_ratio_is_known() -> None:
    known = [1.1 * ms for ms in STEADY]
    assert due(Simulated(STEADY), Simulated(known)) == []
    assert due(Simulated(STEADY[:6]), Simulated(known[:6])) == [0, 1]  # two looks, two rounds apart, take one more
    wide = [110.0, 100.0, 120.0, 105.0, 112.0, 101.0, 115.0]
    assert due(Simulated(STEADY), Simulated(wide)) == [0, 1]
    assert due(Simulated(STEADY), Simulated(wide), until=20.0) == []
    assert due(Simulated(STEADY), Simulated(known), Simulated(wide)) == [0, 2]  # the baseline with whom it is needed
    assert due(Simulated(STEADY), Simulated(known), Simulated(wide, failure="died")) == []


def test_a_slow_process_in_a_late_round_is_followed_by_more_rounds() -> None:
    steady, known = 3 * STEADY, [1.1 * ms for ms in 3 * STEADY]
    late = [*known[:6], 1.15 * known[6]]
    assert due(Simulated(STEADY), Simulated(late)) == [0, 1]  # though the first five were known to 2%
    assert due(Simulated(steady[:12]), Simulated([*late, *known[7:12]])) == [0, 1]
    assert due(Simulated(steady), Simulated([*late, *known[7:]])) == []
    # narrow now, and not yet two rounds ago
    early = [1.06 * known[0], *known[1:8]]
    assert due(Simulated(steady[:7]), Simulated(early[:7])) == [0, 1]


def with_operators(folder: Path, small_us: list[float], operator: str = "aten::relu") -> Simulated:
    """Return a task whose traces have a convolution, and an operator of the given times beside it, in each round."""
    folder.mkdir()
    for number, small in enumerate(small_us):
        events = []
        for forward, start in enumerate((0.0, 10_000.0)):
            spans = [("user_annotation", "profkit.forward", start, 2000.0), ("cpu_op", operator, start + 1, small)]
            spans.append(("cpu_op", "aten::conv2d", start + 500, 1000.0))
            for place, (category, name, ts, dur) in enumerate(spans):
                event = {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur}
                events.append({**event, "args": {"Ev Idx": 3 * forward + place}})
        text = json.dumps({"schemaVersion": 1, "traceEvents": events})
        (folder / f"{number}.pt.trace.json.gz").write_bytes(gzip.compress(text.encode()))
    task = Simulated(STEADY[:1] * len(small_us))
    task.filing = SimpleNamespace(staging=folder / "missing", folder=folder)
    return task


def test_a_capture_goes_on_for_a_large_operator(tmp_path: Path) -> None:
    """An operator of 2% of the forward is waited for; one of 0.2%, or that a side lacks, is not."""
    scattered = [40.0, 44.0, 38.0, 42.0, 45.0, 39.0, 41.0]
    first = with_operators(tmp_path / "first", [40.0] * 7)
    wide = with_operators(tmp_path / "wide", scattered)
    assert due(first, wide, until_operators=5.0) == [0, 1]
    assert due(first, wide, until_operators=50.0) == []
    assert due(first, wide, until_operators=0.0) == []
    # of 5.9%, 3.5% would be known after three times as many rounds, and 3.3% would not
    assert due(first, wide, until_operators=3.5) == [0, 1]
    assert due(first, wide, until_operators=3.3) == []
    # narrow two rounds ago, by chance: it is looked at again
    late = with_operators(tmp_path / "late", [44.0, 44.2, 43.9, 44.1, 44.0, 50.0, 40.0])
    assert due(first, late, until_operators=5.0) == [0, 1]
    # narrow now, and not yet two rounds ago
    soon = with_operators(tmp_path / "soon", [40.0, 43.5, 40.5, 43.0, 40.0, 42.0, 42.0])
    assert due(first, soon, until_operators=4.5) == [0, 1]
    assert due(first, soon, until_operators=6.0) == []
    small = [with_operators(tmp_path / name, [ns / 10 for ns in scattered]) for name in ("small", "other")]
    assert due(*small, until_operators=5.0) == []
    assert due(first, with_operators(tmp_path / "gelu", scattered, "aten::gelu"), until_operators=5.0) == []
    rule = Stopping(Settings(max_time_s=90.0, until_operators=5.0))
    tasks = [cast(Task, first), cast(Task, wide)]
    assert rule.waits_for(tasks) == "aten::relu is known to 5.9%, 5% is wanted"
    assert Stopping(Settings(rounds=9)).waits_for(tasks) == ""
    rule.costs += [Costs(50.0, 1.0, 20)] * 3  # there is time for one more, and it takes three
    assert rule.due(tasks) == []
    assert rule.waits_for(tasks) == ""
    (tmp_path / "wide" / "3.pt.trace.json.gz").write_bytes(b"damaged")
    assert due(first, wide, until_operators=5.0) == []  # nothing is known of the operators, so nothing is waited for


def test_a_capture_ends_when_time_is_up() -> None:
    assert due(Simulated(STEADY), Simulated([120.0, 90.0]), max_time_s=1.0) == [0, 1]
    rule = Stopping(Settings(max_time_s=1.0), began=-1e9)
    assert rule.due([cast(Task, Simulated(STEADY)), cast(Task, Simulated([120.0, 90.0]))]) == []


def test_a_number_of_rounds_is_a_number_of_rounds() -> None:
    assert due(Simulated(STEADY[:2], wanted=3), Simulated(STEADY[:2], wanted=3), rounds=3) == [0, 1]
    assert due(Simulated(STEADY[:3], wanted=3), Simulated(STEADY[:3], wanted=3), rounds=3) == []
    assert due(Simulated(STEADY[:3])) == [0]  # a single configuration has 5
    assert due(Simulated(STEADY[:5])) == []


def test_forwards_follow_the_variances() -> None:
    # rounds that cost 40 forwards, and differ as much as forwards do
    assert forwards_per_round(between=1e-4, within=1e-4, round_cost=4.0, forward_cost=0.1) == pytest.approx(40**0.5)
    assert forwards_per_round(between=1e-4, within=4e-4, round_cost=4.0, forward_cost=0.1) == pytest.approx(160**0.5)
    assert forwards_per_round(between=0.0, within=1e-4, round_cost=4.0, forward_cost=0.1) == float("inf")
    rule = Stopping(Settings(max_time_s=1e6, until_operators=0.0))
    tasks = [cast(Task, Simulated(STEADY)), cast(Task, Simulated([1.1 * ms for ms in STEADY]))]
    assert rule.forwards(tasks) == 10
    rule.costs.append(Costs(20.0, 5.0, 10))
    assert rule.forwards(tasks) == 10  # the forwards of a slow model
    rule.costs[:] = [Costs(20.0, 1.0, 10)]
    assert rule.forwards(tasks) == 20
    rule.costs += [Costs(20.0, 2.0, 20)] * 2
    assert rule.forwards(tasks) == 20  # forwards do not differ here, so no more of them are needed
    assert Stopping(Settings(rounds=3)).forwards(tasks) == 10


@pytest.mark.parametrize(
    ("steal", "other", "idle", "words"),
    [
        (0.0, 0.0, 0.0, None),
        (0.2, 0.0, 0.0, "the hypervisor took 20% of the CPU time"),
        (0.0, 0.3, 0.0, "other processes used 30% of the CPU time"),
        (0.0, 0.3, 0.5, None),  # processors of their own
        (None, None, None, None),
        (0.0, 0.04, 0.0, None),
    ],
)
def test_disturbed_by_the_load_alone(
    steal: float | None, other: float | None, idle: float | None, words: str | None
) -> None:
    assert find_disturbance(Load(steal_share=steal, other_share=other, idle_share=idle)) == words


def test_runs_that_were_captured_apart_say_so() -> None:
    for one, two, words in (
        ("abc", "abc", None),
        ("abc", "def", "not captured together"),
        ("abcd", "dxyz", "only partly captured together"),
        ("---", "abc", None),  # not known
    ):
        sides = manifest(one), manifest(two)
        assert how_apart(*sides, pair_rounds(*sides)) == words
    assert how_apart(None, manifest("abc"), Pairing((0,), (0,))) is None
