"""How often is the verdict of a real capture right? Captures a small model many times, and counts verdicts.

Run ``python -m tests.benchmarks.captures KIND --python PYTHON --to RESULTS.jsonl [--captures 40]``. KIND is one of

``same``              two configurations that do the same work: a verdict of faster or slower is false
``slower``            3% more work in the forward of one: the verdict should be slower
``operator``          10% more work in an operator of 1% of the forward: its verdict should be slower, and no other's
``same-neighbour``    as ``same``, while another process uses one of the processors all the time
``slower-neighbour``  as ``slower``, beside the same neighbour: a verdict of faster or same is false

Each finished capture is a line of RESULTS, so that the same command goes on after an interruption; ``--show`` only
prints the table of what is there. Captures run at profkit's defaults, but for ``--max-time``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MODEL = Path(__file__).parent / "small_model.py"


class Kind(NamedTuple):
    """The function that makes the model, the right verdict in words, and the verdicts of the latency that are wrong.

    ``operator`` is the operator that is planted, whose verdict is looked at in the place of the latency's.
    ``planted`` says that the two configurations differ.
    """

    function: str
    right: str
    wrong: tuple[str, ...] = ()
    operator: str = ""
    planted: bool = True


KINDS = {
    "same": Kind("make", "not faster or slower", ("faster", "slower"), planted=False),
    "slower": Kind("slower", "slower", ("faster", "same", "inconclusive")),
    "operator": Kind("operator", "digamma slower", operator="aten::digamma"),
    "same-neighbour": Kind("make", "not faster or slower", ("faster", "slower"), planted=False),
    "slower-neighbour": Kind("slower", "not faster or same", ("faster", "same")),
}


def capture(kind: str, python: Path, max_time_s: float) -> dict[str, Any]:
    """Capture both configurations of ``kind``; return the verdicts that ``profkit diff`` gives them."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable,
            "-m",
            "profkit.cli",
            "capture",
            f"{MODEL}:{KINDS[kind].function}",
            "--python",
            str(python),
        ]
        command += ["--fpmath", "fp32", "--fpmath", "bf16"]
        command += ["--no-onednn", "--max-time", str(max_time_s), "--logdir", scratch]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before, after = sorted(Path(scratch).iterdir(), key=lambda path: len(path.name))
        compare = [sys.executable, "-m", "profkit.cli", "diff", str(before), str(after), "--format", "json"]
        found = json.loads(subprocess.run(compare, check=True, capture_output=True).stdout)
        manifests = [json.loads(next(side.rglob("profkit.json")).read_text()) for side in (before, after)]
    (workload,) = found["workloads"]
    planted = KINDS[kind].operator
    latency = {name: workload["latency"][name] for name in ("speedup", "low", "high", "verdict")}
    return {
        "kind": kind,
        **latency,
        "rounds": len(manifests[0]["rounds"]),
        "disturbed": sum(bool(r["disturbed"]) for m in manifests for r in m["rounds"]),
        "reported": any(finding["rule"] == "machine" for finding in workload["findings"]),
        "operators": {o["name"]: o["verdict"] for o in workload["operators"]},
        "planted": [[o[n] for n in ("speedup", "low", "high")] for o in workload["operators"] if o["name"] == planted],
        "latency_ns": [[r["latency_ns"] for r in m["rounds"]] for m in manifests],
    }


@contextlib.contextmanager
def neighbour(kind: str) -> Iterator[None]:
    """Keep one processor busy meanwhile, if ``kind`` asks for it."""
    if not kind.endswith("neighbour"):
        yield
        return
    # it ends with this process too, however that ends
    code = "import os, select\nwhile not select.select([0], [], [], 0)[0]: sum(range(100_000))"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as busy:
        try:
            yield
        finally:
            busy.kill()


def is_right(result: dict[str, Any]) -> bool:
    """Whether the verdict of a capture is the right one."""
    kind = KINDS[result["kind"]]
    if kind.operator:
        return bool(result["operators"].get(kind.operator) == "slower")
    return result["verdict"] not in kind.wrong


def false_operators(of_kind: list[dict[str, Any]], kind: Kind) -> str:
    """Return the part of the operators' verdicts that are false; empty if the whole forward differs."""
    if kind.planted and not kind.operator:
        return ""
    rows = [(name, verdict) for result in of_kind for name, verdict in result["operators"].items()]
    others = [verdict in ("faster", "slower") for name, verdict in rows if name != kind.operator]
    return f"{100 * sum(others) / len(others):.1f}%"


def show(results: list[dict[str, Any]]) -> None:
    """Print one row per kind."""
    print(
        "| captures of | number | right verdict | right | rounds | half width | cover 1 | reported | false operators |"
    )
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|")
    for name in dict.fromkeys(result["kind"] for result in results):
        of_kind, kind = [result for result in results if result["kind"] == name], KINDS[name]
        known = [result for result in of_kind if result["low"] is not None]  # one round has no interval
        halves = sorted((result["high"] / result["low"]) ** 0.5 - 1 for result in known)
        rounds = sorted(result["rounds"] for result in of_kind)
        covered = "" if kind.planted else sum(result["low"] <= 1 <= result["high"] for result in known)
        right, reported = sum(map(is_right, of_kind)), sum(result["reported"] for result in of_kind)
        cells = [name, len(of_kind), kind.right, right, rounds[len(rounds) // 2]]
        half = f"±{100 * halves[len(halves) // 2]:.1f}%" if halves else ""
        cells += [half, covered, reported, false_operators(of_kind, kind)]
        print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    """Capture until there are as many results as asked for; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--python", type=Path, help="interpreter with torch")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--captures", type=int, default=40)
    parser.add_argument("--max-time", type=float, default=300.0)
    parser.add_argument("--show", action="store_true", help="print the table of what is there, capture nothing")
    options = parser.parse_args()
    results = [json.loads(line) for line in options.to.read_text().splitlines()] if options.to.exists() else []
    while not options.show and sum(r["kind"] == options.kind for r in results) < options.captures:
        with neighbour(options.kind):
            results.append(capture(options.kind, options.python, options.max_time))
        with options.to.open("a") as target:
            target.write(json.dumps(results[-1]) + "\n")
        print(results[-1]["kind"], results[-1]["verdict"], results[-1]["rounds"], file=sys.stderr)
    show(results)


if __name__ == "__main__":
    main()
