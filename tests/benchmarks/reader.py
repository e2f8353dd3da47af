"""From a trace file to its operator table: profkit beside its peers, each a whole process, in turn.

    python tests/benchmarks/reader.py [--megabytes 250] [--runs 3] [--peers PYTHON]

Grows a real trace of this repository to the size wanted by repeating it with shifted times. Peers are run by the
interpreter PYTHON where they are installed in it (torch-tb-profiler, HolisticTraceAnalysis, TraceLens). The measure
is the time that msgspec needs just to split the same bytes into raw events, in memory; profkit's reader is also timed
alone, in a running process, as the split is. Prints a Markdown table of medians and peak memory; no figure is asserted:
machines are noisy.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SPLIT = """
import gc, sys, time, msgspec
gc.disable()
class File(msgspec.Struct):
    traceEvents: list[msgspec.Raw]
data, times = open(sys.argv[1], "rb").read(), []
for _ in range(3):
    start = time.perf_counter()
    split = msgspec.json.decode(data, type=File)
    times.append(time.perf_counter() - start)
    del split
print(sorted(times)[1])
"""
READ = """
import sys, time
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading.reader import read
times = []
for _ in range(3):
    start = time.perf_counter()
    trace = read(sys.argv[1], detail=Detail.NONE, options=ReadOptions(use_cache=False))
    times.append(time.perf_counter() - start)
    del trace
print(sorted(times)[1])
"""
PEERS = {
    "TensorBoard plugin: operator table": """
import sys
from torch_tb_profiler.profiler.data import RunProfileData
from torch_tb_profiler.profiler.run_generator import RunGenerator
data = RunProfileData.parse("worker", "", sys.argv[1], "/tmp")
data.process()
RunGenerator("worker", "", data)._generate_op_table(data.op_list_groupby_name)
""",
    "HolisticTraceAnalysis: trace frame": """
import sys
from hta.common.trace_parser import parse_trace_dataframe
from hta.configs.parser_config import ParserConfig
parse_trace_dataframe(sys.argv[1], ParserConfig.get_default_cfg())
""",
    "TraceLens: event tree": """
import json, sys
from TraceLens import TraceToTree
TraceToTree(json.load(open(sys.argv[1]))["traceEvents"]).build_tree()
""",
    "json.load alone": "import json, sys; json.load(open(sys.argv[1]))",
}
READER = "profkit's reader alone, in memory"
Measured = tuple[float, float | None]
"""Wall seconds, and peak MB where it is that of a whole process."""
SHIFTED = re.compile(rb'("ts": |"Profiler Event Index": |"Ev Idx": |"External id": )([0-9]+)')


def grow(source: Path, megabytes: int, target: Path) -> None:
    """Repeat the events of ``source`` until ``target`` has that size; times and indices go on rising."""
    text = gzip.decompress(source.read_bytes())
    begin, end = text.index(b'"traceEvents": [') + 16, text.rindex(b"]")
    parts = SHIFTED.split(text[begin:end].rstrip(b" \n,"))
    keys, values = parts[1::3], [int(value) for value in parts[2::3]]
    times = [v for key, v in zip(keys, values, strict=True) if key == b'"ts": ']
    span = max(times) - min(times) + 1_000
    step = 1 + max(v for key, v in zip(keys, values, strict=True) if key != b'"ts": ')
    count = max(1, megabytes * 1_000_000 // (end - begin))
    with target.open("wb") as stream:
        stream.write(text[:begin])
        for k in range(count):
            parts[2::3] = [
                b"%d" % (v + k * (span if key == b'"ts": ' else step)) for key, v in zip(keys, values, strict=True)
            ]
            stream.write(b"".join(parts) + (b"," if k < count - 1 else b""))
        stream.write(text[end:])


def run(command: list[str]) -> Measured | None:
    """Return wall seconds and peak MB of the largest process, None where it fails."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    return (time.perf_counter() - start, usage.ru_maxrss / 1_000) if status == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=250)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--packed", action="store_true", help="measure profkit on the gzipped trace too")
    options = parser.parse_args()
    (source, *_) = sorted((ROOT / "traces/1.13").rglob("*.json.gz"))
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch, "grown.pt.trace.json")
        grow(source, options.megabytes, trace)
        variables = {**os.environ, "PROFKIT_CACHE_DIR": str(Path(scratch, "cache"))}
        os.environ.update(variables)
        profkit = [str(Path(sys.executable).with_name("profkit")), "ops"]
        commands = {
            "profkit ops --no-cache": [*profkit, str(trace), "--no-cache"],
            "profkit ops, second look": [*profkit, str(trace)],
        }
        if options.packed:
            packed = Path(scratch, "grown.pt.trace.json.gz")
            with packed.open("wb") as stream:
                subprocess.run(["gzip", "-6", "-c", str(trace)], stdout=stream, check=True)
            commands["profkit ops --no-cache, gzipped"] = [*profkit, str(packed), "--no-cache"]
        run(commands["profkit ops, second look"])  # the first look, which fills the cache
        scripts = {name: [options.peers, "-c", script, str(trace)] for name, script in PEERS.items()}
        splits, found = [], {name: [] for name in [READER, *commands, *scripts]}
        for _ in range(options.runs):
            splits.append(seconds_of(SPLIT, trace))
            found[READER].append((seconds_of(READ, trace), None))
            for name, command in [*commands.items(), *scripts.items()]:
                found[name].append(run(command))
        report(trace, splits, found)


def seconds_of(script: str, trace: Path) -> float:
    """Return the seconds that ``script`` measured itself, in a running process."""
    done = subprocess.run([sys.executable, "-c", script, trace], capture_output=True, text=True, check=True)
    return float(done.stdout)


def report(trace: Path, splits: list[float], found: dict[str, list[Measured | None]]) -> None:
    split = statistics.median(splits)
    print(f"| {trace.stat().st_size / 1e6:.0f} MB, median of {len(splits)} | seconds | times the split | peak MB |")
    print("| :--- | ---: | ---: | ---: |")
    print(f"| msgspec, splitting into raw events, in memory | {split:.2f} | 1.0 | |")
    for name, results in found.items():
        figures = [result for result in results if result is not None]
        if figures:
            ratio = statistics.median(f[0] / s for f, s in zip(figures, splits, strict=True))
            seconds = statistics.median(seconds for seconds, _ in figures)
            peaks = [peak for _, peak in figures if peak is not None]
            print(f"| {name} | {seconds:.2f} | {ratio:.1f} | {f'{statistics.median(peaks):.0f}' if peaks else ''} |")


if __name__ == "__main__":
    main()
