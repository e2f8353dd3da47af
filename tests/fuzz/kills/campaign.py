"""Kills captures at random moments, and checks that no complete round is lost and no half one believed.

    python -m tests.fuzz.kills.campaign --kills 200 --seed 0 --to kills.jsonl

Each trial starts captures with the real worker under the stub torch, sends a signal to the session, to a worker or to
a process group, or takes the space on the disk away, and starts the same capture again. Seed and number of a trial
decide what is done and when; what the machine does at that moment is chance. The results are appended to a file, one
JSON object per line; the trials that it has already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fuzz.kills.trial import SCENARIOS, Place, Trial, mount, run_trial
from tests.unit.stub import make_interpreter

LONGEST_S = 2 * 3600.0


def run_trials(numbers: Iterable[int], seed: int, folder: Path, python: Path) -> Iterator[Trial]:
    """Run the trials of these numbers in ``folder``; the folder of one with a problem is kept."""
    can_mount = _can_mount(folder)
    for number in numbers:
        trial = Trial.drawn(number, seed)
        place = Place(folder / f"trial-{number}", python, f"kills-{os.getpid()}-{seed}-{number}", can_mount)
        run_trial(trial, place)
        if not trial.problems:
            shutil.rmtree(place.folder)
        yield trial


def _can_mount(folder: Path) -> bool:
    """Whether this user may mount a small file system."""
    probe = folder / "probe"
    probe.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(probe))
    except (OSError, subprocess.CalledProcessError):
        return False
    else:
        subprocess.run(["umount", str(probe)], check=True)
        return True
    finally:
        probe.rmdir()


def table(results: list[dict[str, Any]]) -> str:
    """Return how many trials there were, and with how many problems, by what was done."""
    lines = [f"{'':26}{'trials':>8}{'killed':>8}{'rounds said':>13}{'rounds saved':>14}{'with problems':>15}"]
    for name, key in (("scenario", "scenario"), ("target", "target"), ("signal", "way")):
        lines.append(name)
        for value in sorted({r[key] for r in results}, key=lambda v: SCENARIOS.index(v) if v in SCENARIOS else 0):
            chosen = [r for r in results if r[key] == value]
            killed = sum(r["status"] not in (0, 4, 5) for r in chosen)
            said, saved = (sum(r[column] for r in chosen) for column in ("printed", "saved"))
            wrong = sum(bool(r["problems"]) for r in chosen)
            lines.append(f"  {value or 'none':24}{len(chosen):>8}{killed:>8}{said:>13}{saved:>14}{wrong:>15}")
    wrong = sum(bool(r["problems"]) for r in results)
    lines.append(
        f"{len(results)} trials, {wrong} with problems, statuses {dict(Counter(r['status'] for r in results))}"
    )
    return "\n".join(lines)


def main() -> int:
    """Run the campaign; return 1 if a trial had a problem."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kills.campaign", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="Trials in all.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, required=True, help="File of results; trials in it are not repeated.")
    parser.add_argument("--seconds", type=float, default=LONGEST_S, help="Start no trial after this time.")
    options = parser.parse_args()
    lines = options.to.read_text().splitlines() if options.to.exists() else []
    results = [r for r in map(json.loads, lines) if r["seed"] == options.seed and r["number"] < options.kills]
    known = {r["number"] for r in results}
    numbers = [number for number in range(options.kills) if number not in known]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        python = make_interpreter(folder / "stub")
        for trial in run_trials(numbers, options.seed, folder, python):
            results.append(asdict(trial))
            with options.to.open("a") as stream:
                stream.write(json.dumps(results[-1]) + "\n")
            for problem in trial.problems:
                print(f"trial {trial.number} ({trial.scenario}, {trial.target}, {trial.way}): {problem}", flush=True)
            if time.monotonic() - began > options.seconds:
                break
    print(table(results))
    return 1 if any(r["problems"] for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
