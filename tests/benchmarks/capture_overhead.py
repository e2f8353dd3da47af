"""What does profkit capture add to a plain script that uses torch.profiler by hand?

Runs both in turn, for the same forwards in the same environment: PYTHON is an interpreter with torch and torchvision.

    python tests/benchmarks/capture_overhead.py --python PYTHON [--model resnet50] [--runs 5] [--rounds 5]

Prints medians and the ratio taken pair by pair, as a Markdown table. No figure is asserted: machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BY_HAND = """
import sys, time, torch, torchvision
from torch.profiler import ProfilerActivity, profile, schedule, tensorboard_trace_handler
model = torchvision.models.__dict__[sys.argv[1]](weights=None).eval()
image, warmup, steps = torch.randn(1, 3, 224, 224), int(sys.argv[3]), int(sys.argv[4])
with torch.no_grad():
    for _ in range(warmup):
        model(image)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        model(image)
        times.append(time.perf_counter() - start)
    handler = tensorboard_trace_handler(sys.argv[2], use_gzip=True)
    with profile(activities=[ProfilerActivity.CPU], schedule=schedule(wait=0, warmup=1, active=steps, repeat=1),
                 record_shapes=True, on_trace_ready=handler) as prof:
        for _ in range(steps + 1):
            model(image)
            prof.step()
print(sorted(times)[steps // 2])
"""


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5, help="of a capture, as many as profkit's own default")
    options = parser.parse_args()
    pairs = []
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch, "by_hand.py")
        script.write_text(BY_HAND)
        for index in range(options.runs + 1):
            logs = Path(scratch, f"logs-{index}")
            capture = [sys.executable, "-m", "profkit.cli", "capture", options.model, "--python", options.python]
            capture += ["--rounds", str(options.rounds), "--steps", str(options.steps), "--logdir", str(logs)]
            capture += ["--no-onednn"]
            ours = timed(capture)
            (manifest,) = logs.rglob("profkit.json")
            by_hand = [options.python, str(script), options.model, str(Path(scratch, f"hand-{index}"))]
            rounds = json.loads(manifest.read_text())["rounds"]  # a disturbed one is measured again
            theirs = sum(timed([*by_hand, str(len(r["warmup_ns"])), str(options.steps)]) for r in rounds)
            pairs.append((ours, theirs))
    pairs = pairs[1:]  # the first warms the disk's cache
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"| {options.rounds} rounds of {options.model} | median of {options.runs} |\n| :--- | ---: |")
    print(f"| profkit capture, whole process | {ours:.2f} s |\n| torch.profiler by hand | {theirs:.2f} s |")
    print(f"| ratio, pair by pair | {ratio:.3f} |")


if __name__ == "__main__":
    main()
