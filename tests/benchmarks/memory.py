"""The memory limit beside what reading takes: peak memory of `ops` on small events, each in a process of its own.

    python tests/benchmarks/memory.py [--events 2000000]

For each kind of event: the peak per event without a limit that matters, what the budget counts for it
(profkit/trace/reading/budget.py), and the peak under limits of a half and a quarter of that, at which the file must be
refused. The peak is counted beyond the imports and a small trace. Prints a Markdown table; no figure is asserted.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

READ = """
import sys
from profkit import forked
from profkit.errors import InputError
from profkit.trace.operators import sum_operators
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading import budget, parallel
from profkit.trace.reading.reader import parse, read
parallel.processors = lambda: 1
def peak():  # KiB; the peak that getrusage gives begins with that of the parent
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
counted = [0]
count = budget._bytes_of
def counting(columns, depth=[0]):
    depth[0] += 1
    found = count(columns)
    depth[0] -= 1
    counted[0] += 0 if depth[0] else found
    return found
budget._bytes_of = counting
sum_operators(parse(b'{"traceEvents": [{"ph": "X", "ts": 1, "dur": 1}]}', "t"))
before, counted[0] = peak(), 0
try:
    options = ReadOptions(use_cache=False, memory_limit=int(sys.argv[2]))
    samples = sum_operators(read(sys.argv[1], detail=Detail(int(sys.argv[3])), options=options))
    done = "read"
except InputError as error:
    done = "refused"
print(peak() - before << 10, counted[0], done)
"""
KINDS: dict[str, Callable[[int], bytes]] = {
    "spans": lambda k: b'{"ph":"X","ts":%d,"dur":1}' % k,
    "operators of one name": lambda k: b'{"ph":"X","cat":"cpu_op","name":"a","ts":%d,"dur":1}' % k,
    "operators, one in the other": lambda k: b'{"ph":"X","cat":"cpu_op","name":"a","ts":%d,"dur":999999999}' % k,
    "operators with a name each": lambda k: b'{"ph":"X","cat":"cpu_op","name":"%d","ts":%d,"dur":1}' % (k, k),
    "begins and ends": lambda k: b'{"ph":"%b","cat":"cpu_op","ts":%d}' % (b"BE"[k % 2 : k % 2 + 1], k),
    "flows": lambda k: b'{"ph":"s","id":%d,"ts":%d}' % (k, k),
    "metadata": lambda k: b'{"ph":"M","pid":%d}' % k,
    "empty objects": lambda k: b"{}",
}
ALL_DETAIL = "15"
NO_LIMIT = 1 << 40


def measure(trace: Path, limit: int) -> tuple[int, int, str]:
    """Return the peak in bytes beyond the imports, the bytes that the budget counted, and whether it was read."""
    command = [sys.executable, "-c", READ, str(trace), str(limit), ALL_DETAIL]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, counted, what = done.stdout.split()
    return int(peak), int(counted), what


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=2_000_000)
    options = parser.parse_args()
    print("| events | gzip MB | peak bytes per event | counted | half: peak ÷ limit | quarter: peak ÷ limit |")
    print("| :--- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch, "trace.json.gz")
        for name, make in KINDS.items():
            with gzip.open(trace, "wb", 1) as stream:
                stream.write(b'{"traceEvents":[' + b",\n".join(map(make, range(options.events))) + b"]}")
            peak, counted, _ = measure(trace, NO_LIMIT)
            cells = [f"{trace.stat().st_size / 1e6:.1f}", f"{peak / options.events:.0f}"]
            cells.append(f"{counted / options.events:.0f}")
            for part in (2, 4):
                limit = max(counted // part, 1 << 20)
                at_limit, _, what = measure(trace, limit)
                cells.append(f"{at_limit / limit:.2f} ({what})")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
