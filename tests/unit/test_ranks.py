"""Ranks of a distributed job and processes of one file: told apart, side by side, never taken for rounds."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from profkit.report.formats.text import render_text
from profkit.report.kinds import information, operators
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import FORMATS, render
from profkit.report.saved import schema
from profkit.runs import find_runs
from profkit.runs.measurement import measure
from profkit.views.diff import compare_runs
from profkit.views.information import describe_run
from profkit.views.operators import OperatorsView, view_operators
from tests.builders import forward
from tests.conftest import ROOT, event, trace_json
from tests.unit.test_evidence import EPOCH_US, SECOND_US, ranked, write

RANKS = ROOT / "tests/data/ranks"


def job(pid: int, at_us: int, *operators: tuple[str, int], **header: Any) -> bytes:
    """Three forwards of one process."""
    records = [r for k in range(3) for r in forward(at_us + 10_000 * k, *operators)]
    return trace_json([record | {"pid": pid} for record in records], **header)


def three_ranks(folder: Path) -> Path:
    """Rank 2 is slow in aten::mm; in aten::copy_ it is faster than the others, which wait there."""
    times = {0: (100, 900), 1: (110, 880), 2: (1500, 20)}
    files = {
        f"h_{50 + k}__1": job(50 + k, EPOCH_US, ("aten::mm", mm), ("aten::copy_", copy), **ranked(k, 3))
        for k, (mm, copy) in times.items()
    }
    return write(folder, **files)


def view(path: Path, *, per_forward: bool = False) -> OperatorsView:
    (found,) = find_runs(path)
    return view_operators(found, per_forward=per_forward)


@pytest.mark.parametrize("per_forward", [False, True])
def test_the_slowest_rank_and_the_operator_that_makes_it_slow(tmp_path: Path, per_forward: bool) -> None:
    found = view(three_ranks(tmp_path / "run"), per_forward=per_forward).ranks
    assert [(r.rank, r.process, r.forwards, r.forward_ns) for r in found] == [
        (0, "50", 3, 1_003_000),
        (1, "51", 3, 993_000),
        (2, "52", 3, 1_523_000),
    ]
    assert [(r.is_slowest, r.operator, r.extra_ns) for r in found] == [
        (False, None, None),
        (False, None, None),
        (True, "aten::mm", 1_390_000),
    ]
    (described,) = find_runs(tmp_path / "run")
    assert describe_run(described).ranks == found


def test_ranks_in_every_format(tmp_path: Path) -> None:
    folder = three_ranks(tmp_path / "run")
    note = "Rank 2 is the slowest: aten::mm takes 1.39 ms more self host time per forward than the median of the ranks."
    (found,) = find_runs(folder)
    for kind, value in ((operators.KIND, view(folder)), (information.KIND, describe_run(found))):
        texts = {form: render(kind, value, form, Selection()) for form in FORMATS}
        for form in ("text", "html"):
            assert note in texts[form]
        assert note.replace("_", "\\_") in texts["markdown"]
        document = json.loads(texts["json"])
        jsonschema.validate(document, schema(kind.name))
        assert [r["rank"] for r in document["ranks"]] == [0, 1, 2]
        assert list(csv.reader(io.StringIO(texts["csv"])))
    text = render_text(operators.document(view(folder), Selection()))
    assert "9 forwards of 3 ranks by rule annotation" in text
    assert "Operators, sums over everything captured, all 3 ranks together" in text
    assert "   2  h_52.1.pt.trace.json         3         1.52 ms  slowest" in text


def test_the_two_nodes_of_a_real_layout() -> None:
    found = view(RANKS)
    assert [(r.rank, r.forwards, r.forward_ns) for r in found.ranks] == [(0, 3, 900_000), (1, 3, 2_700_000)]
    assert (found.ranks[1].operator, found.ranks[1].extra_ns) == ("aten::linear", 500_000)


def test_equal_ranks_have_no_slowest(tmp_path: Path) -> None:
    files = {f"h_{k}__1": job(k, EPOCH_US + k, ("aten::mm", 100), **ranked(k)) for k in range(2)}
    found = view(write(tmp_path / "run", **files)).ranks
    assert [r.is_slowest for r in found] == [False, False]


def test_a_slow_rank_whose_operators_are_not(tmp_path: Path) -> None:
    """Its time is outside operators."""
    slow = json.loads(job(1, EPOCH_US, ("aten::mm", 100), **ranked(1)))
    for record in slow["traceEvents"]:
        if record["name"] == "profkit.forward":
            record["dur"] = 5_000
    folder = write(
        tmp_path / "run", h_0__1=job(0, EPOCH_US, ("aten::mm", 100), **ranked(0)), h_1__1=json.dumps(slow).encode()
    )
    text = render_text(operators.document(view(folder), Selection()))
    assert "Rank 1 is the slowest, but no operator of it takes more than the median of the ranks." in text


def test_one_rank_alone_has_no_table(tmp_path: Path) -> None:
    assert view(write(tmp_path / "run", a=job(1, EPOCH_US, ("aten::mm", 100), **ranked(1)))).ranks == []
    assert view(ROOT / "traces/2.0/resnet50").ranks == []  # five rounds, without ranks


# jobs


def jobs(folder: Path, us: int, *, count: int = 3) -> Path:
    files = {
        f"h_{100 * n + rank}__{n}": job(100 * n + rank, EPOCH_US + n * SECOND_US, ("aten::mm", us + n), **ranked(rank))
        for n in range(1, count + 1)
        for rank in range(2)
    }
    return write(folder, **files)


def test_a_diff_has_one_round_per_job(tmp_path: Path) -> None:
    """Three jobs of two ranks on each side: three rounds, so there is an interval."""
    found = compare_runs(jobs(tmp_path / "before", 1000), jobs(tmp_path / "after", 500))
    assert (found.baseline.rounds, found.candidate.rounds) == (3, 3)
    (workload,) = found.workloads
    assert workload.forward.low is not None
    text = (
        "2 of 2 ranks of 3 distributed jobs found (0, 1): the forwards of all ranks of a job are pooled as one round, "
        "because ranks are not repetitions of a measurement. Name one trace file to see one rank."
    )
    assert sum(warning.endswith(text) for warning in found.warnings) == 2
    assert [r.forwards for r in view(tmp_path / "before").ranks] == [9, 9]


def test_cycles_of_a_job_are_one_round(tmp_path: Path) -> None:
    """A schedule that repeats writes several files per rank, in the same processes."""
    files = {
        f"cycle{n} rank{rank}": job(70 + rank, EPOCH_US + n * SECOND_US, ("aten::mm", 100 + n), **ranked(rank))
        for n in range(3)
        for rank in range(2)
    }
    folder = write(tmp_path / "run", **files)
    (found,) = find_runs(folder)
    assert [len(forwards) for forwards in measure(found).forward_ns] == [18]
    assert [(r.rank, r.process, r.forwards, len(r.files)) for r in view(folder).ranks] == [
        (0, "70", 9, 3),
        (1, "71", 9, 3),
    ]


def test_a_job_that_lacks_a_rank_is_not_guessed_at(tmp_path: Path) -> None:
    folder = jobs(tmp_path / "run", 1000)
    next(folder.glob("h_301.*")).unlink()
    (found,) = find_runs(folder)
    assert [len(forwards) for forwards in measure(found).forward_ns] == [15]


# processes of one file


def processes(us: dict[int, int], **header: Any) -> bytes:
    records: list[dict[str, Any]] = []
    for pid, mm in us.items():
        records += json.loads(job(pid, EPOCH_US, ("aten::mm", mm), ("aten::relu", 10)))["traceEvents"]
    return trace_json(records, **header)


def test_processes_of_one_file_side_by_side(tmp_path: Path) -> None:
    path = write(tmp_path / "run", merged=processes({71: 100, 72: 110, 73: 800})) / "merged.pt.trace.json"
    found = view(path)
    assert [(r.rank, r.process, r.forwards, r.forward_ns) for r in found.ranks] == [
        (None, "71", 3, 113_000),
        (None, "72", 3, 123_000),
        (None, "73", 3, 813_000),
    ]
    assert (found.ranks[2].operator, found.ranks[2].extra_ns) == ("aten::mm", 690_000)
    (warning,) = found.warnings
    assert warning.startswith(
        "merged.pt.trace.json holds 3 processes (71, 72, 73): their forwards are pooled as one round"
    )
    text = render_text(operators.document(found, Selection()))
    assert "Processes side by side" in text
    assert "Process 73 is the slowest: aten::mm takes 690 µs more" in text
    assert [len(forwards) for forwards in measure(find_runs(path)[0]).forward_ns] == [9]


def test_processes_of_a_rank(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "run", a=processes({1: 100, 2: 200}, **ranked(0)), b=job(3, EPOCH_US, ("aten::mm", 50), **ranked(1))
    )
    found = view(folder)
    assert [(r.rank, r.process) for r in found.ranks] == [(0, "1"), (0, "2"), (1, "3")]
    assert "rank  process  trace" in render_text(operators.document(found, Selection()))


def test_threads_of_one_process_are_no_processes(write_trace: Callable[..., Path]) -> None:
    records = [record | {"tid": 5 + k} for k in range(2) for record in forward(1000 * k, ("aten::mm", 10))]
    assert view(write_trace(records)).ranks == []


def test_hostile_names_are_shown_short(tmp_path: Path) -> None:
    name = "x" * 1_000_000
    files = {f"h_{k}__1": job(k, EPOCH_US + k, (name, 100 + 900 * k), **ranked(k)) for k in range(2)}
    found = view(write(tmp_path / "run", **files))
    text = render_text(operators.document(found, Selection()))
    assert found.ranks[1].operator == name
    assert "Rank 1 is the slowest: xxxx" in text
    assert len(text) < 100_000


def test_of_many_ranks_the_slowest_are_listed(tmp_path: Path) -> None:
    times = {rank: 100 + rank * 37 % 100 for rank in range(100)}
    records: dict[str, bytes] = {
        f"h_{rank}__1": job(rank, EPOCH_US + rank, ("aten::mm", us), **ranked(rank, 100)) for rank, us in times.items()
    }
    found = view(write(tmp_path / "run", **records))
    assert len(found.ranks) == 100
    text = render_text(operators.document(found, Selection()))
    assert text.count(".pt.trace.json") == 32
    assert "These are the 32 slowest of 100 ranks; --format json has them all." in text
    assert [r.rank for r in found.ranks if r.is_slowest] == [27]
    assert ["27", "h_27.1.pt.trace.json", "3", "201", "µs", "slowest"] in [line.split() for line in text.splitlines()]


def test_a_file_of_many_processes_takes_no_time(write_trace: Callable[..., Path]) -> None:
    """The work does not grow with the square of the number of processes."""
    records = [event(f"aten::op{k % 500}", 10 * (k % 7), 5, pid=k) for k in range(5_000)]
    path = write_trace(records)
    begin = time.monotonic()
    found = view(path)
    assert time.monotonic() - begin < 5
    assert (len(found.ranks), found.forwards.count) == (5_000, 5_000)
