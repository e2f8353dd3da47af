"""How many processes serve requests best with a configuration: a load test at equal shares of the processors."""

from __future__ import annotations

from profkit.capture.environments.environments import Environments
from profkit.capture.plan import Configuration
from profkit.capture.task import Listener
from profkit.comparison.records.load import LoadPoint
from profkit.experiments.load.levels import Concurrency, powers_up_to, usable_cores
from profkit.experiments.load.session import LoadPlan, LoadSession
from profkit.runs.settings import Settings

DURATION_S = 20.0  # of each number of processes, in slices by turns


def measure_processes(
    configuration: Configuration,
    options: Settings,
    environments: Environments,
    listener: Listener,
    duration_s: float = DURATION_S,
) -> list[LoadPoint]:
    """Return what 1, 2, 4, … processes answer in a closed loop, with as many threads in all as there are processors.

    Empty on a machine with one processor. Raises CaptureError if no process gets ready.
    """
    cores = usable_cores(Settings(options, **configuration.settings).cpus)
    if cores < 2:
        return []
    python = configuration.python
    if python is None:
        python = environments.ensure(configuration.torch, configuration.workload.packages).python
    plan = LoadPlan(Concurrency(powers_up_to(cores), auto=False), None, duration_s)
    session = LoadSession(configuration, options, python, plan, listener)
    session.run()
    return session.result().points
