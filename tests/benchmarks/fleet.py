"""Indexing many traces, and asking the index: rates, memory and times, beside the plain reader in the same run.

    python tests/benchmarks/fleet.py [--traces 1000] [--megabytes 5] [--small 10000] [--rows 10000000] [--hta PYTHON]

Grows a real trace of this repository to the size wanted, once per trace and with times of its own, so that no content
repeats. The measure is one process that reads every trace and makes its table of operators, one after the other. Prints
Markdown tables; no figure is asserted: machines are noisy. Needs traces x megabytes of disk in the temporary folder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from profkit.fleet.columns import ORIGIN, TABLES
from profkit.fleet.dataset import Dataset

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = sorted((ROOT / "traces/2.0").rglob("*.pt.trace.json.gz"))[0]
PROFKIT = Path(sys.executable).with_name("profkit")
SHIFTED = re.compile(rb'("ts": |"Ev Idx": |"External id": )([0-9]+)')
PLAIN = """
import sys, time
from pathlib import Path
from profkit.trace.file import load
from profkit.trace.options import ReadOptions
paths = sorted(Path(sys.argv[1]).rglob("*.json"))
start = time.perf_counter()
for path in paths:
    load(path, options=ReadOptions(use_cache=False)).operators()
print(time.perf_counter() - start)
"""
HTA = """
import sys, time
from pathlib import Path
from hta.common.trace_parser import parse_trace_dataframe
from hta.configs.parser_config import ParserConfig
start = time.perf_counter()
for path in sorted(Path(sys.argv[1]).rglob("*.json"))[: int(sys.argv[2])]:
    parse_trace_dataframe(str(path), ParserConfig.get_default_cfg())
print(time.perf_counter() - start)
"""
HTA_TRACES = 20
QUESTIONS = {
    "operators by self time": "SELECT name, sum(self_ns) AS ns FROM operators GROUP BY name ORDER BY ns DESC LIMIT 10",
    "medians by label and operator": "SELECT label, name, median(self_ns) FROM operators GROUP BY ALL",
    "one operator by day": "SELECT date, avg(self_ns) FROM operators WHERE name = 'aten::op7' GROUP BY date",
}


def write_traces(folder: Path, count: int, size: int) -> None:
    """Write ``count`` traces of about ``size`` bytes, each with times of its own, by repeating the events of one."""
    text = gzip.decompress(SOURCE.read_bytes())
    begin, end = text.index(b'"traceEvents": [') + 16, text.rindex(b"]")
    parts = SHIFTED.split(text[begin:end].rstrip(b" \n,"))
    keys, values = parts[1::3], [int(value) for value in parts[2::3]]
    times = [v for key, v in zip(keys, values, strict=True) if key == b'"ts": ']
    span = max(times) - min(times) + 1_000
    repeats = -(-size // (end - begin))
    bodies = []
    for k in range(repeats):
        parts[2::3] = [
            b"%d" % (v + k * (span if key == b'"ts": ' else 1_000_000)) for key, v in zip(keys, values, strict=True)
        ]
        bodies.append(b"".join(parts))
    content = b",".join(bodies)[:size]
    content = content[: content.rindex(b"\n  },\n  {")] + b"\n  }"  # whole events
    for number in range(count):
        target = folder / f"night-{number // 100:03d}" / "resnet50" / f"{number}.pt.trace.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        head = text[:begin].replace(b"{", b'{"benchmark": %d,' % number, 1)
        target.write_bytes(head + content + text[end:])


class Memory(threading.Thread):
    """Samples the largest resident set (MB) of the children of a process, as time goes on."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.samples = pid, list[tuple[float, float]]()
        self.start()

    def run(self) -> None:
        begun = time.monotonic()
        while Path(f"/proc/{self.pid}").exists():
            largest = 0.0
            for child in subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True).stdout.split():
                try:
                    pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
                except OSError:
                    continue
                largest = max(largest, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
            self.samples.append((time.monotonic() - begun, largest))
            time.sleep(0.25)

    def course(self) -> str:
        """The largest memory in each quarter of the time."""
        known = [size for _, size in self.samples if size]
        quarter = max(1, len(known) // 4)
        return ", ".join(f"{max(known[k * quarter : (k + 1) * quarter] or [0]):.0f}" for k in range(4))


def index(folder: Path, to: Path, workers: int) -> tuple[float, str]:
    """Return the seconds of a whole indexing command, and the course of a worker's memory (MB)."""
    words = [str(PROFKIT), "index", str(folder), "--to", str(to), "--workers", str(workers), "-q", "-o", f"{to}.json"]
    start = time.perf_counter()
    process = subprocess.Popen(words)
    memory = Memory(process.pid)
    assert process.wait() == 0
    return time.perf_counter() - start, memory.course()


def plain(folder: Path) -> float:
    """Return the seconds in which one process reads every trace and makes its table of operators."""
    done = subprocess.run([sys.executable, "-c", PLAIN, folder], capture_output=True, text=True, check=True)
    return float(done.stdout)


def of_traces(scratch: Path, count: int, megabytes: float, hta: str | None) -> None:
    folder = scratch / "traces"
    write_traces(folder, count, round(megabytes * 1e6))
    size = sum(path.stat().st_size for path in folder.rglob("*.json"))
    print(f"\n{count} traces, {size / 1e9:.2f} GB\n")
    print("| what | seconds | traces/s | of the plain rate times the workers | memory of a worker by quarter (MB) |")
    print("| :--- | ---: | ---: | ---: | ---: |")
    plain(folder)  # so that all read from the page cache, if it fits
    reading = plain(folder)
    print(f"| plain reader, 1 process | {reading:.1f} | {count / reading:.0f} | | |")
    for workers in (1, 2):
        seconds, memory = index(folder, scratch / f"index-{workers}", workers)
        share, rate = 100 * reading / seconds / workers, count / seconds
        print(f"| profkit index, {workers} workers | {seconds:.1f} | {rate:.0f} | {share:.0f}% | {memory} |")
    seconds, _ = index(folder, scratch / "index-2", 2)
    print(f"| profkit index again, nothing new | {seconds:.1f} | {count / seconds:.0f} | | |")
    if hta is not None:
        words = [hta, "-c", HTA, folder, str(HTA_TRACES)]
        seconds = float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        print(f"| HolisticTraceAnalysis, frames of {HTA_TRACES} | {seconds:.1f} | {HTA_TRACES / seconds:.1f} | | |")
    stored = Dataset(str(scratch / "index-2")).bytes
    print(
        f"\nThe index takes {stored / 1e6:.1f} MB: {100 * stored / size:.2f}% of the traces, "
        f"{stored / count / 1e3:.1f} kB a trace."
    )


def write_small(folder: Path, count: int) -> None:
    """Write ``count`` traces of two forwards each."""
    document = json.loads(gzip.decompress(SOURCE.read_bytes()))
    events = document["traceEvents"]
    ends = sorted(event["ts"] + event["dur"] for event in events if event.get("name") == "profkit.forward")
    document["traceEvents"] = [event for event in events if event.get("ts", 0) <= ends[1]]
    text = json.dumps(document).encode()
    for number in range(count):
        target = folder / f"{number // 1000:03d}" / "resnet50" / f"{number}.pt.trace.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.replace(b"{", b'{"benchmark": %d,' % number, 1))


def of_small(scratch: Path, count: int) -> None:
    folder = scratch / "small"
    write_small(folder, count)
    size = sum(path.stat().st_size for path in folder.rglob("*.json"))
    seconds, memory = index(folder, scratch / "index-small", 2)
    print(
        f"\n{count} traces of {size / count / 1e3:.0f} kB by 2 workers: {seconds:.0f} s, {count / seconds:.0f} "
        f"traces/s; memory of a worker by quarter of the time: {memory} MB"
    )


def of_rows(scratch: Path, rows: int) -> None:
    """Ask an index with that many rows of operators, written by DuckDB itself with the columns of the table."""
    import duckdb

    to = scratch / "index-rows"
    dataset = Dataset(str(to))
    dataset.create()
    connection = duckdb.connect()
    texts = {
        "batch": "'b'",
        "trace": "'t' || (i // 100)::VARCHAR",
        "run": "'run' || (i // 500)::VARCHAR",
        "workload": "'resnet50'",
        "label": "'label' || (i // 1000000)::VARCHAR",
        "torch": "'2.0.1'",
        "fpmath": "'fp32'",
        "mode": "'eager'",
        "host": "'host' || (i % 64)::VARCHAR",
        "rank": "NULL",
        "date": "strftime(DATE '2026-01-01' + (i // 30000)::INTEGER, '%Y-%m-%d')",
        "name": "'aten::op' || (i % 100)::VARCHAR",
        "forwards": "20",
    }
    values = [f"{texts.get(c.name, '(hash(i) % 1000000)::DOUBLE')} AS {c.name}" for c in TABLES["operators"]]
    (to / "operators/month=2026-01").mkdir(parents=True)
    (to / "sources").mkdir()
    for part in range(10):
        begin, end = part * rows // 10, (part + 1) * rows // 10
        target = to / f"operators/month=2026-01/{part}.parquet"
        sql = f"SELECT {', '.join(values)} FROM range({begin}, {end}) t(i)"
        connection.execute(f"COPY ({sql}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        empty = ", ".join(f"NULL::VARCHAR AS {c.name}" for c in TABLES["sources"])
        connection.execute(f"COPY (SELECT {empty} WHERE false) TO '{to}/sources/{part}.parquet' (FORMAT parquet)")
    assert len(ORIGIN) < len(values)
    print(f"\n{rows:,} rows of operators, {Dataset(str(to)).bytes / 1e6:.0f} MB; whole commands, best of three\n")
    print("| question | seconds |\n| :--- | ---: |")
    for name, sql in QUESTIONS.items():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([PROFKIT, "query", sql, to, "--format", "csv"], stdout=subprocess.DEVNULL, check=True)
            times.append(time.perf_counter() - start)
        print(f"| {name} | {min(times):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=1000)
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--hta", help="interpreter in which HolisticTraceAnalysis is installed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if options.traces:
            of_traces(Path(scratch), options.traces, options.megabytes, options.hta)
        if options.small:
            of_small(Path(scratch), options.small)
        if options.rows:
            of_rows(Path(scratch), options.rows)


if __name__ == "__main__":
    main()
