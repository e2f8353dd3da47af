"""``profkit load``: throughput and latency of a workload under load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.releases import check_request
from profkit.capture.environments.requirements import parse_requirements
from profkit.capture.plan import Configuration, matrix
from profkit.capture.variables import parse_variables
from profkit.capture.workloads import WorkloadOptions, resolve
from profkit.cli.capture_options import (
    complete_torch,
    complete_workload,
    options_of,
    package_options,
    requested_environments,
)
from profkit.cli.options import FiniteRange, Output, output_options, selection_options
from profkit.cli.progress import CaptureProgress
from profkit.cli.show import show
from profkit.errors import CaptureError, UsageError
from profkit.experiments.load.answers import parse_limit
from profkit.experiments.load.arrivals import parse_rates
from profkit.experiments.load.levels import parse_concurrency
from profkit.experiments.load.session import LoadPlan, LoadSession
from profkit.report.kinds.load import KIND
from profkit.report.rendering import FORMATS
from profkit.runs.setting import Setting
from profkit.runs.settings import SETTINGS, Settings

EPILOG = """\b
Examples:
  profkit load resnet50 --torch 2.15
  profkit load resnet50 --torch 2.15 --concurrency 4 --latency-limit p90=50ms
  profkit load resnet50 --mode frozen --rate auto --duration 30 -o load.html
  profkit load my_model.py:make --concurrency 2 --rate 10,20,40 --latency-limit p99=0.2s
  profkit load resnet50 --threads 1 --concurrency 1,2,3 --format json -o load.json
"""
_DURATION_S = 10.0  # 400 requests of 25 ms, enough for p90; a minute for three levels, with their start
_CHANGED = {
    "threads": {"default_text": "processors / processes, at least 1", "help": "Intra-op threads of each process."},
    "timeout_s": {"help": "End a process that takes longer than this (seconds) to get ready."},
}


def _load_settings() -> list[Setting]:
    """Return the settings of a capture that say what runs, and how it gets ready; one value each."""
    chosen = [s for s in SETTINGS if (s.recorded and not s.measuring) or s.name in ("warmup", "timeout_s")]
    return [replace(s, repeatable=False, **_CHANGED.get(s.name, {})) for s in chosen]


@click.command("load", epilog=EPILOG)
@click.argument("workload", metavar="WORKLOAD", shell_complete=complete_workload)
@click.option(
    "--torch",
    metavar="VERSION",
    shell_complete=complete_torch,
    help="PyTorch version, such as 2.0 or 2.0.1; its environment is created if needed.",
)
@click.option(
    "--python",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Use this Python interpreter (torch must be installed) instead of creating an environment.",
)
@click.option(
    "--concurrency",
    default="auto",
    show_default=True,
    metavar="N|A,B,C|auto",
    help="Processes, each with one request at a time: 1, 2, 4, … up to N, or these numbers. auto: up to one per "
    "processor, and up to four per processor while throughput is shown to rise and memory allows.",
)
@click.option(
    "--rate",
    metavar="R[,R...]|auto",
    help="Then measure an open loop too: requests per second that arrive at random times (a Poisson process), on N "
    "processes (auto: as many as gave the best throughput). auto: 30% to 90% of the closed loop's throughput.",
)
@click.option(
    "--duration",
    "duration_s",
    type=FiniteRange(min=0.1, max=86_400),
    default=_DURATION_S,
    show_default=True,
    metavar="SECONDS",
    help="Time that each point is measured for, in five slices; the points take turns.",
)
@click.option(
    "--latency-limit",
    metavar="QUANTILE=TIME",
    help="Find the best throughput with p50, p90 or p99 within this time, such as p90=50ms.",
)
@package_options
@click.option(
    "--env", "variables", multiple=True, metavar="NAME=VALUE", help="Environment variable of the processes. Repeatable."
)
@click.option(
    "--torchbench",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of a checkout of TorchBench, for a workload named torchbench:NAME.",
)
@options_of(_load_settings())
@selection_options(KIND)
@output_options(*FORMATS, plots=tuple(KIND.pictures), quiet="Show no progress, and do not say which file was written.")
def command(
    workload: str,
    torch: str | None,
    python: Path | None,
    concurrency: str,
    rate: str | None,
    duration_s: float,
    latency_limit: str | None,
    packages: Sequence[str],
    requirement_files: Sequence[Path],
    variables: Sequence[str],
    torchbench: Path | None,
    sort: str | None,
    top: int | None,
    pattern: str | None,
    output: Output,
    **values: Any,
) -> None:
    """Measure how many requests per second WORKLOAD answers on this machine, and how fast.

    Each process has a model of its own and answers one request (one forward) at a time. In the closed loop each is sent
    the next request when the last one is answered. In the open loop (--rate) requests arrive at random times and wait
    in one queue; their latency counts from the arrival, so that waiting is part of it.

    A WORKLOAD is what profkit capture takes. Without --torch and --python, the interpreter that runs profkit is used if
    torch is installed there, else an environment with the newest PyTorch.
    """
    limit = None if latency_limit is None else parse_limit(latency_limit)
    plan = LoadPlan(parse_concurrency(concurrency), None if rate is None else parse_rates(rate), duration_s, limit)
    if torch is not None and python is not None:
        raise UsageError("give one of --torch and --python", hint="A load test runs in one environment.")
    options = Settings(values)
    interrupt: KeyboardInterrupt | None = None
    with CaptureProgress(quiet=output.quiet, colour=output.colour) as progress:
        environments = Environments(progress.message, progress.activity)
        order = resolve(workload, WorkloadOptions.of(options, torchbench)).with_packages(
            parse_requirements(packages, requirement_files)
        )
        (request,) = requested_environments(
            [check_request(torch)] if torch is not None else [],
            [python] if python is not None else [],
            environments,
            dry_run=False,
        )
        given = {name: found[-1:] for name, found in parse_variables(variables).items()}
        (configuration,) = matrix([order], [request], {}, None, options, given)
        session = LoadSession(configuration, options, _interpreter(configuration, environments), plan, progress)
        try:
            session.run()
        except KeyboardInterrupt as error:  # SIGTERM and SIGHUP too, which end with their own status
            interrupt = error
    if session.has_points:
        show(KIND, session.result(), output, pattern, sort, top)
    if interrupt is not None:
        raise interrupt
    if session.failures:
        raise CaptureError(f"not all of it was measured: {'; '.join(session.failures)}")


def _interpreter(configuration: Configuration, environments: Environments) -> Path:
    """Return the interpreter of a configuration; its environment is made if it is missing."""
    if configuration.python is not None:
        return configuration.python
    return environments.ensure(configuration.torch, configuration.workload.packages).python
