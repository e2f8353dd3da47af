"""Do rounds of processes that are forked from one prepared process scatter as rounds of fresh processes do?

Run ``python -m tests.benchmarks.layout --python PYTHON --reference PYTHON [--mode frozen] [--moved]``; both need torch
and torchvision. Some prepared processes import torch, and each forks children, which build ResNet-50 and take turns
with one process of the reference. If the children of one prepared process are closer to each other than to those of the
others, they inherit what makes a process fast or slow, and intervals from such rounds would be too narrow. With
``--moved``, each child first takes a random amount of memory, so that all that it needs later lies elsewhere.

The table has the standard deviation of the logarithm of the ratio to the reference. Prepared processes take their
children in rows of one each, and the mean of a row is taken out, with the state of the machine at that time.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import mmap
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TURNS = 10
SKIPPED, COUNTED = 1, 2  # forwards of a turn
WARMUP = 14


def prepared_process(mode: str) -> None:
    """Import torch, and fork a child for each line ``child MOVED`` of the standard input."""
    import torch  # noqa: F401  # what is prepared: children have it from this process
    import torchvision  # noqa: F401  # likewise

    print("null", flush=True)
    while line := sys.stdin.readline():
        if (child := os.fork()) == 0:
            serve(mode, moved=line.split()[1] == "True")
            os._exit(0)
        os.waitpid(child, 0)


def serve(mode: str, *, moved: bool) -> None:
    """Answer each line with the times of forwards (ns), until a line ``end``."""
    import torch
    import torchvision

    taken = move_memory() if moved else None
    torch.manual_seed(0)
    model, image = torchvision.models.resnet50(weights=None).eval(), torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        call: Any = torch.jit.freeze(torch.jit.trace(model, image)) if mode == "frozen" else model
        times = []
        while len(times) < WARMUP or sys.stdin.readline() not in ("end\n", ""):
            for _ in range(SKIPPED + COUNTED):
                began_ns = time.perf_counter_ns()
                call(image)
                times.append(time.perf_counter_ns() - began_ns)
            if len(times) >= WARMUP:
                print(json.dumps(times[-COUNTED:]), flush=True)
    print("null", flush=True)
    del taken  # held until here, so that nothing else gets its place


def move_memory() -> object:
    """Take a random amount of memory, from where large allocations come from and from the heap."""
    libc = ctypes.CDLL(None)
    libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
    libc.sbrk(16 * random.SystemRandom().randrange(1 << 16))
    return mmap.mmap(-1, mmap.PAGESIZE * random.SystemRandom().randrange(1, 1 << 14))


class Process:
    """A prepared process under ``python``; it has one child at a time."""

    def __init__(self, python: Path, mode: str) -> None:
        command = [python, "-W", "ignore", "-I", "-u", Path(__file__).resolve(), "--serve", "--mode", mode]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def say(self, line: str) -> Any:
        """Send a line; return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it and its child."""
        self._process.communicate()


def log_ratio(process: Process, reference: Process, *, moved: bool) -> float:
    """Return the logarithm of the median time of a new child over that of the reference, by turns."""
    process.say(f"child {moved}")
    times: dict[Process, list[int]] = {process: [], reference: []}
    for _ in range(TURNS):
        for each in random.sample([process, reference], 2):
            times[each] += each.say("time")
    process.say("end")
    return math.log(statistics.median(times[process]) / statistics.median(times[reference]))


def deviations(rows: list[list[float]]) -> tuple[float, float]:
    """Return the standard deviation within and between columns, without the means of the rows (two-way analysis)."""
    count, columns = len(rows), len(rows[0])
    flat = [[value - statistics.mean(row) for value in row] for row in rows]
    means = [statistics.mean(column) for column in zip(*flat, strict=True)]
    squares = sum((value - mean) ** 2 for row in flat for value, mean in zip(row, means, strict=True))
    within = squares / ((count - 1) * (columns - 1))
    between = max(0.0, statistics.variance(means) - within / count)
    return within**0.5, between**0.5


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--mode", choices=("eager", "frozen"), default="eager")
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--children", type=int, default=6)
    parser.add_argument("--moved", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        prepared_process(options.mode)
        return
    reference = Process(options.reference, options.mode)
    reference.say("child False")
    prepared = [Process(options.python, options.mode) for _ in range(options.processes)]
    rows = [[log_ratio(p, reference, moved=options.moved) for p in prepared] for _ in range(options.children)]
    for process in (*prepared, reference):
        process.close()
    for row in rows:
        print(" ".join(f"{100 * value:6.2f}" for value in row), file=sys.stderr)
    within, between = deviations(rows)
    print("| mode | memory moved | within a prepared process | between them |\n|---|---|---:|---:|")
    print(f"| {options.mode} | {options.moved} | {100 * within:.1f}% | {100 * between:.1f}% |")


if __name__ == "__main__":
    main()
