"""The same trace read by others: PyTorch's own key_averages, and TensorBoard with its profiler plugin."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profkit.capture.environments.environments import Environment
from profkit.trace.operators import sum_operators
from profkit.trace.reading.reader import read
from tests.live.conftest import TORCHES, profkit_command
from tests.live.processes import IDLE_S, run_while_it_progresses, started, wait_while_it_progresses

KEY_AVERAGES = """
import json, sys, torch, torchvision
from torch.profiler import ProfilerActivity, profile
torch.manual_seed(0)
model, image = torchvision.models.resnet50(weights=None).eval(), torch.randn(1, 3, 224, 224)
with torch.no_grad():
    model(image)
    with profile(activities=[ProfilerActivity.CPU]) as prof:
        for _ in range(3):
            model(image)
prof.export_chrome_trace(sys.argv[1])
rows = {e.key: [e.count, e.self_cpu_time_total, e.cpu_time_total] for e in prof.key_averages()}
def ns(event, what):
    exact = getattr(event, what + "_ns", None)
    return exact() if exact else getattr(event, what + "_us")() * 1000
raw = [(e.name(), ns(e, "start"), ns(e, "duration")) for e in prof.profiler.kineto_results.events()]
json.dump([rows, raw], open(sys.argv[2], "w"))
"""
CALLS_ITSELF = "aten::div_"  # by a number calls div_ by a tensor: merged in key_averages, or counted twice
Span = tuple[str, int, int]
"""Name, start and end in ns, in the order of nesting."""
Row = tuple[int, float, float]
"""Calls, self and total time in µs."""


def tables(spans: list[Span], *, like_pytorch: bool) -> dict[str, Row]:
    """A plain model of both rule books, on the spans of one thread.

    PyTorch's: the parent is the innermost span that contains the child whole, an only child of its parent's name
    is merged into it, and total counts nested calls twice. Ours: the parent is the innermost span open at the
    start, nothing is merged, and time under a call of the same name counts once.
    """
    parents: list[int] = []
    stack: list[int] = []
    for _, begin, end in spans:
        while stack and (begin >= spans[stack[-1]][2] or (like_pytorch and end > spans[stack[-1]][2])):
            stack.pop()
        parents.append(stack[-1] if stack else -1)
        stack.append(len(parents) - 1)
    if like_pytorch:
        children = Counter(parents)
        merged = {i for i, p in enumerate(parents) if p >= 0 and children[p] == 1 and spans[i][0] == spans[p][0]}
    else:
        merged = set()
    own = [end - begin for _, begin, end in spans]
    for i, parent in enumerate(parents):
        if parent >= 0 and i not in merged:
            while parent in merged:
                parent = parents[parent]
            own[parent] -= min(spans[i][2], spans[parent][2]) - spans[i][1]
    rows: dict[str, Row] = {}
    for i, (name, begin, end) in enumerate(spans):
        if i not in merged:
            above, parent = False, parents[i]
            while parent >= 0 and not like_pytorch and not above:
                above, parent = spans[parent][0] == name, parents[parent]
            calls, self_us, total_us = rows.get(name, (0, 0.0, 0.0))
            rows[name] = (calls + 1, self_us + own[i] / 1000, total_us + (0 if above else end - begin) / 1000)
    return rows


@pytest.mark.parametrize("version", TORCHES)
def test_key_averages(version: str, tmp_path: Path, environments: dict[str, Environment]) -> None:
    """profkit's figures equal PyTorch's key_averages where the rules agree, and where not, the rules say why.

    First the model of PyTorch's rules, fed with PyTorch's own raw events, must reproduce key_averages; then the
    model of ours, fed with the trace, must reproduce profkit. What remains between the two on one file is (1) the
    merging of an only child of the same name, and up to 2.3, where the clock has 1 µs: (2) key_averages truncates a
    duration where the trace truncates both ends, up to 1 µs a call, and (3) truncated siblings and children that
    no longer fit nest elsewhere. From 2.4 on only the merging is left.
    """
    script, trace_path, rows_path = tmp_path / "script.py", tmp_path / "trace.json", tmp_path / "rows.json"
    script.write_text(KEY_AVERAGES)
    done = run_while_it_progresses([environments[version].python, script, trace_path, rows_path], tmp_path)
    assert done.returncode == 0, done.stderr
    expected, raw = json.loads(rows_path.read_text())
    trace = read(trace_path)
    samples = sum_operators(trace)
    found = {
        key[0]: (int(c), float(s) / 1000, float(t) / 1000)
        for key, c, s, t in zip(samples.keys, samples.calls[0], samples.self_ns[0], samples.total_ns[0], strict=True)
    }
    ordered = sorted(((n, s, s + d) for n, s, d in raw), key=lambda span: (span[1], -span[2]))
    theirs = tables(ordered, like_pytorch=True)
    events = trace.operator_events
    order = np.lexsort((events.index, events.start_ns))
    ours = tables(
        [(trace.names[events.name[i]], int(events.start_ns[i]), int(events.end_ns[i])) for i in order],
        like_pytorch=False,
    )
    assert set(found) == set(expected) == set(theirs)
    for name, row in expected.items():
        assert theirs[name] == pytest.approx(tuple(row), abs=0.01), name
        assert found[name] == pytest.approx(ours[name], abs=0.01), name
        if version == TORCHES[-1]:
            assert found[name][1:] == pytest.approx(tuple(row[1:]), abs=0.01), name
            assert found[name][0] == row[0] or name == CALLS_ITSELF
        elif name != CALLS_ITSELF:
            assert abs(found[name][2] - row[2]) <= found[name][0], name  # 1 µs a call


Server = tuple[str, "subprocess.Popen[str]"]


@pytest.fixture
def tensorboard(captured: Path) -> Iterator[Server]:
    """The address of TensorBoard, started by profkit view on runs that profkit captured, and the process."""
    command = profkit_command("view", "logs", "--port", 0, "--no-browser")
    with started(command, captured, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        address = re.search(r"http://[^/\s]+", server.stdout.readline())
        assert address is not None
        yield address[0], server
        server.send_signal(signal.SIGINT)
        wait_while_it_progresses(server, lambda: server.poll() is not None)
        assert server.returncode == 0


def ask(address: str, path: str, **query: str) -> Any:
    url = f"{address}/data/plugin/pytorch_profiler/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=IDLE_S) as answer:
        return json.load(answer)


RUNS = [f"{version}/{name}" for version in sorted(TORCHES) for name in ("resnet18", "tiny")]


def test_tensorboard_shows_the_same_operators(tensorboard: Server, captured: Path) -> None:
    """The plugin's table has every operator; where its calls are fewer, its rules say why, to the call.

    It orders by (start, -end) and merges an only child of the same name, as key_averages does: it loses the inner
    aten::div_ everywhere and, on 1.13's clock of 1 µs, what a later sibling swallows, aten::empty mostly. The model of
    those rules, fed with the same trace, predicts each of its counts; profkit counts every call in the file.
    """
    address, server = tensorboard

    def loaded() -> bool:
        answer = ask(address, "runs")
        return sorted(answer["runs"]) == RUNS and not answer["loading"]

    # each question costs the server CPU time: asked without end it would seem to work for ever
    wait_while_it_progresses(server, loaded, total_s=600)
    for run in RUNS:
        (worker,) = ask(address, "workers", run=run, view="Operator")
        (span,) = ask(address, "spans", run=run, worker=worker) or [""]
        table = ask(address, "operation/table", run=run, worker=worker, span=span, group_by="Operation")
        theirs = {row["name"]: row["calls"] for row in table["data"]}
        (path,) = (captured / "logs" / run).glob("*.pt.trace.json.gz")
        trace = read(path)
        samples = sum_operators(trace)
        ours = {key[0]: int(calls) for key, calls in zip(samples.keys, samples.calls[0], strict=True)}
        events = trace.operator_events
        order = np.lexsort((-events.end_ns, events.start_ns))
        spans = [(trace.names[events.name[i]], int(events.start_ns[i]), int(events.end_ns[i])) for i in order]
        predicted = {name: row[0] for name, row in tables(spans, like_pytorch=True).items()}
        assert theirs == predicted
        fewer = {name for name in ours if theirs[name] != ours[name]}
        assert all(theirs[name] <= ours[name] for name in ours)
        if run.startswith("2.15"):  # on a clock of 1 µs any short operator may be swallowed, as predicted above
            assert fewer <= {CALLS_ITSELF}
