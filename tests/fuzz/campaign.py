"""A fuzz campaign: seeded, bounded mutations of every input of profkit, each of which must be answered or refused.

    python -m tests.fuzz.campaign --mutations 10000 --seed 0 --to RESULTS.jsonl
    python -m tests.fuzz.campaign --to RESULTS.jsonl --show
    python -m tests.fuzz.campaign --seed 0 --kind traces --number 17 --keep FOLDER

A mutation is determined by seed, kind and number, in one state of the repository, whose files it starts from. Results
are lines of JSON: a campaign that was interrupted goes on when it is started again with the same file.

A fault is: an exception other than ProfkitError, a hang, memory far beyond ``--memory-limit``, a status or a message
that the contract excludes, a negative time, NaN, a share above 100%, sums that do not add up, output that is not valid
or not escaped, a number that differs from the plain reference, and a number that changes when only the way of writing
the same input changes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from profkit.forked import processors
from tests.fuzz.plan import SHARES, Task, tasks
from tests.fuzz.results import Result, append, distinct_faults, load, report, table
from tests.fuzz.runner import Runner

EVERY = 100  # mutations between two lines of progress


def run(wanted: Sequence[Task], seed: int, to: Path | None = None, keep: Path | None = None) -> list[Result]:
    """Run the mutations that ``to`` has no result of, on every processor; return the results of all.

    ``keep`` is the folder that the inputs of faults are copied to.
    """
    known = {(result["kind"], result["number"]): result for result in (load(to, seed) if to is not None else ())}
    left = [task for task in wanted if task not in known]
    found: list[Result] = []
    waiting, lock, stopped = iter(left), threading.Lock(), threading.Event()

    def work() -> None:
        with Runner(seed) as runner:
            while not stopped.is_set():
                with lock:
                    task = next(waiting, None)
                if task is None:
                    return
                result = runner.run(*task)
                if keep is not None and result["faults"]:
                    _keep(runner.inputs, keep / f"{task[0]}-{task[1]}", result)
                with lock:
                    known[task] = result
                    found.append(result)
                    if to is not None:
                        append(to, result)
                    _progress(found, len(left))

    count = min(processors(), len(left))
    with ThreadPoolExecutor(max(1, count)) as pool:
        try:
            for worker in [pool.submit(work) for _ in range(count)]:
                worker.result()
        except BaseException:  # Ctrl-C: the mutations under way are ended and filed
            stopped.set()
            raise
    return [known[task] for task in wanted]


def _progress(found: Sequence[Result], of: int) -> None:
    if len(found) % EVERY == 0:
        faults = sum(result["verdict"] == "fault" for result in found)
        print(f"{len(found)} of {of} mutations, {faults} with faults", file=sys.stderr, flush=True)


def _keep(inputs: Path, target: Path, result: Result) -> None:
    """Copy the files of a mutation, with what was found out about them."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(inputs, target)
    (target / "fault.txt").write_text(report(result), encoding="utf-8", errors="backslashreplace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status: 1 if there was a fault."""
    options = _parser().parse_args(arguments)
    if options.number is not None:
        if len(options.kind) != 1:
            raise SystemExit("--number needs one --kind")
        (result,) = run([(options.kind[0], options.number)], options.seed, keep=options.keep)
        print(report(result))
        return int(result["verdict"] == "fault")
    if options.to is None:
        raise SystemExit("--to is missing: the file that results are written to")
    if options.show:
        results = load(options.to)
    else:
        wanted = list(tasks(options.mutations, options.kind))
        try:
            results = run(wanted, options.seed, options.to, options.keep)
        except KeyboardInterrupt:
            raise SystemExit("interrupted: the same command goes on") from None
    print(table(results))
    if faults := distinct_faults(results):
        print(f"\nFaults by sort:\n\n{faults}")
    return int(any(result["verdict"] == "fault" for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.fuzz.campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutations", type=int, default=1_000, help="how many, of all kinds together [1000]")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other mutations [0]")
    parser.add_argument("--to", type=Path, metavar="RESULTS.jsonl", help="file of the results, one line each")
    parser.add_argument("--kind", action="append", choices=list(SHARES), default=[], help="only these; repeatable")
    parser.add_argument("--number", type=int, help="run this one mutation of the --kind, and say everything about it")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the inputs of faults to this folder")
    parser.add_argument("--show", action="store_true", help="run nothing: print the table of the results there are")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
