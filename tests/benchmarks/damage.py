"""Damaged traces beside the sound one: seconds and peak memory of `read`, each in a process of its own.

    python tests/benchmarks/damage.py [--megabytes 250] [--runs 1] [--other FOLDER]

Grows a real trace of this repository as tests/benchmarks/reader.py does, and damages it in several ways: in one place,
in every event, at its end, and in one event of 100 MB. ``--other`` measures the package in another folder too, such as
that of an older commit. CPU seconds of one process are counted, so that other work on the machine matters little.
Prints a Markdown table; no figure is asserted.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.reader import ROOT, grow

READ = """
import sys, time
sys.path.insert(0, sys.argv[1])
from profkit import forked
forked.processors = lambda: 1
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading import parallel
from profkit.trace.reading.reader import read
parallel.processors = lambda: 1
def peak():  # KiB; the peak that getrusage gives begins with that of the parent
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
start = time.process_time()
trace = read(sys.argv[2], detail=Detail.NONE, options=ReadOptions(use_cache=False))
seconds = time.process_time() - start
repairs = [f"{n} x {name}" for name, n in trace.repairs.items()]
print(seconds, peak() - before >> 10, len(trace.events), *repairs, sep="|")
"""
LIMIT_S = 600
_NAME = b'"name": "aten::'


def _in_the_middle(text: bytes, old: bytes, new: bytes) -> bytes:
    at = text.index(old, len(text) // 2)
    return text[:at] + new + text[at + len(old) :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "sound": lambda text: text,
    "cut at its end": lambda text: text[: len(text) * 99 // 100],
    "text behind its end": lambda text: text + text[len(text) // 2 :],
    "one bare inf": lambda text: _in_the_middle(text, b'"dur": ', b'"dur": inf, "d": '),
    "one time as text": lambda text: _in_the_middle(text, b'"ts": 1', b'"ts": "1", "t": 1'),
    "one bracket too many": lambda text: _in_the_middle(text, _NAME, b"]" + _NAME),
    "every event: an unescaped backslash": lambda text: text.replace(_NAME, rb'"path": "C:\data", ' + _NAME),
    "every event: a bare inf": lambda text: text.replace(_NAME, b'"speed": inf, ' + _NAME),
    "every event: a raw newline": lambda text: text.replace(_NAME, b'"name": "aten:\n:'),
    "every event: an unescaped quote": lambda text: text.replace(_NAME, b'"name": "at"en"::'),
    "every event: a text for a number": lambda text: text.replace(b'"tid": ', b'"External id": "5", "tid": 1.0, "t": '),
    "one event of 100 MB, damaged": lambda text: _in_the_middle(
        text, _NAME, b'"long": [' + b"1, 2, inf, " * 9_000_000 + b"0], " + _NAME
    ),
}


def measure(folder: Path, trace: Path) -> tuple[float, int, str]:
    """Return CPU seconds, peak MB beyond the imports, and what was read."""
    command = [sys.executable, "-c", READ, str(folder), str(trace)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=folder)
    except subprocess.TimeoutExpired:
        return float(LIMIT_S), 0, "stopped"
    if done.returncode:
        return 0.0, 0, done.stderr.strip().splitlines()[-1][:80]
    seconds, peak, events, *repairs = done.stdout.strip().split("|")
    return float(seconds), int(peak), f"{events} events; {', '.join(repairs)}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=250)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--only", default="", help="damages whose name contains this text")
    options = parser.parse_args()
    (source, *_) = sorted((ROOT / "traces/1.13").rglob("*.json.gz"))
    folders = [folder for folder in (options.other, ROOT) if folder is not None]
    sound: dict[Path, float] = {}
    print("| damage | package | CPU seconds | times sound | peak MB | read |")
    print("| :--- | :--- | ---: | ---: | ---: | :--- |")
    with tempfile.TemporaryDirectory() as scratch:
        whole, trace = Path(scratch, "sound.json"), Path(scratch, "damaged.json")
        grow(source, options.megabytes, whole)
        for name, damage in DAMAGES.items():
            if options.only not in name and name != "sound":
                continue
            trace.write_bytes(damage(whole.read_bytes()))
            for folder in folders:
                found = [measure(folder, trace) for _ in range(options.runs)]
                seconds, peak = statistics.median(f[0] for f in found), found[0][1]
                sound.setdefault(folder, seconds)
                ratio = seconds / sound[folder] if sound[folder] else 0.0
                print(f"| {name} | {folder.name} | {seconds:.2f} | {ratio:.1f} | {peak} | {found[0][2]} |", flush=True)


if __name__ == "__main__":
    main()
