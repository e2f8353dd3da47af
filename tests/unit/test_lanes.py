"""Two lanes: one clock, both forwards from its start, links that hold, primitives within their operators."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profkit.runs import find_runs
from profkit.runs.measurement import measure
from profkit.trace.reading.reader import read
from profkit.views.lanes import lanes
from tests.conftest import ROOT
from tests.unit.test_cli import run

TRACES = ROOT / "traces"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("lanes") / "both.json.gz"
    assert run("lanes", TRACES / "1.13", TRACES / "2.15-frozen", "--output", target) == 0
    loaded: dict[str, Any] = json.loads(gzip.decompress(target.read_bytes()))
    return loaded


def spans(document: dict[str, Any], pid: int, category: str) -> list[dict[str, Any]]:
    return [e for e in document["traceEvents"] if e["pid"] == pid and e.get("cat") == category and e["ph"] == "X"]


def test_both_are_whole_median_forwards_from_zero(document: dict[str, Any]) -> None:
    for pid, label in ((1, "1.13"), (2, "2.15-frozen")):
        (found,) = find_runs(TRACES / label)
        walls = sorted(np.concatenate(measure(found).forward_ns).tolist())
        (forward,) = spans(document, pid, "user_annotation")
        assert forward["ts"] == 0
        assert round(forward["dur"] * 1000) == walls[(len(walls) - 1) // 2]
        everything = [e for e in document["traceEvents"] if e["pid"] == pid and e["ph"] == "X"]
        assert all(e["dur"] >= 0 and e["ts"] >= 0 for e in everything)
        assert max(e["ts"] + e["dur"] for e in everything) <= forward["dur"] + 0.001
    assert len(spans(document, 1, "cpu_op")) == 1040


def test_links_join_the_same_operator(document: dict[str, Any]) -> None:
    ends = [e for e in document["traceEvents"] if e["ph"] in "sf"]
    assert Counter(e["ph"] for e in ends)["s"] == Counter(e["ph"] for e in ends)["f"] > 60
    names = {pid: {(e["tid"], e["ts"]): e["name"] for e in reversed(spans(document, pid, "cpu_op"))} for pid in (1, 2)}
    links: dict[int, list[str]] = {}
    for end in ends:
        assert end["pid"] == (1 if end["ph"] == "s" else 2)
        links.setdefault(end["id"], []).append(names[end["pid"]][end["tid"], end["ts"]])
    assert all(len(pair) == 2 for pair in links.values())
    assert sum(a == b for a, b in links.values()) > 60


def test_primitives_lie_in_operators(document: dict[str, Any]) -> None:
    for pid in (1, 2):
        primitives = spans(document, pid, "onednn")
        assert sum("convolution" in e["name"] for e in primitives) == 53
        operators = spans(document, pid, "cpu_op")
        starts = np.array([e["ts"] for e in operators])
        ends = starts + np.array([e["dur"] for e in operators])
        for e in primitives:
            assert ((starts <= e["ts"]) & (e["ts"] + e["dur"] <= ends + 0.0011)).any()


def test_what_is_placed_nests(document: dict[str, Any]) -> None:
    """Viewers need the spans of a thread to lie within each other: a primitive crosses nothing."""
    for pid in (1, 2):
        everything = [e for e in document["traceEvents"] if e["pid"] == pid and e["ph"] == "X"]
        ns = [(round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000), e["cat"]) for e in everything]
        ns.sort(key=lambda span: (span[0], -span[1]))
        above: list[tuple[int, int, str]] = []
        for span in ns:
            while above and above[-1][1] <= span[0]:
                above.pop()
            if above and span[1] > above[-1][1]:
                assert "onednn" not in (span[2], above[-1][2])
            above.append(span)


def test_it_reads_as_a_trace(tmp_path: Path) -> None:
    target = tmp_path / "both.json"
    assert run("lanes", TRACES / "2.0", TRACES / "2.0", "--output", target, "--quiet") == 0
    trace = read(target)
    assert trace.repairs == {}
    assert len(trace.operator_events) == 2 * 1039


def test_without_primitives_there_are_none(tmp_path: Path) -> None:
    (found,) = find_runs(sorted((TRACES / "2.0/resnet50").glob("*.pt.trace.json.gz"))[0])
    both = lanes(found, found)
    assert not [e for e in both["traceEvents"] if e.get("cat") == "onednn"]
