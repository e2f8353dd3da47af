"""How much narrower do turns make the interval of a ratio? Captures by turns against one after the other.

Run ``python -m tests.benchmarks.turns --to RESULTS.jsonl [--seconds 90]``; PyTorch 1.13, 2.0 and 2.15 are installed if
they are not there. Each case (two versions and a mode) is captured for the same time by each method: ``turns``; one
fresh process after the other (``sequential``, compared unpaired, as rounds without blocks are, and pairwise);
and ``stopped``: by turns, while the worker that waits is stopped with SIGSTOP. The methods of a case alternate, in
slices of their time, so that each one meets the same states of the machine. Finished captures are lines of RESULTS.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from profkit.capture.plan import EnvironmentRequest, matrix
from profkit.capture.process import Worker
from profkit.capture.session import Captured, run_session
from profkit.capture.workloads import resolve
from profkit.runs import Manifest
from profkit.runs.settings import Settings
from profkit.stats.inference import log_ratios, one_row
from profkit.stats.judged import Design
from tests.unit.stub import Heard

CASES = [(pair, mode) for mode in ("eager", "frozen") for pair in (("1.13", "2.0"), ("2.0", "2.15"))]
METHODS = ("turns", "sequential", "stopped")
SLICES = 3  # of the time of each method

Result = dict[str, Any]


@contextlib.contextmanager
def stopping_the_idle(method: str) -> Iterator[None]:
    """Stop every worker between its orders, if ``method`` says so."""
    if method != "stopped":
        yield
        return
    order = Worker.order

    def stopped_outside(self: Worker, stage: str, **fields: Any) -> bool:
        os.killpg(self._process.pid, signal.SIGCONT)
        done = order(self, stage, **fields)
        if stage != "profile":  # the last one before it finishes
            os.killpg(self._process.pid, signal.SIGSTOP)
        return done

    Worker.order = stopped_outside  # type: ignore[method-assign]  # the measured alternative
    try:
        yield
    finally:
        Worker.order = order  # type: ignore[method-assign]  # as it was


def half_width(first: Manifest, second: Manifest, *, paired: bool) -> float:
    """Return half the 95% interval of the latency ratio (relative)."""
    count = min(len(first.rounds), len(second.rounds))
    sides = [one_row([np.array(r.latency_ns) for r in m.rounds[:count]]) for m in (first, second)]
    return float(np.expm1(log_ratios(sides[0], sides[1], design=Design(paired=paired)).half_width[0]))


def capture(pair: tuple[str, str], mode: str, methods: Sequence[str], seconds: float, model: str) -> list[Result]:
    """Capture one case for ``seconds`` by each of the ``methods``; return the half widths of each."""
    requests = [EnvironmentRequest(version, None, version) for version in pair]
    configurations = matrix([resolve(model)], requests, {"mode": [mode]}, None)
    spent = dict.fromkeys(methods, 0.0)
    runs: dict[str, list[Captured]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(SLICES):
            for method in methods[:: 1 if number % 2 == 0 else -1]:
                left_s = max(1.0, seconds * (number + 1) / SLICES - spent[method])
                settings = Settings(until=1e-6, max_time_s=left_s, sequential=method == "sequential", onednn=False)
                began = time.monotonic()
                with stopping_the_idle(method):
                    runs[method] = run_session(configurations, settings, Path(scratch) / method, Heard())
                spent[method] += time.monotonic() - began
    return [{"pair": " to ".join(pair), "mode": mode, **described(method, *runs[method])} for method in methods]


def described(method: str, one: Captured, other: Captured) -> Result:
    """Return the half widths of the intervals, and what they are made of."""
    first, second = one.manifest, other.manifest
    assert first is not None
    assert second is not None
    return {
        "method": method,
        "rounds": len(second.rounds),
        "disturbed": sum(bool(r.disturbed) for r in second.rounds),
        "paired": half_width(first, second, paired=True),
        "unpaired": half_width(first, second, paired=False),
        "latency_ns": [[r.latency_ns for r in m.rounds] for m in (first, second)],
    }


def show(results: list[Result]) -> None:
    """Print one row per case; the width of several captures is the root of the mean of the squares of theirs."""
    columns = (("turns", "paired"), ("sequential", "unpaired"), ("sequential", "paired"), ("stopped", "paired"))
    print("| versions | mode | by turns | one after the other | same, pairwise | waiting worker stopped | narrower |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for pair, mode in dict.fromkeys((r["pair"], r["mode"]) for r in results):
        of_case = [r for r in results if (r["pair"], r["mode"]) == (pair, mode)]
        widths = {c: [r[c[1]] for r in of_case if r["method"] == c[0]] for c in columns}
        pooled = {c: float(np.sqrt(np.mean(np.square(found)))) for c, found in widths.items() if found}
        cells = [_cell(pooled[c], widths[c]) if c in pooled else "" for c in columns]
        if pooled.keys() >= set(columns[:2]):
            cells.append(f"{pooled[columns[1]] / pooled[columns[0]]:.1f}x")
        print("| " + " | ".join([pair, mode, *cells]) + " |")


def _cell(pooled: float, widths: list[float]) -> str:
    each = f" ({', '.join(f'{100 * width:.1f}' for width in widths)})" if len(widths) > 1 else ""
    return f"±{100 * pooled:.1f}%{each}"


def main() -> None:
    """Capture what is missing; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--captures", type=int, default=1, help="of each case by each method")
    options = parser.parse_args()
    results = [json.loads(line) for line in options.to.read_text().splitlines()] if options.to.exists() else []
    for number in range(1, options.captures + 1):
        for pair, mode in CASES:
            done = [r["method"] for r in results if (r["pair"], r["mode"]) == (" to ".join(pair), mode)]
            if missing := [method for method in options.methods if done.count(method) < number]:
                found = capture(pair, mode, missing, options.seconds, options.model)
                results += found
                with options.to.open("a") as target:
                    target.writelines(json.dumps(result) + "\n" for result in found)
                for result in found:
                    print({name: v for name, v in result.items() if name != "latency_ns"}, file=sys.stderr)
    show(results)


if __name__ == "__main__":
    main()
