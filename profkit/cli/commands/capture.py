"""``profkit capture``: capture runs, one per configuration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.releases import check_request
from profkit.capture.environments.requirements import parse_requirements
from profkit.capture.host import check_instance_type, describe_host
from profkit.capture.machine import inspect_machine
from profkit.capture.plan import matrix
from profkit.capture.preview import preview
from profkit.capture.results import describe_run
from profkit.capture.session import Captured, run_session
from profkit.capture.variables import parse_variables
from profkit.capture.workloads import WorkloadOptions, WorkloadOrder, resolve
from profkit.cli.capture_options import (
    complete_torch,
    complete_workload,
    package_options,
    requested_environments,
    setting_options,
)
from profkit.cli.live_line import RESUMABLE
from profkit.cli.options import use_colour
from profkit.cli.progress import CaptureProgress
from profkit.errors import CaptureError, OutputError
from profkit.report.escape import plain
from profkit.runs.manifest import Host
from profkit.runs.settings import SETTINGS, Settings

_SUFFIXES = ", ".join(s.label_suffix.format(value=s.name.upper()) for s in SETTINGS if s.label_suffix)

EPILOG = """\b
Examples:
  profkit capture resnet50 --torch 1.13 --torch 2.0
  profkit capture resnet50 vit_b_16 --torch 2.0 --fpmath fp32 --fpmath bf16
  profkit capture resnet50 --torch 2.0 --mode eager --mode compile --freezing
  profkit capture resnet50 --torch 2.0 --threads 1 --threads 2 --batch 1 --batch 8
  profkit capture my_model.py:make --python ~/venv/bin/python --label before
  profkit capture resnet50 --torch 1.13 --torch 2.0 --until 1 --max-time 900
  profkit capture resnet50 --torch 2.0 --rounds 6     (adds 6 rounds to the existing run)
"""


def _complete_instance_type(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from profkit.views.prices import known_prices

    return [name for name in known_prices() if name.startswith(incomplete)]


@click.command("capture", epilog=EPILOG)
@click.argument("workloads", nargs=-1, required=True, metavar="WORKLOAD...", shell_complete=complete_workload)
@click.option(
    "--torch",
    "torches",
    multiple=True,
    metavar="VERSION",
    shell_complete=complete_torch,
    help="PyTorch version, such as 2.0 or 2.0.1; its environment is created if needed. Repeatable.",
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Use this Python interpreter (torch must be installed) instead of creating an environment. Repeatable.",
)
@package_options
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="Environment variable of the workers; part of the configuration and its label. Repeatable: several values of "
    "one variable make several configurations.",
)
@setting_options
@click.option("--label", help=f"Label of the runs.  [default: the PyTorch version, then {_SUFFIXES} if not default]")
@click.option(
    "--logdir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("logs"),
    show_default=True,
    help="Folder for the runs: LOGDIR/LABEL/WORKLOAD.",
)
@click.option(
    "--torchbench",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of a checkout of TorchBench, for workloads named torchbench:NAME.",
)
@click.option(
    "--instance-type",
    metavar="NAME",
    shell_complete=_complete_instance_type,
    help="Instance type of this machine, such as c7g.4xlarge, for profkit cost.  [default: found on EC2]",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would run, in which environments, and about how long and how much disk it takes; make nothing.",
)
@click.option("--overwrite", is_flag=True, help="Replace existing runs instead of adding rounds to them.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@click.option("--no-color", is_flag=True, help="Do not use colour (or set NO_COLOR).")
def command(
    workloads: Sequence[str],
    torches: Sequence[str],
    pythons: Sequence[Path],
    variables: Sequence[str],
    packages: Sequence[str],
    requirement_files: Sequence[Path],
    label: str | None,
    logdir: Path,
    torchbench: Path | None,
    instance_type: str | None,
    dry_run: bool,
    overwrite: bool,
    quiet: bool,
    no_color: bool,
    **values: Any,
) -> None:
    """Capture WORKLOAD in every combination of the values of the repeatable options.

    A WORKLOAD is a name that profkit workloads lists, or your own code: path/to/file.py:make or package.module:make,
    whose function make() returns (model, inputs). The inputs are one argument, a tuple of arguments, or a dict of
    keyword arguments. hf:ORG/NAME is a model of the Hugging Face hub, torchbench:NAME one of the checkout --torchbench.

    Each round of a configuration is a new process. It warms up, times forwards with the profiler off, then profiles
    --steps forwards. The configurations of a workload run by turns, forward by forward, so that the drift of the
    machine cancels in their ratios. Rounds go on until the ratios are known (--until, --until-operators) or time is up.

    Without --torch and --python, the capture uses the interpreter that runs profkit if torch is installed there, else
    an environment with the newest PyTorch.
    """
    varied = {s.name: values.pop(s.name) or [s.default] for s in SETTINGS if s.repeatable}
    options = Settings(values)
    beside = parse_requirements(packages, requirement_files)

    def orders(chosen: Settings) -> list[WorkloadOrder]:
        wanted = WorkloadOptions.of(chosen, torchbench)
        return [resolve(word, wanted).with_packages(beside) for word in workloads]

    host = describe_host(None if instance_type is None else check_instance_type(instance_type))
    orders(options.changed(**{name: found[0] for name, found in varied.items()}))  # a wrong name is said at once
    with CaptureProgress(quiet=quiet, colour=use_colour(no_color, sys.stderr)) as progress:
        environments = Environments(progress.message, progress.activity)
        requests = requested_environments(
            [check_request(version) for version in torches], pythons, environments, dry_run
        )
        configurations = matrix(orders, requests, varied, label, options, parse_variables(variables))
        if dry_run:
            for line in preview(configurations, options, logdir, environments, overwrite=overwrite, host=host):
                click.echo(line)
            return
        if not quiet:
            _warn_of_machine(progress, host)
        with progress.resumable("Runs that were not replaced yet are unchanged." if overwrite else RESUMABLE):
            captured = run_session(
                configurations, options, logdir, progress, overwrite=overwrite, environments=environments, host=host
            )
    _conclude(captured, quiet)


def _warn_of_machine(progress: CaptureProgress, host: Host) -> None:
    """Name what on this machine may disturb the measurement; the capture goes on."""
    progress.activity("checking the machine")
    for finding in inspect_machine(host.name, host.cpu).warnings:
        progress.message(f"machine: {finding.name}: {finding.value}. {finding.advice}")


def _conclude(captured: Sequence[Captured], quiet: bool) -> None:
    """Print the folders of the runs and the next commands.

    Raises CaptureError if a configuration failed, OutputError if all that failed did so because nothing can be written.
    """
    done = [c for c in captured if c.failure is None]
    failed = [c for c in captured if c.failure is not None]
    if done and not quiet:
        for c in done:
            assert c.manifest is not None
            workload = c.manifest.workload.name
            first = next(d.manifest for d in done if d.manifest is not None and d.manifest.workload.name == workload)
            fallbacks = " (with fallbacks)" * bool(c.manifest.fallbacks)
            click.echo(plain(f"{c.folder}  {describe_run(first, c.manifest)}{fallbacks}"))
        labels = list(dict.fromkeys(c.folder.parent for c in done))
        click.echo("\nNext:")
        if len(labels) > 1:
            click.echo(f"  profkit diff {labels[0]} {labels[1]}")
        if len(labels) > 2:
            click.echo(f"  profkit compare {labels[0].parent}")
        click.echo(f"  profkit ops {done[-1].folder}")
        if done[-1].manifest is not None and done[-1].manifest.primitives is not None:
            click.echo(f"  profkit onednn {done[-1].folder} --warm")
        click.echo(f"  profkit view {labels[0].parent}")
    if failed:
        # each reason was printed when its round failed
        names = ", ".join(c.configuration.name for c in failed)
        kind = OutputError if all(c.unwritable for c in failed) else CaptureError
        raise kind(
            f"{len(failed)} of {len(captured)} configurations failed: {names}",
            hint="The reasons are above. The same command tries the missing rounds again.",
        )
