"""Load tests under a stub torch: the real worker serves, waits in queues, dies, hangs and is interrupted."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profkit.capture.plan import Configuration, EnvironmentRequest, matrix
from profkit.capture.workloads import resolve
from profkit.cli.main import main
from profkit.comparison.records.load import Load
from profkit.errors import CaptureError, UsageError
from profkit.experiments.load import levels, session, slices, workers
from profkit.experiments.load.answers import parse_limit
from profkit.experiments.load.arrivals import auto_rates, parse_rates, poisson_arrivals
from profkit.experiments.load.levels import (
    Concurrency,
    Level,
    level_of,
    parse_concurrency,
    processes_allowed,
    usable_cores,
)
from profkit.experiments.load.points import Measured
from profkit.experiments.load.session import LoadPlan, LoadSession
from profkit.experiments.load.workers import Workers
from profkit.report.kinds import kind_of
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.runs.settings import Settings
from profkit.stats.tails import fewest_samples
from tests.conftest import ROOT
from tests.unit.load_results import example, level, result
from tests.unit.stub import Heard, processes_of, write_model

SHORT = Settings(warmup=2, timeout_s=30.0)
SLEEP = "time.sleep(0.01)"  # the stub's model sleeps one more millisecond

pytestmark = pytest.mark.usefixtures("nothing_stays")


def configuration(python: Path, model: Path) -> Configuration:
    (found,) = matrix([resolve(f"{model}:make")], [EnvironmentRequest(None, python, "stub")], {}, None)
    return found


def started(
    python: Path,
    model: Path,
    concurrency: str,
    rates: str | None = None,
    duration_s: float = 1.5,
    heard: Heard | None = None,
    settings: Settings = SHORT,
) -> LoadSession:
    plan = LoadPlan(parse_concurrency(concurrency), None if rates is None else parse_rates(rates), duration_s)
    return LoadSession(configuration(python, model), settings, python, plan, heard or Heard())


def loaded(*arguments: Any, **options: Any) -> Load:
    found = started(*arguments, **options)
    found.run()
    return found.result()


def shown(load: Load) -> str:
    return render(kind_of("load"), load, "text", Selection())


def first_come_first_served(arrivals: Sequence[int], service: Sequence[int], processes: int) -> list[int]:
    """Return when each request starts: when it has arrived and the first process is free (G/G/c)."""
    free, starts = [0] * processes, []
    for arrival, needed in zip(arrivals, service, strict=True):
        first = free.index(min(free))
        starts.append(max(arrival, free[first]))
        free[first] = starts[-1] + needed
    return starts


# --- measured with real processes


def test_a_closed_loop_answers_processes_per_sleep(python: Path, tmp_path: Path) -> None:
    load = loaded(python, write_model(tmp_path / "m", SLEEP), "1,2")
    one, two = load.points
    assert (one.name, two.name) == (level_of(1, load.cores, SHORT).name, level_of(2, load.cores, SHORT).name)
    for point in (one, two):
        assert point.throughput is not None
        assert point.mean is not None
        assert point.p50.value_ns is not None
        assert point.p50.value_ns > 11e6
        # each client waits for its answer, so that throughput and mean latency are one number (Little's law)
        assert point.throughput.value == pytest.approx(point.processes / point.mean.value * 1e9, rel=0.05)
        assert point.throughput.value < point.processes / 0.011
        assert len(point.slices) == 5
        assert point.peak_memory_bytes is not None
    assert two.gain is not None
    assert one.throughput is not None
    assert two.throughput is not None
    # the slices of the two are pairs, whose mean ratio is near the ratio of the means
    assert two.gain.speedup == pytest.approx(two.throughput.value / one.throughput.value, rel=0.05)
    assert two.peak_memory_bytes is not None
    assert two.peak_memory_bytes == pytest.approx(2 * (one.peak_memory_bytes or 0), rel=0.2)
    assert load.torch is not None
    assert (load.torch.version, load.complete) == ("9.9.1", True)


@pytest.mark.parametrize("processes", [1, 2])
def test_latency_of_an_open_loop_includes_waiting(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """The reported starts are those of a queue computed by hand from the schedule and the reported times of service."""
    reports: list[Any] = []
    answers = slices._answers

    def kept(*arguments: Any) -> Any:
        reports[:] = answers(*arguments)
        return reports

    monkeypatch.setattr(slices, "_answers", kept)
    rng = np.random.default_rng(1)
    arrivals = np.sort(rng.integers(0, 500_000_000, 60 * processes)).tolist()  # 1.3 times what can be served
    plan = configuration(python, write_model(tmp_path / "m", SLEEP))
    with Workers(plan, SHORT, python, tmp_path, Heard(), os.environ) as crew:
        ready = crew.serve(Level(processes, 1))
        found = slices.open_loop(ready, 0, 400_000_000, arrivals, tmp_path)
    rows = sorted(
        row for report in reports for row in zip(report["index"], report["started_ns"], report["ended_ns"], strict=True)
    )
    served = len(rows)  # not all of them before the end, if other programs take much of the machine
    assert [index for index, _, _ in rows] == list(range(served))
    arrivals = arrivals[:served]
    service = [ended - began for _, began, ended in rows]
    expected = first_come_first_served(arrivals, service, processes)
    late = [began - due for (_, began, _), due in zip(rows, expected, strict=True)]
    # what is late accumulates over a busy period; each start may be late by what the system takes to wake a process
    assert min(late) >= -1_000_000
    assert np.median(late) < 0.25 * sum(service) / processes
    waited = [due - arrival for due, arrival in zip(expected, arrivals, strict=True)]
    assert max(waited) > 50_000_000  # the queue is real
    counted = [i for i, arrival in enumerate(arrivals) if 80_000_000 <= arrival < 480_000_000]
    assert sorted(found.latency_ns.tolist()) == sorted(rows[i][2] - arrivals[i] for i in counted)


def test_too_high_a_rate_is_an_overload(python: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    load = loaded(python, write_model(tmp_path / "m", SLEEP), "1", "20,400", 1.5)
    low, high = load.points[1:]
    assert (low.status, low.rate_per_s, low.utilisation is not None) == ("measured", 20.0, True)
    assert low.utilisation is not None
    assert low.utilisation.value == pytest.approx(20 * 0.0115, rel=0.4)
    assert high.status == "overloaded"
    assert high.throughput is not None
    assert 40 < high.throughput.value < 91  # what one process can serve, not what arrives
    assert (high.p50.value_ns, high.unserved > 0) == (None, True)
    assert "400/s on" in shown(load)
    assert "is overloaded: the machine cannot serve 400 requests/s, and the queue grows" in shown(load)
    assert load.answers[1].knee is None  # of one sound point
    assert time.monotonic() - began < 60


def test_a_process_that_dies_costs_its_own_point(python: Path, tmp_path: Path) -> None:
    """The level with two processes loses one in its second slice; what was measured before is kept."""
    flag = tmp_path / "first"
    body = (
        f"{SLEEP}\n"
        f"first = os.path.exists({str(flag)!r})\n"
        f"if call == 1 and not first: open({str(flag)!r}, 'w')\n"
        "if call > 60 and os.environ.get('OMP_NUM_THREADS') == '1': os.kill(os.getpid(), 11)"
    )
    heard = Heard()
    test = started(python, write_model(tmp_path / "m", body), "1,2", duration_s=2.0, heard=heard)
    test._cores = 2  # so that the levels have two threads and one
    test.run()
    one, two = test.result().points
    assert (one.status, two.status, len(one.slices)) == ("measured", "failed", 5)
    assert 0 < len(two.slices) < 5
    assert two.throughput is not None
    assert two.reason.startswith("died of SIGSEGV serving requests, at model.py, line")
    assert any(text.startswith("2 × 1 failed: died of SIGSEGV") for text in heard.messages)
    assert test.failures == [f"2 × 1: {two.reason}"]
    assert test.result().answers[0].best == "1 × 2"


def test_a_process_that_hangs_ends_in_words(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "HANG_S", 1.0)
    body = f"{SLEEP}\nif call > 40: time.sleep(600)"
    test = started(python, write_model(tmp_path / "m", body), "1")
    test.run()
    (point,) = test.result().points
    assert point.status == "failed"
    assert "while serving requests" in point.reason
    assert point.reason.startswith("hung for ")


def test_a_workload_that_cannot_start_is_an_error(python: Path, tmp_path: Path) -> None:
    test = started(python, write_model(tmp_path / "m", make="raise KeyError('weights')"), "auto")
    with pytest.raises(CaptureError, match="KeyError: 'weights'"):
        test.run()
    assert not test.has_points


def test_levels_beyond_memory_are_left_out(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "available_bytes", lambda: 60 << 20)  # a process of the stub has some 40 MB
    heard = Heard()
    test = started(python, write_model(tmp_path / "m", SLEEP), "1,8", heard=heard)
    test.run()
    load = test.result()
    one, eight = load.points
    assert (one.status, eight.status, eight.throughput) == ("measured", "left out", None)
    assert load.memory_allows is not None
    assert 1 <= load.memory_allows < 8
    assert f"memory allows {load.memory_allows} process" in eight.reason
    assert "8 × 1 is left out: memory allows" in shown(load)
    assert test.failures == [f"8 × 1: {eight.reason}"]  # it was asked for


def test_levels_share_memory_by_turns(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the processes of two levels do not fit side by side, those of one end before the other's start."""
    monkeypatch.setattr(workers, "available_bytes", lambda: 1 << 20)
    monkeypatch.setattr(session, "ROUNDS", 2)
    test = started(python, write_model(tmp_path / "m"), "1,2", duration_s=0.2)
    test._cores = 2
    test.run()
    load = test.result()
    assert [len(p.slices) for p in load.points] == [2, 2]
    assert any("memory did not suffice" in text for text in load.warnings)


def test_auto_goes_on_while_throughput_rises(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that sleeps serves more with more processes than cores; one that needs its threads does not."""
    monkeypatch.setattr(session, "AUTO_MOST", 2)

    def measured(name: str, body: str, duration_s: float, expected: list[str]) -> Load:
        """Run the test again, for twice as long, where other programs left its verdict open."""
        for longer in (1, 2, 4):
            test = started(python, write_model(tmp_path / name, body), "auto", duration_s=longer * duration_s)
            test._cores = 2
            test.run()
            if [p.name for p in test.result().points] == expected:
                break
        return test.result()

    names = ["1 × 2", "2 × 1", "4 × 1"]
    load = measured("m", "time.sleep(0.03)", 1.5, names)
    assert [p.name for p in load.points] == names
    body = "time.sleep(0.06 if os.environ.get('OMP_NUM_THREADS') == '1' else 0.02)"  # two processes: 2 / 61 ms
    load = measured("n", body, 3.0, names[:2])
    assert [p.name for p in load.points] == names[:2]
    assert load.answers[0].knee == "1 × 2"
    assert "2 × 1: throughput falls by" in shown(load)


def test_an_interrupt_keeps_what_is_complete(python: Path, tmp_path: Path) -> None:
    class Interrupting(Heard):
        def started(self, what: str, left: str) -> None:
            if what == "round 3 of 5":
                raise KeyboardInterrupt

    test = started(python, write_model(tmp_path / "m", SLEEP), "1", heard=Interrupting())
    with pytest.raises(KeyboardInterrupt):
        test.run()
    load = test.result()
    assert (len(load.points[0].slices), load.complete) == (2, False)
    assert "Interrupted: points have fewer slices" in shown(load)


def test_the_command_line(python: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, saved = write_model(tmp_path / "m", SLEEP), tmp_path / "load.json"
    words = ["load", f"{model}:make", "--python", str(python), "--concurrency", "1", "--duration", "1", "--warmup", "2"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--rate", "20", "--latency-limit", "p50=1s", "--mode", "eager", "-o", str(saved)])
    assert ended.value.code in (0, None)
    document = json.loads(saved.read_text())
    assert (document["schema"], document["workload"], len(document["points"])) == ("load/1", "model", 2)
    assert document["points"][0]["limit"] == "within"
    assert document["settings"]["warmup"] == 2
    assert "round 5 of 5" in capsys.readouterr().err


def test_ctrl_c_shows_what_is_complete_and_leaves_no_process(python: Path, tmp_path: Path) -> None:
    model, saved = write_model(tmp_path / "m", SLEEP), tmp_path / "load.json"
    words = ["load", f"{model}:make", "--python", str(python), "--concurrency", "2", "--duration", "5"]
    command = [sys.executable, "-m", "profkit.cli", *words, "-o", str(saved)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("round 3 of 5" in line for line in lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    document = json.loads(saved.read_text())
    assert document["complete"] is False
    assert len(document["points"][0]["slices"]) == 2
    deadline = time.monotonic() + 20
    while (left := processes_of(python)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


# --- computed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", Concurrency((), auto=True)),
        ("1", Concurrency((1,), auto=False)),
        ("6", Concurrency((1, 2, 4, 6), auto=False)),
        ("3, 1", Concurrency((1, 3), auto=False)),
        ("5,", None),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("many", None),
        ("4096", None),
        ("٣", None),
    ],
)
def test_concurrency(text: str, expected: Concurrency | None) -> None:
    if expected is not None:
        assert parse_concurrency(text) == expected
        return
    with pytest.raises(UsageError, match="--concurrency") as caught:
        parse_concurrency(text)
    assert "Use auto, a number such as 8" in str(caught.value)


@pytest.mark.parametrize("text", ["0", "-3", "fast", "1e9", "10;20", "inf", "nan", ""])
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="requests per second such as 25"):
        parse_rates(text)


def test_rates() -> None:
    assert parse_rates("40, 2.5").per_s == (2.5, 40.0)
    assert auto_rates(100.0) == (30.0, 50.0, 70.0, 80.0, 90.0)


@pytest.mark.parametrize(
    ("text", "quantile", "limit_ns"),
    [("p90=50ms", "p90", 50e6), ("P99 <= 0.2 s", "p99", 0.2e9), ("p50<300us", "p50", 3e5), ("p90=5µs", "p90", 5e3)],
)
def test_limits(text: str, quantile: str, limit_ns: float) -> None:
    limit = parse_limit(text)
    assert (limit.quantile, limit.limit_ns) == (quantile, limit_ns)


@pytest.mark.parametrize("text", ["50ms", "p90", "p90=50", "p95=50ms", "p90=0ms", "p90=-1ms", "p90=50min", "p90>5ms"])
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="Write QUANTILE=TIME, such as p90=50ms"):
        parse_limit(text)


def test_arrivals_are_a_poisson_process_that_a_seed_repeats() -> None:
    arrivals = poisson_arrivals(1_000.0, 20_000_000_000, "0")
    assert arrivals == poisson_arrivals(1_000.0, 20_000_000_000, "0")
    assert arrivals != poisson_arrivals(1_000.0, 20_000_000_000, "1")
    assert len(arrivals) == pytest.approx(20_000, abs=5 * math.sqrt(20_000))
    gaps = np.diff(arrivals)
    assert gaps.mean() == pytest.approx(1e6, rel=0.03)
    assert gaps.std() == pytest.approx(1e6, rel=0.05)  # exponential: as large as the mean
    assert (gaps >= 0).all()
    assert arrivals[-1] < 20_000_000_000


def test_the_queue_by_hand_is_that_of_the_books() -> None:
    """M/D/1 at utilisation 0.7: the mean wait is rho / (2 (1 - rho)) times the service (Pollaczek and Khinchine)."""
    service = 10_000_000
    arrivals = poisson_arrivals(70.0, 3_000_000_000_000, "md1")
    starts = first_come_first_served(arrivals, [service] * len(arrivals), 1)
    waits = np.array(starts) - np.array(arrivals)
    assert waits.mean() / service == pytest.approx(0.7 / (2 * 0.3), rel=0.05)


def test_cores_and_memory() -> None:
    assert usable_cores("0-3,6") <= 5
    assert level_of(3, 16, Settings()) == Level(3, 5)
    assert level_of(32, 16, Settings()) == Level(32, 1)
    assert level_of(2, 16, Settings(threads=3)) == Level(2, 3)
    assert processes_allowed(12 << 30, 1 << 30) == 11  # 1 + 12 / 1.2
    assert processes_allowed(100 << 20, 1 << 30) == 1
    assert processes_allowed(None, 1 << 30) is None


def test_the_floors_of_mlperf() -> None:
    assert (fewest_samples(0.9), fewest_samples(0.99)) == (64, 662)


def test_a_quantile_with_too_few_requests_is_not_given() -> None:
    few, more = (result([level(1, 1, 50, 20, requests=n)]).points[0] for n in (12, 13))
    assert (few.p90.value_ns, few.requests) == (None, 60)
    assert more.p90.value_ns is not None  # 65 in all, 13 in each slice
    assert more.p99.value_ns is None
    assert "p99 takes 662 requests, and 100 in every slice" in shown(result([level(1, 1, 50, 20, requests=13)]))


def test_the_best_under_a_limit_goes_by_the_interval() -> None:
    curve = [level(1, 2, 40, 25), level(2, 1, 60, 33), level(4, 1, 63, 63)]
    assert result(curve).answers[0].best == "4 × 1"
    limited = result(curve, parse_limit("p90=50ms"))
    assert [p.limit for p in limited.points] == ["within", "within", "exceeds"]
    assert (limited.answers[0].outcome, limited.answers[0].best) == ("shown", "2 × 1")
    # p90 of the second level is 38.28 ms, and its interval includes 38.3 ms
    unsure = result(curve, parse_limit("p90=38.3ms"))
    assert (unsure.answers[0].best, unsure.answers[0].undecided) == ("1 × 2", ["2 × 1"])
    assert "the data cannot tell whether p90=38.3ms holds at 2 × 1" in shown(unsure)
    none = result(curve, parse_limit("p90=1ms"))
    assert (none.answers[0].outcome, none.answers[0].best) == ("none", None)
    assert "no point is within p90=1ms" in shown(none)


def test_the_knee_is_where_the_power_is_largest() -> None:
    """Throughput / mean latency: 40 / 25 = 1.6, 60 / 33 = 1.82, 63 / 63 = 1, in requests per s and ms."""
    found = result([level(1, 2, 40, 25), level(2, 1, 60, 33), level(4, 1, 63, 63)]).answers[0]
    assert (found.knee, found.knee_not_lower) == ("2 × 1", [])
    alike = result([level(1, 2, 40, 25), level(2, 1, 56, 35, own_noise=0.05)]).answers[0]
    assert (alike.knee, alike.knee_not_lower) in (("1 × 2", ["2 × 1"]), ("2 × 1", ["1 × 2"]))  # 1.6 and 1.6
    assert result([level(1, 2, 40, 25)]).answers[0].knee is None


def test_a_concurrency_that_thrashes_is_said() -> None:
    load = example()
    fallen = next(p for p in load.points if p.name == "4 × 1")
    assert fallen.gain is not None
    assert fallen.gain.verdict == "slower"
    assert fallen.gain.speedup == pytest.approx(50 / 60, rel=0.01)
    assert "4 × 1: throughput falls by 16.7% [16.4, 17.0] compared with the next fewer processes." in shown(load)


def test_drift_that_levels_share_does_not_hide_a_gain() -> None:
    """All levels drift by 40% from round to round, together: compared pairwise the gain of 5% is shown."""
    drifting = [level(1, 1, 40, 25, own_noise=0.0), level(2, 1, 42, 48, own_noise=0.0)]
    for measured in drifting:
        measured.slices = [
            slices.Slice(s.round, s.window_ns, s.latency_ns, s.service_ns, s.picoseconds * (10 + s.round) // 10, None)
            for s in measured.slices
        ]
    gain = result(drifting).points[1].gain
    assert gain is not None
    assert (gain.verdict, round(gain.speedup or 0, 2)) == ("faster", 1.05)


def test_utilisation_decides_on_an_overload() -> None:
    stable, unsure, over = (
        result([level(1, 2, 40, 25), level(1, 2, rate, 90, rate=rate, service_ms=25)]).points[1]
        for rate in (36.0, 40.0, 44.0)
    )
    assert (stable.status, unsure.status, over.status) == ("measured", "uncertain", "overloaded")
    assert stable.utilisation is not None
    assert stable.utilisation.value == pytest.approx(0.9, rel=0.01)
    assert (stable.p90.value_ns is not None, over.p90.value_ns) == (True, None)
    assert over.reason.endswith("utilisation 110.0% [108.2, 111.9]")


def test_the_largest_number_of_requests_is_known_before(python: Path, tmp_path: Path) -> None:
    test = started(python, write_model(tmp_path / "m"), "1", "1000000", 1.0)
    with pytest.raises(UsageError, match=r"a slice of 1e\+06 requests/s is too long to be recorded"):
        test.run()
    assert test.has_points  # the closed loop


def test_the_csv() -> None:
    header, *rows = render(kind_of("load"), example(), "csv", Selection()).splitlines()
    assert header.startswith("point,arrivals,processes,threads,rate_per_s,status,requests,throughput_per_s")
    assert rows[1].startswith("2 × 1,closed,2,1,,measured,750,60")
    assert rows[3].startswith("64 × 1,closed,64,1,,left out,0,,,")
    assert rows[5].startswith("80/s on 2 × 1,poisson,2,1,80,overloaded,750,58")


def test_names_of_levels() -> None:
    assert Measured(Level(2, 1)).name == "2 × 1"
    assert Measured(Level(2, 1), 2.5).name == "2.5/s on 2 × 1"
    assert levels.powers_up_to(6) == (1, 2, 4, 6)
