"""The same trace read by others: PyTorch's own key_averages, and TensorBoard with its profiler plugin."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profkit.capture.environments import Environment
from profkit.trace import nest, read, sum_operators
from tests.live.conftest import TINY, TORCHES, Profkit, profkit_command

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
json.dump(rows, open(sys.argv[2], "w"))
"""


@pytest.mark.parametrize("version", TORCHES)
def test_key_averages(version: str, tmp_path: Path, environments: dict[str, Environment]) -> None:
    """Calls, self and total time equal PyTorch's own, but for what truncated siblings swallow there.

    key_averages orders by (start, -end): of two siblings that a clock of 1 µs gives the same start, the shorter,
    earlier one becomes a child of the longer, later one. With the event index none does, so that on such a trace
    the self time of a leaf may be larger here, by the time of what was swallowed. From 2.4 on nothing differs.
    """
    script, trace_path, rows_path = tmp_path / "script.py", tmp_path / "trace.json", tmp_path / "rows.json"
    script.write_text(KEY_AVERAGES)
    command = [environments[version].python, script, trace_path, rows_path]
    subprocess.run(command, check=True, capture_output=True)
    expected = json.loads(rows_path.read_text())
    trace = read(trace_path)
    samples = sum_operators(trace)
    found = {
        key[0]: (int(c), float(s) / 1000, float(t) / 1000)
        for key, c, s, t in zip(samples.keys, samples.calls[0], samples.self_ns[0], samples.total_ns[0], strict=True)
    }
    assert set(found) == set(expected)
    swallowed_us = _swallowed_us(trace)
    for name, (calls, self_us, total_us) in expected.items():
        assert found[name][0] == calls
        assert found[name][1] == pytest.approx(self_us, abs=swallowed_us[name] + 0.01), name
        assert found[name][2] == pytest.approx(total_us, abs=0.01), name
    if version == TORCHES[-1]:
        assert sum(swallowed_us.values()) == 0


def _swallowed_us(trace: Any) -> Counter[str]:
    """Time in µs by which ordering (start, -end) takes a span out of a later one's self time, by operator name."""
    events = trace.operators
    parent = nest(events).parent
    order = np.lexsort((-events.duration_ns, events.start_ns, events.track))
    found: Counter[str] = Counter()
    stack: list[int] = []
    for i in order.tolist():
        while stack and (
            events.track[stack[-1]] != events.track[i]
            or events.start_ns[i] >= events.end_ns[stack[-1]]
            or events.end_ns[i] > events.end_ns[stack[-1]]
        ):
            stack.pop()
        theirs = stack[-1] if stack else -1
        if theirs != parent[i]:
            for loser in (theirs, int(parent[i])):
                if loser >= 0:
                    found[trace.names[events.name[loser]]] += int(events.duration_ns[i]) / 1000
        stack.append(i)
    return found


@pytest.fixture
def tensorboard(profkit: Profkit, tmp_path: Path, environments: dict[str, Environment]) -> Iterator[str]:
    """The address of TensorBoard, started by profkit view on runs that profkit captured."""
    words = ("capture", f"{TINY}:make", "resnet18", "--torch", "1.13", "--torch", "2.15", "--with-stack")
    profkit(*words, "--rounds", 1, "--steps", 3, "--warmup", 2)
    command = profkit_command("view", "logs", "--port", 0)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = re.search(r"http://[^/\s]+", server.stdout.readline())
        assert address is not None
        yield address[0]
        server.send_signal(2)  # Ctrl-C
        assert server.wait(30) in (0, 130)


def ask(address: str, path: str, **query: str) -> Any:
    url = f"{address}/data/plugin/pytorch_profiler/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


RUNS = ["1.13/resnet18", "1.13/tiny", "2.15/resnet18", "2.15/tiny"]


def test_tensorboard_shows_the_same_operators(tensorboard: str, tmp_path: Path) -> None:
    """Names and calls of every operator in the plugin's table; it lacks only what it swallowed or what runs outside.

    The plugin pools the steps, and orders by (start, -end) as key_averages does; what it nests in a span that the
    index shows to be a later sibling's, it does not lose by name but may count under another parent, and a child
    crossing its parent's end it drops. On the traces of 2.15, in ns, the counts are equal.
    """
    deadline = time.monotonic() + 120
    while sorted(ask(tensorboard, "runs")["runs"]) != RUNS or ask(tensorboard, "runs")["loading"]:
        assert time.monotonic() < deadline, "TensorBoard has not loaded the runs"
        time.sleep(1)
    for run in RUNS:
        (worker,) = ask(tensorboard, "workers", run=run, view="Operator")
        (span,) = ask(tensorboard, "spans", run=run, worker=worker) or [""]
        table = ask(tensorboard, "operation/table", run=run, worker=worker, span=span, group_by="Operation")
        theirs = {row["name"]: row["calls"] for row in table["data"]}
        (path,) = (tmp_path / "logs" / run).glob("*.pt.trace.json.gz")
        samples = sum_operators(read(path))
        ours = {key[0]: int(calls) for key, calls in zip(samples.keys, samples.calls[0], strict=True)}
        missing = {name: ours[name] - theirs.get(name, 0) for name in ours if ours[name] != theirs.get(name, 0)}
        assert not set(theirs) - set(ours)
        print(f"{run}: {len(ours)} operators, {sum(ours.values())} calls; missing there: {missing}", file=sys.stderr)
        if run.startswith("2.15"):
            assert missing == {}
