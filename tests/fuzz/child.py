"""The process in which mutations run, started by ``runner.py``: a number in, a verdict out, line by line.

A hang ends it after a limit, with the stack in a file; a crash ends it too. The runner then starts another one.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from tests.fuzz.check import Fault
from tests.fuzz.invoke import close_own_output
from tests.fuzz.kinds import KINDS
from tests.fuzz.memory import status_bytes
from tests.fuzz.plan import through_the_command_line
from tests.fuzz.trial import Trial

SECONDS = 20  # for one mutation with all its commands; the slowest sound one takes two
MOST_MEMORY = 4 << 30  # bytes of address space beyond what this process begins with: protects the machine
TRIALS = "trial"


def run_trial(seed: int, kind: str, number: int, scratch: Path) -> dict[str, Any]:
    """Run one mutation in an empty folder of ``scratch``; return what a line of the results says."""
    folder = scratch / TRIALS
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    trial = Trial(seed, kind, number, folder)
    begun = time.perf_counter()
    try:
        KINDS[kind](trial)
    except Exception:  # of the campaign itself: it must not end the others
        trial.add([Fault("the campaign's own error", traceback.format_exc()[-3_000:])])
    seconds = time.perf_counter() - begun
    return described(trial, seconds)


def described(trial: Trial, seconds: float) -> dict[str, Any]:
    """Return the line of a trial that ended."""
    main = trial.main
    answered = main is not None and main.status == 0
    found = {
        "seed": trial.seed,
        "kind": trial.kind,
        "number": trial.number,
        "base": trial.base,
        "changes": [change[:300] for change in trial.changes],
        "verdict": "fault" if trial.faults else "answer" if answered else "refused",
        "faults": [{"sort": f.sort, "what": f.what[:4_000]} for f in trial.faults],
        "message": "" if main is None or answered else main.err[:300],
        "seconds": round(seconds, 3),
        "bytes": trial.used_bytes,
    }
    if trial.repeatable and through_the_command_line(trial.number):
        found["commands"] = [{"words": o.words, "status": o.status, "out": o.out} for o in trial.outcomes]
    return found


def main() -> None:
    """Answer lines ``KIND NUMBER`` on standard input: argv holds the scratch folder and the seed."""
    scratch, seed = Path(sys.argv[1]), int(sys.argv[2])
    answers = os.fdopen(close_own_output(), "w", encoding="ascii")
    stacks = (scratch / "stacks.txt").open("w", encoding="utf-8")
    faulthandler.enable(stacks)
    _limit_memory()
    warnings.simplefilter("always")  # each time, not once a process: a warning is of the trial that caused it
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=ResourceWarning)
    for line in sys.stdin:
        kind, number = line.split()
        faulthandler.dump_traceback_later(SECONDS, exit=True, file=stacks)
        answer = run_trial(seed, kind, int(number), scratch)
        faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _limit_memory() -> None:
    size = status_bytes("VmSize")
    if size is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size + MOST_MEMORY, hard))


if __name__ == "__main__":
    main()
