"""``profkit sweep``: capture along PyTorch versions or a setting, and show at which step the forward changed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.releases import releases_in
from profkit.capture.environments.requirements import parse_requirements
from profkit.capture.host import describe_host
from profkit.capture.plan import Configuration, along_versions, matrix
from profkit.capture.variables import parse_variables
from profkit.capture.workloads import WorkloadOptions, WorkloadOrder, resolve
from profkit.cli.capture_options import (
    complete_workload,
    options_of,
    package_options,
    requested_environments,
)
from profkit.cli.options import (
    FiniteRange,
    Output,
    margin_option,
    output_options,
    read_options,
    selection_options,
)
from profkit.cli.progress import CaptureProgress
from profkit.cli.show import show
from profkit.errors import CaptureError, UsageError
from profkit.experiments.sweep.session import Sweep, SweepPlan
from profkit.report.kinds.sweep import KIND
from profkit.report.rendering import FORMATS
from profkit.runs.setting import Setting
from profkit.runs.settings import PRECISION, SETTINGS, Settings
from profkit.trace.options import ReadOptions
from profkit.views.sweep import view_sweep

_ROUNDS = 5
_SPARE = 0.9  # of the free disk: what environments may take by default
EPILOG = """\b
Examples:
  profkit sweep resnet50 --torch 1.13..2.15 --discard-environments
  profkit sweep resnet50 --torch 2.0..2.2 --every patch --mode frozen -o sweep.html
  profkit sweep resnet50 --torch 2.15 --threads 1..4
  profkit sweep distilbert-sentiment --torch 2.2 --package transformers==4.40..4.45
  profkit sweep resnet50 --torch 2.15 --batch 1,2,4,8 --plot operators -o batches.svg
  profkit sweep resnet50 --torch 2.15 --env ONEDNN_MAX_CPU_ISA=AVX2 --env ONEDNN_MAX_CPU_ISA=AVX512_CORE
"""


def _sweep_settings() -> list[Setting]:
    """Return the settings of a capture; every group has the same number of rounds, whatever is known by then."""
    chosen = [setting for setting in SETTINGS if setting.name not in (*PRECISION, "max_time_s")]
    changed = {"default": _ROUNDS, "optional": False, "default_text": None}
    return [replace(setting, **changed) if setting.name == "rounds" else setting for setting in chosen]


@click.command("sweep", epilog=EPILOG)
@click.argument("workloads", nargs=-1, required=True, metavar="WORKLOAD...", shell_complete=complete_workload)
@click.option(
    "--torch",
    "torches",
    multiple=True,
    metavar="VERSION|FIRST..LAST",
    help="PyTorch version, or a range of releases such as 1.13..2.15. Repeatable.",
)
@click.option(
    "--every",
    type=click.Choice(("minor", "patch")),
    default="minor",
    show_default=True,
    help="The releases of a range: the newest patch of each minor version, or every patch.",
)
@package_options
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="Environment variable of the workers. Repeatable: several values of one variable are steps of the sweep.",
)
@click.option(
    "--package",
    "package_axis",
    metavar="NAME==V1,V2|FIRST..LAST",
    help="Versions of a package beside PyTorch: those named, or the newest patch of each minor version of a range.",
)
@options_of(_sweep_settings())
@click.option(
    "--logdir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("logs"),
    show_default=True,
    help="Folder for the runs: LOGDIR/LABEL/WORKLOAD.",
)
@click.option(
    "--discard-environments",
    is_flag=True,
    help="Remove each environment that the sweep made once it is not needed any more.",
)
@click.option(
    "--max-disk",
    "disk_gb",
    type=FiniteRange(min=1, max=1e6),
    metavar="GB",
    help="Most that new environments may take, in GB.  [default: 90% of what is free]",
)
@click.option(
    "--torchbench",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of a checkout of TorchBench, for workloads named torchbench:NAME.",
)
@click.option("--no-capture", is_flag=True, help="Only show the runs that are there.")
@margin_option
@selection_options(KIND)
@read_options
@output_options(*FORMATS, plots=tuple(KIND.pictures), quiet="Show no progress, and do not say which file was written.")
def command(
    workloads: Sequence[str],
    torches: Sequence[str],
    every: str,
    variables: Sequence[str],
    packages: Sequence[str],
    requirement_files: Sequence[Path],
    package_axis: str | None,
    logdir: Path,
    discard_environments: bool,
    disk_gb: float | None,
    torchbench: Path | None,
    no_capture: bool,
    margin: float,
    sort: str | None,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
    **values: Any,
) -> None:
    """Capture WORKLOAD along PyTorch versions or the values of a setting, and show where the forward changed.

    The axis is the one option that has several values. Neighbours on it are captured by turns, in groups that share
    the first configuration, so that the drift of the machine does not look like a change. Every step that is shown to
    be faster or slower comes with the operators and findings behind it. A release that cannot be installed or crashes
    is a row that says so. The same command goes on where it was stopped.
    """
    varied = {s.name: values.pop(s.name) or [s.default] for s in SETTINGS if s.repeatable}
    options = Settings(values)
    beside = parse_requirements(packages, requirement_files)
    versions = [version for request in torches for version in releases_in(request, patches=every == "patch")]
    chosen = parse_variables(variables)

    def orders(settings: Settings) -> list[WorkloadOrder]:
        wanted = WorkloadOptions.of(settings, torchbench)
        return [resolve(word, wanted).with_packages(beside) for word in workloads]

    names = [order.name for order in orders(options.changed(**{name: found[0] for name, found in varied.items()}))]
    with CaptureProgress(quiet=output.quiet, colour=output.colour) as progress:
        environments = Environments(progress.message, progress.activity)
        axis = _package_versions(package_axis, versions, environments)
        _require_one_axis(
            {"--torch": versions, "--package": axis, **{f"--{k}": v for k, v in varied.items()}, **chosen}
        )
        requests = requested_environments(versions, [], environments, dry_run=no_capture)
        configurations = matrix(orders, requests, varied, None, options, chosen)
        steps = _steps(along_versions(configurations, axis) if axis else configurations)
        failures: dict[tuple[str, str], str] = {}
        if not no_capture:
            allowed = round((disk_gb * 1e9) if disk_gb is not None else _SPARE * _free(environments.folder))
            plan = SweepPlan(list(steps.values()), options, logdir, discard_environments, allowed)
            failures = _capture(plan, environments, progress)
        result = view_sweep(logdir, list(steps), names, failures, reading, margin / 100)
    show(KIND, result, output, pattern, sort, top)
    if failures:
        raise CaptureError(f"{len(failures)} of {sum(map(len, steps.values()))} runs could not be captured")


def _capture(plan: SweepPlan, environments: Environments, progress: CaptureProgress) -> dict[tuple[str, str], str]:
    """Capture what is missing; return why runs could not be captured, by label and workload."""
    sweep = Sweep(plan, environments, progress, describe_host())
    progress.message(sweep.describe())
    with progress.resumable():
        sweep.run()
    return sweep.failures


def _package_versions(request: str | None, torches: Sequence[str], environments: Environments) -> list[str]:
    """Return a requirement for each version that ``--package`` names; none without it.

    Raises UsageError if the environment is not one that profkit makes.
    """
    if request is None:
        return []
    if not torches:
        raise UsageError("versions of a package need environments", where="--package", hint="Add --torch VERSION.")
    name, versions = environments.versions_of(request, torches[0])
    return [f"{name}=={version}" for version in versions]


def _require_one_axis(given: dict[str, Any]) -> None:
    """Raise UsageError unless exactly one of the options has several values."""
    several = [name for name, found in given.items() if len(found) > 1]
    if len(several) != 1:
        what = " and ".join(several) + " have several values each" if several else "no option has several values"
        raise UsageError(
            f"{what}, and a sweep goes along one", hint="Give a range such as --torch 1.13..2.15 or --threads 1..4."
        )


def _steps(configurations: Sequence[Configuration]) -> dict[str, list[Configuration]]:
    """Return the configurations by label, in order; those of one label are its workloads."""
    found: dict[str, list[Configuration]] = {}
    for configuration in configurations:
        found.setdefault(configuration.label, []).append(configuration)
    return found


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free
