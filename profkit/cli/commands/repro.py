"""``profkit repro``: time one operator alone, under the PyTorch of two runs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from profkit.capture.environments.environments import Environments
from profkit.capture.host import describe_host
from profkit.cli.options import FiniteRange, Output, margin_option, output_options, read_options
from profkit.cli.progress import CaptureProgress
from profkit.cli.run_argument import RUN
from profkit.cli.show import show
from profkit.comparison.records.diff import Comparison
from profkit.errors import InputError, UsageError
from profkit.experiments.repro.session import Reproduction, ReproPlan
from profkit.files import write_whole
from profkit.report.kinds.kind import Selection
from profkit.report.kinds.repro import KIND
from profkit.report.rendering import FORMATS, render
from profkit.report.saved import load
from profkit.runs.store import Run, one_run
from profkit.trace.options import ReadOptions

REPORT_NAME = "report.md"
_OPERATOR = re.compile(r"\w+::\w+", re.ASCII)
EPILOG = """\b
Examples:
  profkit repro logs/2.7 logs/2.8 --operator aten::conv2d
  profkit repro diff.json --operator aten::linear --shape '[1,512]'
  profkit repro logs/2.7 logs/2.8 --operator aten::add_ --rounds 15 --to bug
"""


@click.command("repro", epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN|DIFF", type=RUN)
@click.option("--operator", required=True, metavar="NAME", help="Operator to time, such as aten::conv2d.")
@click.option(
    "--shape", metavar="TEXT", help="Part of the shapes, such as '[1,3,224,224]'.  [default: those that take longest]"
)
@click.option(
    "--rounds",
    type=click.IntRange(min=2, max=1000),
    default=7,
    show_default=True,
    help="Processes of each PyTorch, by turns.",
)
@click.option(
    "--timeout",
    "most_s",
    type=FiniteRange(min=1, max=1e6),
    default=120.0,
    help="Most seconds of a process.  [default: 120]",
)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("repro"),
    show_default=True,
    help="Folder for the script and the report.",
)
@margin_option
@read_options
@output_options(*FORMATS, quiet="Show no progress, and do not say which file was written.")
def command(
    runs: Sequence[Path],
    operator: str,
    shape: str | None,
    rounds: int,
    most_s: float,
    folder: Path,
    margin: float,
    reading: ReadOptions,
    output: Output,
) -> None:
    """Time one operator of two runs alone, with its recorded inputs, under the PyTorch of each.

    Name two runs of one workload, or a saved diff. Writes a script that needs PyTorch only, runs it in fresh processes
    of both versions by turns, and says whether the change of the operator in the model reproduces in isolation. The
    report has versions, machine, commands and numbers, and for oneDNN's primitives the command of benchdnn: it can be
    sent upstream.
    """
    if not _OPERATOR.fullmatch(operator):
        raise UsageError(f"{operator!r} is not the name of an operator", hint="For example: --operator aten::conv2d.")
    sides = _two_runs(runs)
    with CaptureProgress(quiet=output.quiet, colour=output.colour) as progress:
        plan = ReproPlan(sides, operator, shape, rounds, folder, most_s, margin / 100, reading)
        environments = Environments(progress.message, progress.activity)
        folder.mkdir(parents=True, exist_ok=True)
        result = Reproduction(plan, environments, progress, describe_host(), os.environ).run()
        write_whole(folder / REPORT_NAME, render(KIND, result, "markdown", Selection()).encode())
        progress.message(f"Wrote {result.script} and {folder / REPORT_NAME}")
    show(KIND, result, output, None, None, None)


def _two_runs(paths: Sequence[Path]) -> tuple[Run, Run]:
    """Return the two runs that the paths name, or a saved diff names."""
    if len(paths) == 1 and paths[0].is_file():
        _, saved = load(paths[0])
        if not isinstance(saved, Comparison):
            raise InputError("is not a saved diff", where=paths[0], hint="Write one with profkit diff -o diff.json.")
        paths = [Path(saved.baseline.path), Path(saved.candidate.path)]
    if len(paths) != 2:
        raise UsageError("name two runs, or one saved diff")
    return one_run(paths[0]), one_run(paths[1])
