"""``profkit bisect``: find the version at which a figure changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.releases import releases_in
from profkit.capture.environments.requirements import parse_requirements
from profkit.capture.host import describe_host
from profkit.capture.plan import matrix
from profkit.capture.variables import parse_single_variables
from profkit.capture.workloads import WorkloadOptions, resolve
from profkit.cli.capture_options import (
    complete_torch,
    complete_workload,
    options_of,
    package_options,
    requested_environments,
)
from profkit.cli.options import Output, output_options, read_options, selection_options
from profkit.cli.progress import CaptureProgress
from profkit.cli.show import show
from profkit.errors import UsageError
from profkit.experiments.bisect.captures import Captures
from profkit.experiments.bisect.decisions import LOOKS
from profkit.experiments.bisect.figures import parse_figure, parse_threshold
from profkit.experiments.bisect.scripts import ScriptBisection, ScriptPlan
from profkit.experiments.bisect.session import Bisection, BisectPlan
from profkit.report.kinds.bisect import KIND
from profkit.report.rendering import FORMATS
from profkit.runs.setting import Setting
from profkit.runs.settings import PRECISION, SETTINGS, Settings
from profkit.trace.options import ReadOptions

_MOST_S = 3600.0
EPILOG = f"""\b
Examples:
  profkit bisect resnet50 --good 2.0 --bad 2.15 --mode frozen
  profkit bisect resnet50 --good 2.0 --bad 2.15 --metric 'aten::conv2d.total' --threshold 5%
  profkit bisect bert --good 2.0 --bad 2.15 --metric outputs.cosine --threshold 0.9999
  profkit bisect resnet50 --good 2.5.0 --bad 2.7.1 --every patch -o bisect.html
  profkit bisect --good 1.13 --bad 2.15 --run 'python check.py'

With --run, an exit status of 0 is good, 125 means that the version cannot be tested, and any other is bad, as for
git bisect run. A test of a figure takes {LOOKS[0]} to {LOOKS[-1]} rounds, as many as it needs.
"""


def _settings() -> list[Setting]:
    """Return the settings of a capture of which each has one value; the search chooses the rounds."""
    chosen = [replace(s, repeatable=False) for s in SETTINGS if s.name not in (*PRECISION, "rounds")]
    help_ = "Give up, undecided, if the search has not ended after this time (seconds)."
    return [replace(s, default=_MOST_S, help=help_) if s.name == "max_time_s" else s for s in chosen]


@click.command("bisect", epilog=EPILOG)
@click.argument("workload", required=False, shell_complete=complete_workload)
@click.option(
    "--good", required=True, metavar="VERSION", shell_complete=complete_torch, help="PyTorch version before the change."
)
@click.option(
    "--bad", required=True, metavar="VERSION", shell_complete=complete_torch, help="PyTorch version after the change."
)
@click.option(
    "--every",
    type=click.Choice(("minor", "patch")),
    default="minor",
    show_default=True,
    help="The releases in between: the newest patch of each minor version, or every patch.",
)
@click.option(
    "--metric",
    default="latency",
    show_default=True,
    metavar="FIGURE",
    help="What to watch: latency, peak_memory, OPERATOR.self or OPERATOR.total (host times), outputs.cosine, "
    "outputs.error, outputs.top1.",
)
@click.option(
    "--threshold",
    metavar="CHANGE",
    help="A version is bad from this change on, such as 5%, or for outputs this value.  "
    "[default: half of the change between --good and --bad]",
)
@click.option("--run", "script", metavar="COMMAND", help="Bisect this command by its exit status, instead of WORKLOAD.")
@package_options
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Environment variable of the workers.")
@options_of(_settings())
@click.option(
    "--logdir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("logs"),
    show_default=True,
    help="Folder for the runs: LOGDIR/LABEL/WORKLOAD. What is there counts, so the same command goes on.",
)
@selection_options(KIND)
@read_options
@output_options(*FORMATS, plots=tuple(KIND.pictures), quiet="Show no progress, and do not say which file was written.")
def command(
    workload: str | None,
    good: str,
    bad: str,
    every: str,
    metric: str,
    threshold: str | None,
    script: str | None,
    variables: Sequence[str],
    packages: Sequence[str],
    requirement_files: Sequence[Path],
    logdir: Path,
    sort: str | None,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
    **values: Any,
) -> None:
    """Find the first PyTorch version in which WORKLOAD is slower, or another figure changed.

    A binary search over the releases between --good and --bad. Each version is captured by turns with the good one,
    with as many rounds as its decision needs, so that the probability of a wrong answer is at most 5% for the whole
    search. It ends with the first bad version and what changed in it: operators, primitives, findings. It may also
    answer that there is nothing to find, that there is more than one change, or that the budget was not enough.
    """
    if (workload is None) == (script is None):
        raise UsageError("name either a workload or a command", hint="Give WORKLOAD, or --run 'COMMAND'.")
    beside = parse_requirements(packages, requirement_files)
    versions = releases_in(f"{good}..{bad}", patches=every == "patch")
    if len(versions) < 2:
        raise UsageError("--good and --bad are the same version", hint="Use --every patch for its patches.")
    options = Settings(values)
    with CaptureProgress(quiet=output.quiet, colour=output.colour) as progress:
        environments = Environments(progress.message, progress.activity)
        search: Bisection | ScriptBisection
        if workload is None:
            assert script is not None
            plan = ScriptPlan(script, versions, beside, options.timeout_s)
            search = ScriptBisection(plan, environments, progress)
        else:
            order = resolve(workload, WorkloadOptions.of(options, None)).with_packages(beside)
            requests = requested_environments(versions, [], environments, dry_run=False)
            found = matrix([order], requests, {}, None, options, parse_single_variables(variables))
            figure = parse_figure(metric, reading)
            captures = Captures(options, logdir, environments, progress, describe_host())
            limit = parse_threshold(threshold, figure)
            search = Bisection(BisectPlan(found, figure, limit, options.max_time_s, reading), captures)
        progress.message(search.describe())
        with progress.resumable():
            result = search.run()
    show(KIND, result, output, pattern, sort, top)
