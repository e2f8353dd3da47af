"""``profkit capture``: capture runs, one per configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.interpreters import python_version, torch_version
from profkit.capture.environments.releases import check_request, newest_minor, release_of, releases
from profkit.capture.environments.requirements import parse_requirements
from profkit.capture.host import describe_host
from profkit.capture.machine import inspect_machine
from profkit.capture.plan import EnvironmentRequest, matrix
from profkit.capture.preview import preview
from profkit.capture.results import describe_run
from profkit.capture.session import Captured, run_session
from profkit.capture.variables import parse_variables
from profkit.capture.workloads import WorkloadOptions, known_workloads, resolve
from profkit.cli.options import use_colour
from profkit.cli.progress import CaptureProgress
from profkit.errors import CaptureError, OutputError, UsageError
from profkit.report.escape import plain
from profkit.runs.setting import Setting
from profkit.runs.settings import SETTINGS, Settings

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic in older versions of click

_F = TypeVar("_F", bound=Callable[..., Any])
_SUFFIXES = ", ".join(s.label_suffix.format(value=s.name.upper()) for s in SETTINGS if s.label_suffix)
RESUMABLE = "The complete rounds are kept; the same command continues the capture."

EPILOG = """\b
Examples:
  profkit capture resnet50 --torch 1.13 --torch 2.0
  profkit capture resnet50 vit_b_16 --torch 2.0 --fpmath fp32 --fpmath bf16
  profkit capture resnet50 --torch 2.0 --mode eager --mode frozen
  profkit capture my_model.py:make --python ~/venv/bin/python --label before
  profkit capture resnet50 --torch 1.13 --torch 2.0 --until 1 --max-time 900
  profkit capture resnet50 --torch 2.0 --rounds 6     (adds 6 rounds to the existing run)
"""


def _complete_workload(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = [CompletionItem(w.name) for w in known_workloads() if w.name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def _complete_torch(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [version for version in releases() if version.startswith(incomplete)]


def setting_options(command: _F) -> _F:
    """Add an option for each setting that has a flag; the command gets its value, or a tuple if it is repeatable."""
    for setting in reversed(SETTINGS):
        if setting.flags:
            command = _option(setting)(command)
    return command


def _checked(setting: Setting, value: Any) -> Any:
    """Return the value of a number's option; raises click.BadParameter in words if the setting refuses it."""
    try:
        return setting.check(value)
    except ValueError as error:
        raise click.BadParameter(str(error).removeprefix(f"settings.{setting.name} ")) from None


class _Integer(click.IntRange):
    """A whole number that a setting checks."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(min=setting.minimum)
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; fails in words if it does not fit."""
        return _checked(self._setting, super().convert(value, param, ctx))


class _Number(click.FloatRange):
    """A number that a setting checks."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(min=setting.minimum)
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; fails in words if it does not fit."""
        return _checked(self._setting, super().convert(value, param, ctx))


class _Text(_ParamType):
    """A text that a setting checks."""

    name = "text"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; fails in words if it does not fit."""
        try:
            return self._setting.check(value)
        except ValueError:
            self.fail(f"{value!r} is not {self._setting.pattern_text}", param, ctx)


def _option(setting: Setting) -> Callable[[_F], _F]:
    """Return the click option of a setting."""
    default = setting.default
    if isinstance(default, float) and default.is_integer():
        default = int(default)  # the help shows 1800, not 1800.0; click converts it back
    shown: dict[str, Any] = {"default": default, "show_default": True}
    help_ = setting.help
    if setting.repeatable:
        shown, help_ = {"multiple": True}, f"{help_} Repeatable.  [default: {setting.default}]"
    elif setting.default is None:
        shown, help_ = {}, f"{help_}  [default: {setting.default_text}]"
    elif setting.type is bool and "/" not in setting.flags[0]:
        shown = {"is_flag": True}
    kind: Any = _Text(setting) if setting.pattern else setting.type
    if setting.choices:
        kind = click.Choice(setting.choices)
    elif setting.minimum is not None:
        kind = (_Integer if setting.type is int else _Number)(setting)
    return click.option(*setting.flags, setting.name, type=kind, metavar=setting.metavar, help=help_, **shown)


@click.command("capture", epilog=EPILOG)
@click.argument("workloads", nargs=-1, required=True, metavar="WORKLOAD...", shell_complete=_complete_workload)
@click.option(
    "--torch",
    "torches",
    multiple=True,
    metavar="VERSION",
    shell_complete=_complete_torch,
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
@click.option(
    "--with",
    "packages",
    multiple=True,
    metavar="PACKAGE[==VERSION]",
    help="Install this package beside PyTorch, in an environment of its own. Repeatable.",
)
@click.option(
    "--requirements",
    "requirement_files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Install the packages that this file lists, one per line, beside PyTorch. Repeatable.",
)
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
    machine cancels in their ratios. Rounds go on until the ratios are known (--until) or time is up (--max-time).

    Without --torch and --python, the capture uses the interpreter that runs profkit if torch is installed there, else
    an environment with the newest PyTorch.
    """
    varied = {s.name: values.pop(s.name) or [s.default] for s in SETTINGS if s.repeatable}
    options = Settings(values)
    wanted = WorkloadOptions(options.batch, options.weights, options.sequence_length, options.seed, torchbench)
    beside = parse_requirements(packages, requirement_files)
    orders = [resolve(word, wanted).with_packages(beside) for word in workloads]
    with CaptureProgress(quiet=quiet, colour=use_colour(no_color, sys.stderr)) as progress:
        environments = Environments(progress.message, progress.activity)
        requests = _environments([check_request(version) for version in torches], pythons, environments, dry_run)
        configurations = matrix(orders, requests, varied, label, options, parse_variables(variables))
        if dry_run:
            for line in preview(configurations, options, logdir, environments, overwrite=overwrite):
                click.echo(line)
            return
        if not quiet:
            _warn_of_machine(progress)
        try:
            captured = run_session(
                configurations, options, logdir, progress, overwrite=overwrite, environments=environments
            )
        except KeyboardInterrupt:
            progress.message("Runs that were not replaced yet are unchanged." if overwrite else RESUMABLE)
            raise
    _conclude(captured, quiet)


def _warn_of_machine(progress: CaptureProgress) -> None:
    """Name what on this machine may disturb the measurement; the capture goes on."""
    progress.activity("looking at the machine")
    host = describe_host()
    for finding in inspect_machine(host.name, host.cpu).warnings:
        progress.message(f"machine: {finding.name}: {finding.value}. {finding.advice}")


def _environments(
    torches: Sequence[str], pythons: Sequence[Path], environments: Environments, dry_run: bool
) -> list[EnvironmentRequest]:
    """Return the requested environments, those of --torch first; without a request, one is made unless ``dry_run``.

    Raises UsageError if a path is not an interpreter, CaptureError if torch is not installed.
    """
    if not torches and not pythons:
        installed = torch_version(Path(sys.executable))
        if installed is not None:
            return [EnvironmentRequest(None, Path(sys.executable), installed)]
        newest = release_of(newest_minor()).newest if dry_run else environments.ensure(None).torch
        return [EnvironmentRequest(newest, None, newest)]
    found = [EnvironmentRequest(version, None, version) for version in torches]
    for python in pythons:
        if python_version(python) is None:
            raise UsageError(
                "is not a working Python interpreter", where=python, hint="Pass the path of an interpreter."
            )
        version = torch_version(python)
        if version is None:
            raise CaptureError("torch is not installed", where=python, hint="Install it there, or use --torch VERSION.")
        found.append(EnvironmentRequest(None, python.absolute(), version))
    return found


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
