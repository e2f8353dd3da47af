"""The same trace read by PyTorch's own key_averages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from profkit.capture.environments.environments import Environment
from profkit.trace.operators import sum_operators
from profkit.trace.reading.reader import read
from tests.live.conftest import TORCHES
from tests.live.nesting_rules import CALLS_ITSELF, tables
from tests.live.processes import run_while_it_progresses

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
