"""What it takes to align many forwards: a capture's forwards, repeated, on both sides.

python -m tests.benchmarks.align [FORWARDS]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from profkit.comparison.calls.align import align
from profkit.runs import find_runs
from profkit.trace.calls import CallTree, call_trees, merge
from profkit.trace.events import Events, Trace
from profkit.trace.forward import find_forwards
from profkit.trace.options import Detail
from profkit.trace.reading.reader import read

TRACES = Path(__file__).resolve().parents[2] / "traces"


def repeated(trace: Trace, times: int) -> Trace:
    """Return ``trace`` with its events so many times one after another."""
    from dataclasses import fields, replace

    events = trace.events
    span = int(events.end_ns.max() - events.start_ns.min()) + 1_000_000
    columns = {f.name: np.tile(getattr(events, f.name), times) for f in fields(Events)}
    columns["start_ns"] = columns["start_ns"] + np.repeat(np.arange(times) * span, len(events))
    columns["index"] = columns["index"] + np.repeat(np.arange(times) * (int(events.index.max()) + 1), len(events))
    return replace(trace, events=Events(**columns))


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print("| ResNet-50 eager, 1.13 and 2.0 | events a side | seconds |\n| :--- | ---: | ---: |")
    for count in (wanted // 8, wanted // 2, wanted):
        sides = []
        for label in ("1.13", "2.0"):
            (run,) = find_runs(TRACES / label)
            trace = read(run.traces[0], detail=Detail.SHAPES)
            sides.append(repeated(trace, -(-count // len(find_forwards(trace)))))
        begin = time.perf_counter()
        trees: list[CallTree] = [merge(call_trees(trace, find_forwards(trace))) for trace in sides]
        align(*trees)
        seconds = time.perf_counter() - begin
        print(f"| {len(trees[0].total_ns)} forwards a side | {len(sides[0].operator_events):,} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
