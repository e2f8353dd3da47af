"""Each dialect is read to the nanosecond; what cannot be read is refused in words."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from profkit.errors import InputError
from profkit.trace.options import ReadOptions
from profkit.trace.reading.reader import parse, read
from tests.conftest import FIXTURES, event, needs_fixtures, trace_json

TORCH_1_13 = b"""{
  "schemaVersion": 1,
  "deviceProperties": [
  ],
  "profkit": {"torch": "1.13.1+cu117"},
  "traceEvents": [
  {
    "ph": "X", "cat": "cpu_op", "name": "aten::relu", "pid": 7, "tid": 7,
    "ts": 1795365187315384, "dur": 35,
    "args": {
      "Trace name": "PyTorch Profiler", "Trace iteration": 0,
      "External id": 1,
      "Profiler Event Index": 4, "Input Dims": [[1, 64, 56, 56]], "Input type": ["float"]
    }
  },
  {
    "name": "process_name", "ph": "M", "ts": 1795365187315239, "pid": 7, "tid": 0,
    "args": {
      "name": "python"
    }
  },
  {
    "ph": "X", "cat": "Trace", "ts": 1795365187315009, "dur": 74135,
    "pid": "Spans", "tid": "PyTorch Profiler",
    "name": "PyTorch Profiler (0)",
    "args": {
      "Op count": 0
    }
  },
  {
    "name": "Record Window End", "ph": "i", "s": "g",
    "pid": "", "tid": "", "ts": 1795365187391418
  }
], "traceName": "./vm_7.1795365187444.pt.trace.json"}"""

TORCH_2_15 = b"""{
  "schemaVersion": 1, "deviceProperties": [], "record_shapes": 1, "host_name": "vm",
  "profkit": {"torch": "2.15.0+cpu"},
  "displayTimeUnit": "ms",
  "baseTimeNanoseconds": 1790857026000000000,
  "traceEvents": [
  { "ph": "M", "name": "process_name", "ts": 4508179802765.537, "pid": 7, "tid": 0, "args": { "name": "python" } },
  { "ph": "X", "cat": "cpu_op", "name": "aten::relu", "pid": 7, "tid": 7,
    "ts": 4508179803097.042, "dur": 971.498,
    "args": { "External id": 3, "Record function id": 0, "Concrete Inputs": [""], "Input type": ["float"],
              "Input Strides": [[1]], "Input Dims": [[1, 64, 56, 56]], "Ev Idx": 2 } }
]}"""


def test_torch_1_13_whole_microseconds() -> None:
    trace = parse(TORCH_1_13, "t")
    assert trace.names == ("aten::relu", "PyTorch Profiler (0)")
    assert trace.tracks == ((7, 7), ("Spans", "PyTorch Profiler"))
    assert trace.shapes == ("[[1, 64, 56, 56]]",)
    assert trace.events.shape.tolist() == [0, -1]
    assert trace.events.index.tolist() == [4, -1]
    assert trace.events.start_ns.tolist() == [1795365187315384000, 1795365187315009000]
    assert trace.events.duration_ns.tolist() == [35000, 74135000]
    assert trace.resolution_ns == 1000
    assert trace.other_events == {"M": 1, "i": 1}
    assert trace.torch_version == "1.13.1+cu117"


def test_torch_2_15_relative_nanoseconds() -> None:
    trace = parse(TORCH_2_15, "t")
    assert trace.events.start_ns.tolist() == [4508179803097042]
    assert trace.events.duration_ns.tolist() == [971498]
    assert trace.events.index.tolist() == [2]
    assert trace.base_ns == 1790857026000000000
    assert trace.resolution_ns == 1


@pytest.mark.parametrize("ts", ["1708000000123456.789", "8796093022208.001", "8796093022207.999", "0.001"])
def test_fractional_microseconds_are_exact_at_any_size(ts: str) -> None:
    data = b'{"traceEvents": [{"ph": "X", "name": "a", "cat": "cpu_op", "ts": %s, "dur": 0.002}]}' % ts.encode()
    trace = parse(data, "t")
    assert trace.events.start_ns.tolist() == [int(ts.replace(".", ""))]
    assert trace.events.duration_ns.tolist() == [2]


def test_a_float_without_decimals_beside_large_ones_stays_exact() -> None:
    # what the exporter of early 2024 wrote: absolute times, three decimals
    starts = [1708000000000000.001, 1708000000000000.25]
    trace = parse(trace_json(event("a", ts, 1.5, i) for i, ts in enumerate(starts)), "t")
    assert trace.events.duration_ns.tolist() == [1500, 1500]


def test_gzip_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "packed.json").write_bytes(gzip.compress(TORCH_1_13))
    (tmp_path / "plain.json.gz").write_bytes(TORCH_1_13)
    assert len(read(tmp_path / "packed.json").events) == len(read(tmp_path / "plain.json.gz").events) == 2


def test_no_event_at_all() -> None:
    trace = parse(b'{"traceEvents": []}', "t")
    assert len(trace.events) == 0
    assert len(trace.operator_events) == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b'{"nodes": [], "schema": "1.0.1"}', "is an execution trace, not a trace; it has no traceEvents"),
        (b'{"lr": 0.1}', "not a PyTorch trace: it has no traceEvents"),
        (b"[1, 2]", "is not a PyTorch trace"),
        (b"not json", "is not valid JSON"),
    ],
)
def test_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_small_gzip_with_much_behind_it_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b"0" * (8 << 20)))
    with pytest.raises(InputError, match="would take more than 6 MiB"):
        read(path, options=ReadOptions(memory_limit=6 << 20))


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "absent.json")


@needs_fixtures
@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*.json.gz")), ids=lambda p: p.name)
def test_other_peoples_traces(path: Path) -> None:
    """Every record of the file is in the trace: as a row, or in the count of what is no span."""
    if "not_a_chrome_trace" in path.name:
        with pytest.raises(InputError, match="no traceEvents"):
            read(path)
        return
    records = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    trace = read(path)
    assert len(trace.events) + sum(trace.other_events.values()) == len(records)
    spans = [r for r in records if r["ph"] == "X"]
    assert [trace.names[i] for i in trace.events.name] == [r["name"] for r in spans]
    assert [trace.tracks[i] for i in trace.events.track] == [(r["pid"], r["tid"]) for r in spans]
