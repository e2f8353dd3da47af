"""What counts as a round: copies, several traces of one process, several versions, ranks of a distributed job."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from profkit.errors import InputError
from profkit.report.formats.text import render_text
from profkit.report.kinds import information, operators
from profkit.report.kinds.kind import Selection
from profkit.runs import find_runs, write_manifest
from profkit.runs.measurement import Measurement, measure
from profkit.trace.reading.reader import read
from profkit.views.diff import compare_runs
from profkit.views.information import describe_run
from profkit.views.many import compare_many
from profkit.views.operators import view_operators
from tests.builders import forward, manifest, write_run
from tests.conftest import FIXTURES, ROOT, SHARED, needs_fixtures, trace_json
from tests.unit.test_cli import run

SECOND_US = 1_000_000
EPOCH_US = 1_700_000_000 * SECOND_US
OURS = ROOT / "traces/2.0/resnet50"
CASES = SHARED / "cases"


def recording(pid: int = 1, at_us: int = 0, us: int = 1000, external_id: int | None = None, **header: Any) -> bytes:
    """A trace of three forwards that a process wrote; ``at_us`` is the time from the epoch on at which it begins."""
    records = [r for k in range(3) for r in forward(at_us + 10_000 * k, ("aten::conv2d", us + k))]
    for number, record in enumerate(records):
        record["pid"] = pid
        if external_id is not None:
            record["args"]["External id"] = external_id + number
    return trace_json(records, **header)


def write(folder: Path, **files: bytes) -> Path:
    """Write traces; ``__`` in a keyword is a dot in the name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name.replace('__', '.')}.pt.trace.json").write_bytes(content)
    return folder


def measured(folder: Path) -> Measurement:
    (found,) = find_runs(folder)
    return measure(found)


def sizes(folder: Path) -> list[int]:
    """The number of forwards of each round."""
    return [len(forwards) for forwards in measured(folder).forward_ns]


# copies


def test_copies_of_a_trace_count_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", a=recording(us=1000), b=recording(us=1100))
    (folder / "copy of a.pt.trace.json").write_bytes(recording(us=1000))
    (folder / "a.pt.trace.json.gz").write_bytes(gzip.compress(recording(us=1000)))
    found = measured(folder)
    assert [len(forwards) for forwards in found.forward_ns] == [3, 3]
    assert found.warnings == (
        "2 of 4 traces are left out because they are copies of others: a.pt.trace.json.gz, copy of a.pt.trace.json.",
    )


def test_no_interval_comes_from_copies(tmp_path: Path) -> None:
    """Five copies of one trace on each side are one round on each side."""
    for side, us in (("before", 1000), ("after", 500)):
        write(tmp_path / side, **{f"copy{k}": recording(us=us) for k in range(5)})
    found = compare_runs(tmp_path / "before", tmp_path / "after")
    assert (found.baseline.rounds, found.candidate.rounds) == (1, 1)
    (workload,) = found.workloads
    assert (workload.forward.low, workload.forward.high) == (None, None)
    assert {o.verdict for o in workload.operators} == {"inconclusive"}
    assert sum("4 of 5 traces are left out" in warning for warning in found.warnings) == 2
    overview = compare_many([tmp_path / "before", tmp_path / "after"])
    assert [entry.rounds for r in overview.runs for entry in r.entries] == [1, 1]
    assert sum("4 of 5 traces are left out" in warning for warning in overview.warnings) == 2


def test_copies_of_real_rounds(tmp_path: Path) -> None:
    """Rounds of separate processes stay rounds; only the copy goes, plain beside packed."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in OURS.glob("vm_*.pt.trace.json.gz"):
        shutil.copy(path, folder)
    first = sorted(folder.iterdir())[0]
    (folder / "again.pt.trace.json").write_bytes(gzip.decompress(first.read_bytes()))
    found = measured(folder)
    assert found.forward_ns[0].tolist() == measured(OURS).forward_ns[0].tolist()
    assert [len(forwards) for forwards in found.forward_ns] == [10] * 5
    assert found.run.traces[0].name.startswith("vm_")  # the name that says which process wrote it is kept
    assert "1 of 6 traces is left out because it is a copy of another: again.pt.trace.json." in found.warnings


def test_a_part_of_a_trace_beside_the_whole(tmp_path: Path) -> None:
    """The same process and the same first event: cut short, or written again by another program."""
    folder = write(tmp_path / "run", a=recording(7, EPOCH_US), b=recording(8, EPOCH_US))
    whole = json.loads(recording(7, EPOCH_US))
    (folder / "pretty.pt.trace.json").write_text(json.dumps(whole, indent=2))
    whole["traceEvents"] = whole["traceEvents"][:4]
    (folder / "0.pt.trace.json").write_text(json.dumps(whole))
    assert sizes(folder) == [3, 3]
    (found,) = find_runs(folder)
    view = view_operators(found)
    assert view.forwards.count == 6
    assert [row.calls for row in view.operators] == [6]
    assert view.warnings == [
        "2 of 4 traces are left out because they are parts or copies of others: 0.pt.trace.json, pretty.pt.trace.json."
    ]


def test_a_manifest_that_names_copies(tmp_path: Path) -> None:
    """The round of a copy does not count, nor does its latency."""
    write_run(tmp_path / "1.13/net", manifest("1.13", 5, 1600), ("aten::conv2d", 1000))
    write_run(tmp_path / "2.0/net", manifest("2.0", 5, 1000), ("aten::conv2d", 400))
    folder = tmp_path / "2.0/net"
    for number in (1, 3):
        shutil.copy(folder / "0.pt.trace.json", folder / f"{number}.pt.trace.json")
    found = compare_runs(tmp_path / "1.13", tmp_path / "2.0")
    assert (found.baseline.rounds, found.candidate.rounds) == (5, 3)
    assert len(found.workloads[0].candidate_samples.latency_ns) == 3
    text = "2.0 net: 2 of 5 traces are left out because they are copies of others: 1.pt.trace.json, 3.pt.trace.json."
    assert text in found.warnings
    overview = compare_many([tmp_path])
    assert [r.entries[0].rounds for r in overview.runs] == [5, 3]
    assert text in overview.warnings


def test_a_manifest_that_names_a_file_twice(tmp_path: Path) -> None:
    write_run(tmp_path / "net", manifest("2.0", 3, 1000), ("aten::conv2d", 400))
    path = tmp_path / "net/profkit.json"
    path.write_text(path.read_text().replace("2.pt.trace.json", "0.pt.trace.json"))
    assert len(measured(tmp_path / "net").forward_ns) == 2


def test_a_file_that_cannot_be_read_is_no_copy(tmp_path: Path) -> None:
    """Reading reports it, as before."""
    folder = write(tmp_path / "run", a=recording())
    packed = gzip.compress(recording(us=1100))
    for name in ("b", "c"):
        (folder / f"{name}.pt.trace.json.gz").write_bytes(packed[:30] + b"\0" * 20 + packed[50:])
    (found,) = find_runs(folder)
    assert len(found.traces) == 3
    with pytest.raises(InputError, match=r"b\.pt\.trace\.json\.gz"):
        measure(found)


def test_recordings_that_only_begin_at_the_same_time(tmp_path: Path) -> None:
    files = {f"t{k}": recording(1, EPOCH_US, 1000 + k) for k in range(3)}
    assert sizes(write(tmp_path / "run", **files)) == [3, 3, 3]


# processes


def test_the_traces_of_one_process_are_one_round(tmp_path: Path) -> None:
    """A schedule that repeats writes one file per cycle."""
    files = {
        f"vm_{pid}__{k}": recording(pid, EPOCH_US + k * SECOND_US, 1000 + pid + k, 1 + 512 * k)
        for pid in (70, 71)
        for k in range(3)
    }
    found = measured(write(tmp_path / "run", **files))
    assert [len(forwards) for forwards in found.forward_ns] == [9, 9]
    assert found.tables["name"].calls.shape == (1, 18)
    assert found.tables["name"].round_edges.tolist() == [9]
    assert found.warnings == ("6 traces are of 2 processes: the forwards of one process are one round.",)
    text = render_text(operators.document(view_operators(found.run), Selection()))
    assert "Warning: 6 traces are of 2 processes" in text


def test_a_round_has_its_forwards_in_order_of_time(tmp_path: Path) -> None:
    later, earlier = recording(7, EPOCH_US + SECOND_US, 2000), recording(7, EPOCH_US, 1000)
    (forwards,) = measured(write(tmp_path / "run", h_7__1=later, h_7__2=earlier)).forward_ns
    assert forwards[0] < forwards[-1]


@pytest.mark.parametrize(
    ("names", "pids", "starts_us", "external_ids"),
    [
        pytest.param(("h_1__1", "h_1__2"), (1, 1), (0, 10_000), (None, None), id="at the same time"),
        pytest.param(("h_1__1", "h_1__2"), (1, 1), (0, SECOND_US), (1, 1), id="both began to count"),
        pytest.param(("h_1__1", "i_1__2"), (1, 1), (0, SECOND_US), (1, 513), id="other hosts"),
        pytest.param(("h_1__1", "h_2__2"), (1, 1), (0, SECOND_US), (1, 513), id="a name that the trace contradicts"),
        pytest.param(("a", "b"), (1, 1), (0, SECOND_US), (None, None), id="names that say nothing"),
        pytest.param(("a", "b"), (7, 8), (0, SECOND_US), (1, 513), id="other processes"),
    ],
)
def test_processes_that_only_look_alike(
    tmp_path: Path,
    names: tuple[str, str],
    pids: tuple[int, int],
    starts_us: tuple[int, int],
    external_ids: tuple[int | None, int | None],
) -> None:
    """In containers every process may have the same pid, and the same host name."""
    files = {
        name: recording(pid, EPOCH_US + at, 1000 + k, external_id)
        for k, (name, pid, at, external_id) in enumerate(zip(names, pids, starts_us, external_ids, strict=True))
    }
    found = measured(write(tmp_path / "run", **files))
    assert [len(forwards) for forwards in found.forward_ns] == [3, 3]
    assert found.warnings == ()


def test_numbers_that_go_on_show_the_process_without_its_name(tmp_path: Path) -> None:
    files = {f"cycle{k}": recording(7, EPOCH_US + k * SECOND_US, 1000 + k, 1 + 512 * k) for k in range(3)}
    assert sizes(write(tmp_path / "run", **files)) == [9]


def test_rounds_with_a_manifest_are_processes(tmp_path: Path) -> None:
    described = manifest("2.0", 2, 1000)
    write_run(tmp_path / "net", described, ("aten::conv2d", 400))
    files = {f"{k}": recording(7, EPOCH_US + k * SECOND_US, 1000 + k, 1 + 512 * k) for k in range(2)}
    write_manifest(write(tmp_path / "net", **files), described)
    assert sizes(tmp_path / "net") == [3, 3]


# configurations


def ours(**metadata: object) -> dict[str, Any]:
    return {"profkit": {"torch": "2.0.1+cpu", "mode": "eager", "fpmath": "fp32", "threads": 2, **metadata}}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"torch": "1.13.1+cpu"}, r"PyTorch 1\.13\.1\+cpu \(b\.pt\.trace\.json\), 2\.0\.1\+cpu \(a\.pt\.trace\.json\)"),
        ({"mode": "frozen"}, r"mode eager \(a\.pt\.trace\.json\), frozen \(b\.pt\.trace\.json\)"),
        ({"fpmath": "bf16"}, "fpmath bf16 .*, fp32"),
    ],
)
def test_several_configurations_are_not_one_run(tmp_path: Path, other: dict[str, object], said: str) -> None:
    folder = write(tmp_path / "mixed", a=recording(**ours()), b=recording(us=1100, **ours(**other)))
    (found,) = find_runs(folder)
    for command in (lambda: measure(found), lambda: view_operators(found), lambda: compare_many([folder, OURS])):
        with pytest.raises(InputError, match=said) as error:
            command()
        assert "Put them into separate folders, or name one file" in error.value.hint
    assert run("diff", folder, OURS) == 3
    assert "not one run" in describe_run(found).warnings[0]


def test_an_error_about_many_versions_is_short(tmp_path: Path) -> None:
    files = {f"t{k}": recording(us=1000 + k, **ours(torch=f"2.0.{k}" + "x" * 5000)) for k in range(40)}
    with pytest.raises(InputError) as error:
        measured(write(tmp_path / "mixed", **files))
    assert len(str(error.value)) < 2000
    assert "and 36 more" in str(error.value)


def test_formats_of_several_versions_are_warned_of(tmp_path: Path) -> None:
    """The format tells a range of versions only, and not with certainty: so it is no error."""
    for name in ("1.13", "2.0", "2.1-to-2.3"):
        shutil.copy(ROOT / f"tests/data/dialects/{name}.json", tmp_path)
    found = measured(tmp_path)
    assert len(found.forward_ns) == 3
    assert found.warnings == (
        "the traces are in formats of different PyTorch versions (1.13; 2.0 to 2.3; 2.1 to 2.3), so they may not be "
        "of one run. Put them into separate folders if they are not.",
    )
    (tmp_path / "1.13.json").unlink()
    assert measured(tmp_path).warnings == ()  # 2.1 to 2.3 is in both ranges


# ranks


def ranked(rank: int, of: int = 2, **more: Any) -> dict[str, Any]:
    return {"distributedInfo": {"backend": "gloo", "rank": rank, "world_size": of, **more}}


def test_ranks_are_not_rounds(tmp_path: Path) -> None:
    for side, us in (("before", 1000), ("after", 500)):
        files = {f"vm_{50 + k}__{k}": recording(50 + k, EPOCH_US, us + 10 * k, **ranked(k, 4)) for k in range(3)}
        write(tmp_path / side, **files)
    found = compare_runs(tmp_path / "before", tmp_path / "after")
    (workload,) = found.workloads
    assert (found.baseline.rounds, found.baseline.forwards) == (1, 9)
    assert (workload.forward.low, workload.forward.high, workload.forward.verdict) == (None, None, "inconclusive")
    text = (
        "3 of 4 ranks of a distributed job found (0, 1, 2): their forwards are pooled as one round, because ranks are "
        "not repetitions of a measurement. Name one trace file to see one rank."
    )
    assert sum(warning.endswith(text) for warning in found.warnings) == 2
    overview = compare_many([tmp_path / "before", tmp_path / "after"])
    assert [entry.rounds for r in overview.runs for entry in r.entries] == [1, 1]
    assert sum(warning.endswith(text) for warning in overview.warnings) == 2
    (before,) = find_runs(tmp_path / "before")
    assert text in view_operators(before).warnings
    described = describe_run(before)
    assert text in described.warnings
    assert f"Warning: {text}"[:60] in render_text(information.document(described, Selection()))


def test_rounds_of_one_rank_are_rounds(tmp_path: Path) -> None:
    files = {f"vm_{50 + k}__{k}": recording(50 + k, EPOCH_US + k * SECOND_US, **ranked(1)) for k in range(2)}
    found = measured(write(tmp_path / "run", **files))
    assert (len(found.forward_ns), found.warnings) == (2, ())


@pytest.mark.parametrize("odd", [None, [], "0", {"rank": "0"}, {"rank": True}, {"rank": -1}, {"rank": 10**30}, {}])
def test_distributed_information_of_another_kind(tmp_path: Path, odd: object) -> None:
    path = write(tmp_path / "run", a=recording(distributedInfo=odd)) / "a.pt.trace.json"
    trace = read(path)
    assert (trace.rank, len(trace.events)) == (None, 6)


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the cases beside this repository")
def test_two_ranks_of_two_nodes() -> None:
    (found,) = find_runs(CASES / "ranks")
    assert [len(forwards) for forwards in measure(found).forward_ns] == [6]
    assert view_operators(found).warnings[0].startswith("2 of 2 ranks")


@needs_fixtures
def test_what_real_files_say_of_their_process() -> None:
    trace = read(FIXTURES / "hta/ns_resolution_rank-0.pt.trace.json.gz")
    assert (trace.rank, trace.world_size, trace.first_external_id) == (0, 1, 2049)
    assert trace.host == "twshared39868.02.pnb3.facebook.com"
    assert read(FIXTURES / "hta/inference_rank_1.json.gz").rank == 1
    # the main thread's block began before the others', and stands behind them in the file
    assert read(FIXTURES / "hta/cpu_only_rank-34.pt.trace.json.gz").first_external_id == 1


def test_an_export_says_what_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    folder = write(tmp_path / "run", a=recording(), b=recording())
    assert run("export", folder, "--parquet", tmp_path / "tables") == 0
    assert "Warning: 1 of 2 traces is left out because it is a copy of another" in capsys.readouterr().err
