"""``profkit capture``: make runs, one per configuration."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import click
from click.shell_completion import CompletionItem

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.interpreters import python_version, torch_version
from profkit.capture.environments.releases import check_request, releases
from profkit.capture.plan import FPMATH, MODES, Mode, Options, matrix
from profkit.capture.session import Captured, run_session
from profkit.capture.workloads import known_workloads, resolve
from profkit.cli.options import use_colour
from profkit.cli.progress import CaptureProgress
from profkit.errors import CaptureError, UsageError

EPILOG = """\b
Examples:
  profkit capture resnet50 --torch 1.13 --torch 2.0
  profkit capture resnet50 vit_b_16 --torch 2.0 --fpmath fp32 --fpmath bf16
  profkit capture resnet50 --torch 2.0 --mode eager --mode frozen
  profkit capture my_model.py:make --python ~/venv/bin/python --label before
  profkit capture resnet50 --torch 2.0 --rounds 6     (adds to the run that is there)
"""


def _complete_workload(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = [CompletionItem(name) for name in known_workloads() if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def _complete_torch(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [version for version in releases() if version.startswith(incomplete)]


@click.command("capture", epilog=EPILOG)
@click.argument("workloads", nargs=-1, required=True, metavar="WORKLOAD...", shell_complete=_complete_workload)
@click.option(
    "--torch",
    "torches",
    multiple=True,
    metavar="VERSION",
    shell_complete=_complete_torch,
    help="PyTorch to capture in, 2.0 or 2.0.1; an environment is made. Repeatable.",
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="An interpreter that has torch, instead. Repeatable.",
)
@click.option(
    "--fpmath",
    "fpmaths",
    multiple=True,
    type=click.Choice(list(FPMATH)),
    help="oneDNN's fpmath mode. Repeatable.  [default: fp32]",
)
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(MODES),
    help="How the model runs; frozen is TorchScript optimised for inference. Repeatable.  [default: eager]",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Fresh processes per configuration."
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Forwards timed, and forwards profiled, per round.",
)
@click.option(
    "--warmup",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Forwards before, at least; up to three times as many until they are level.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads within an operator.  [default: PyTorch's]")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images per forward.")
@click.option(
    "--weights",
    type=click.Choice(["random", "pretrained"]),
    default="random",
    show_default=True,
    help="Random ones are the same in every version.",
)
@click.option(
    "--lru-cache-capacity",
    type=click.IntRange(min=1),  # at 0 PyTorch 1.13, 2.0 and 2.15 die of SIGSEGV in their first convolution
    default=1024,
    show_default=True,
    help="LRU_CACHE_CAPACITY, of PyTorch's oneDNN primitives; 0 crashes PyTorch.",
)
@click.option("--with-stack", is_flag=True, help="Record Python stacks and modules; slower, and some versions crash.")
@click.option(
    "--onednn/--no-onednn",
    default=True,
    show_default=True,
    help="One more process per configuration, after the rounds: forwards under oneDNN's verbose log.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=1800,
    show_default=True,
    help="Seconds after which a round counts as hung.",
)
@click.option("--label", help="Name of the runs.  [default: the version, -FPMATH, -MODE]")
@click.option(
    "--logdir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("logs"),
    show_default=True,
    help="Where runs go: LOGDIR/LABEL/WORKLOAD.",
)
@click.option("--overwrite", is_flag=True, help="Replace a run instead of adding rounds to it.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--no-color", is_flag=True, help="No colour, as with NO_COLOR set.")
def command(
    workloads: Sequence[str],
    torches: Sequence[str],
    pythons: Sequence[Path],
    fpmaths: Sequence[str],
    modes: Sequence[Mode],
    batch: int,
    weights: str,
    timeout: float,
    label: str | None,
    logdir: Path,
    overwrite: bool,
    quiet: bool,
    no_color: bool,
    **options: Any,
) -> None:
    """Capture WORKLOAD in every combination of PyTorch, fpmath and mode.

    A WORKLOAD is a torchvision classification model, or path/to/file.py:make where make() returns (model, inputs).
    Per round and configuration a fresh process warms up, times forwards with the profiler off, then profiles them.
    Without --torch and --python it is the interpreter that runs profkit, if it has torch, else the newest PyTorch.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    orders = [resolve(word, batch=batch, weights=weights) for word in workloads]
    with CaptureProgress(quiet=quiet, colour=use_colour(no_color, sys.stderr)) as progress:
        environments = Environments(progress.say, progress.step)
        places = _environments([check_request(version) for version in torches], pythons, environments)
        configurations = matrix(orders, places, fpmaths or ["fp32"], modes or ["eager"], label)
        captured = run_session(
            configurations,
            Options(timeout_s=timeout, **options),
            logdir,
            progress,
            overwrite=overwrite,
            environments=environments,
        )
    _conclude(captured, quiet)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _environments(
    torches: Sequence[str], pythons: Sequence[Path], environments: Environments
) -> list[tuple[str | None, Path | None, str]]:
    """Return (version, interpreter, start of the label) of each environment asked for."""
    if not torches and not pythons:
        here = torch_version(Path(sys.executable))
        if here is not None:
            return [(None, Path(sys.executable), here)]
        newest = environments.ensure(None).torch
        return [(newest, None, newest)]
    found: list[tuple[str | None, Path | None, str]] = [(version, None, version) for version in torches]
    for python in pythons:
        if python_version(python) is None:
            raise UsageError("is no Python that runs", where=python, hint="Pass the path of an interpreter.")
        version = torch_version(python)
        if version is None:
            raise CaptureError("has no torch", where=python, hint="Install it there, or use --torch VERSION.")
        found.append((None, python.absolute(), version))
    return found


def _conclude(captured: Sequence[Captured], quiet: bool) -> None:
    """Print where the runs are and what to do with them; raises CaptureError where some failed."""
    done = [c for c in captured if c.failure is None]
    failed = [c for c in captured if c.failure is not None]
    if done and not quiet:
        for c in done:
            assert c.manifest is not None
            rounds = len(c.manifest.rounds)
            click.echo(
                f"{c.folder}  {rounds} round{'s' * (rounds != 1)}{'  (with fallbacks)' * bool(c.manifest.fallbacks)}"
            )
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
        reasons = "; ".join(f"{c.configuration.who}: {c.failure}" for c in failed)
        raise CaptureError(f"{len(failed)} of {len(captured)} configurations failed: {reasons}")
