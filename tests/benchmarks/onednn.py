"""What it takes to read a long verbose log of oneDNN: a real one, repeated.

python -m tests.benchmarks.onednn [MEGABYTES]
"""

from __future__ import annotations

import gzip
import statistics
import sys
import time
from pathlib import Path

from profkit.onednn.log import parse_log

LOGS = Path(__file__).resolve().parents[1] / "data/onednn"
ROUNDS = 5


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"| {megabytes} MB of log, median of {ROUNDS} | records | seconds |\n| :--- | ---: | ---: |")
    for path in sorted(LOGS.glob("*.log.gz")):
        data = gzip.decompress(path.read_bytes())
        data *= megabytes * 1_000_000 // len(data)
        seconds = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            log = parse_log(data)
            seconds.append(time.perf_counter() - begin)
        print(f"| oneDNN {path.name.removesuffix('.log.gz')} | {len(log):,} | {statistics.median(seconds):.2f} |")


if __name__ == "__main__":
    main()
