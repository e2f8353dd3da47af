"""``profkit tune``: which settings make a workload faster on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.requirements import parse_requirements
from profkit.capture.host import describe_host
from profkit.capture.plan import Configuration, matrix
from profkit.capture.variables import parse_single_variables
from profkit.capture.workloads import WorkloadOptions, resolve
from profkit.cli.capture_options import (
    complete_torch,
    complete_workload,
    options_of,
    package_options,
    requested_environments,
)
from profkit.cli.options import FiniteRange, Output, margin_option, output_options, read_options, selection_options
from profkit.cli.progress import CaptureProgress
from profkit.cli.show import show
from profkit.errors import UsageError
from profkit.experiments.tune.candidates import Candidate, candidates, this_machine
from profkit.experiments.tune.session import TunePlan, Tuning
from profkit.forked import processors
from profkit.report.kinds.tune import KIND
from profkit.report.rendering import FORMATS
from profkit.runs.setting import Setting
from profkit.runs.settings import PRECISION, SETTINGS, Settings
from profkit.trace.options import ReadOptions

_ROUNDS = 5
_UNBOUNDED = 10**18  # bytes: one PyTorch needs one environment
EPILOG = """\b
Examples:
  profkit tune resnet50 --torch 2.15
  profkit tune bert --torch 2.0 --rounds 8 -o tune.html
  profkit tune resnet50 --torch 2.15 --only mode --only precision
  profkit tune resnet50 --torch 2.15 --mode frozen --without mode
"""


_PROCESSES = "processes"


def _settings() -> list[Setting]:
    """Return the settings of a capture, each with one value; every group has the same number of rounds."""
    changed = {"default": _ROUNDS, "optional": False, "default_text": None}
    chosen = [replace(s, repeatable=False) for s in SETTINGS if s.name not in (*PRECISION, "max_time_s")]
    return [replace(setting, **changed) if setting.name == "rounds" else setting for setting in chosen]


def _factors() -> list[str]:
    """Return the factors: those of the candidates, and the number of processes, which has a stage of its own."""
    found = list(dict.fromkeys(candidate.factor for candidate in candidates(this_machine(processors()))))
    return [*found, _PROCESSES] if processors() > 1 else found


@click.command("tune", epilog=EPILOG)
@click.argument("workload", shell_complete=complete_workload)
@click.option(
    "--torch", metavar="VERSION", shell_complete=complete_torch, help="PyTorch version.  [default: installed]"
)
@click.option("--only", "only", multiple=True, metavar="FACTOR", help="Try candidates of this factor only. Repeatable.")
@click.option("--without", "without", multiple=True, metavar="FACTOR", help="Leave this factor as it is. Repeatable.")
@click.option(
    "--min-cosine",
    "least_cosine",
    type=FiniteRange(min=0, max=1),
    default=0.999,
    show_default=True,
    help="Recommend nothing that moves the outputs further than to this cosine similarity.",
)
@package_options
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Environment variable of all workers.")
@options_of(_settings())
@click.option(
    "--logdir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("logs"),
    show_default=True,
    help="Folder for the runs: LOGDIR/LABEL/WORKLOAD. A finished group is not captured again.",
)
@margin_option
@selection_options(KIND)
@read_options
@output_options(*FORMATS, plots=tuple(KIND.pictures), quiet="Show no progress, and do not say which file was written.")
def command(
    workload: str,
    torch: str | None,
    only: Sequence[str],
    without: Sequence[str],
    least_cosine: float,
    variables: Sequence[str],
    packages: Sequence[str],
    requirement_files: Sequence[Path],
    logdir: Path,
    margin: float,
    sort: str | None,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
    **values: Any,
) -> None:
    """Find which documented settings make WORKLOAD faster on this machine, and print the best as a command.

    Each candidate is first measured alone, by turns with the configuration as it is: precision (fpmath mode, bfloat16,
    autocast), mode (frozen, compiled), memory layout, threads and their binding, huge pages, allocators that are
    installed, caches. The best of each factor are then measured together, and with each left out, which shows what each
    adds to the others. Gains come with intervals, outputs are checked, and costs are said. Last, a short load test of
    the recipe shows how many processes, which share the processors, answer the most requests (factor processes).
    """
    options = Settings(values)
    order = resolve(workload, WorkloadOptions.of(options, None))
    order = order.with_packages(parse_requirements(packages, requirement_files))
    own = parse_single_variables(variables)
    wanted = _wanted(only, without)
    chosen = _chosen(wanted, options, own)
    with CaptureProgress(quiet=output.quiet, colour=output.colour) as progress:
        environments = Environments(progress.message, progress.activity)
        request = requested_environments([torch] if torch else [], [], environments, dry_run=False)

        def configure(candidate: Candidate) -> Configuration:
            given = own | {name: [value] for name, value in candidate.variables.items()}
            varied = {name: [value] for name, value in candidate.settings.items()}
            (found,) = matrix([order], request, varied, None, options, given)
            return found

        plan = TunePlan(
            configure=configure,
            candidates=chosen,
            command=_command(workload, torch, options, variables),
            options=options,
            logdir=logdir,
            disk_bytes=_UNBOUNDED,
            least_cosine=least_cosine,
            margin=margin / 100,
            reading=reading,
            processes=_PROCESSES in wanted,
        )
        tuning = Tuning(plan, environments, progress, describe_host())
        progress.message(tuning.describe())
        with progress.resumable():
            result = tuning.run()
    show(KIND, result, output, pattern, sort, top)


def _wanted(only: Sequence[str], without: Sequence[str]) -> list[str]:
    """Return the factors that were asked for; raises UsageError for one that there is not."""
    known = _factors()
    for factor in (*only, *without):
        if factor not in known:
            raise UsageError(f"no factor {factor!r}", hint=f"Factors: {', '.join(known)}.")
    return [factor for factor in only or known if factor not in without]


def _chosen(wanted: Sequence[str], options: Settings, own: dict[str, list[str]]) -> list[Candidate]:
    """Return the candidates of the factors that were asked for, less those that are given already."""
    found = [c for c in candidates(this_machine(processors())) if c.factor in wanted]
    changing = [
        c
        for c in found
        if not set(c.variables) & set(own)
        and (c.variables or any(getattr(options, name) != value for name, value in c.settings.items()))
    ]
    if not changing:
        hint = "Give fewer --without, or other settings; for the number of processes alone, use profkit load."
        raise UsageError("there is no candidate left to try", hint=hint)
    return changing


def _command(workload: str, torch: str | None, options: Settings, variables: Sequence[str]) -> str:
    words = ["profkit", "capture", workload, *(("--torch", torch) if torch else ())]
    words += options.command_words(without={"rounds", "steps", "warmup", "onednn"})
    words += [word for variable in variables for word in ("--env", variable)]
    return shlex.join(words)
