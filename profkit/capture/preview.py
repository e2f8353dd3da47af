"""What a capture would do, in words: environments, runs, about how long and how much disk. Nothing is made for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from profkit import units
from profkit.capture.environments.environments import Environments
from profkit.capture.filing import Filing
from profkit.capture.host import describe_host
from profkit.capture.plan import Configuration
from profkit.capture.session import new_manifest, require_same, wanted_rounds
from profkit.capture.stopping import FEWEST_ROUNDS, ROUNDS_AFTER
from profkit.errors import InputError
from profkit.files import is_regular_file
from profkit.runs import Manifest, find_runs
from profkit.runs.manifest import Host, Round
from profkit.runs.settings import Settings

START_S = 6.0  # of a worker: to import PyTorch and build ResNet-50, on a machine with 2 cores
ENVIRONMENT_BYTES = (1_000_000_000, 5_000_000_000)  # of CPU-only wheels, and of the largest default ones
RUN_BYTES = 1_100_000  # of five rounds of ResNet-50 in eager mode, and of its log
_NS_PER_S = 1e9


class _Planned(NamedTuple):
    """A configuration, its place, the run already there, and one of the same workload to estimate from, if any."""

    configuration: Configuration
    folder: Path
    existing: Manifest | None
    rounds: int
    known: Path | None


def preview(
    configurations: Sequence[Configuration],
    options: Settings,
    logdir: Path,
    environments: Environments,
    *,
    overwrite: bool = False,
    environ: Mapping[str, str] | None = None,
    host: Host | None = None,
) -> Iterator[str]:
    """Yield the lines that describe what :func:`run_session` would do with the same arguments.

    Raises UsageError if it would refuse to: another configuration has the place of a run.
    """
    host, environ = host or describe_host(), os.environ if environ is None else environ
    planned = [_plan(c, options, logdir, host, environ, overwrite=overwrite) for c in configurations]
    workloads = list(dict.fromkeys(p.configuration.workload.name for p in planned))
    yield f"{counted(len(planned), 'configuration')} of {counted(len(workloads), 'workload')}: {', '.join(workloads)}"
    yield ""
    missing = 0
    for line, is_missing in _environments(configurations, environments):
        yield line
        missing += is_missing
    yield ""
    yield "Runs:"
    for p in planned:
        yield f"  {p.folder}  {_state(p, overwrite=overwrite)}"
    yield ""
    for name in workloads:
        yield from _time([p for p in planned if p.configuration.workload.name == name], name, options)
    yield _disk(planned, missing, logdir, environments.folder)
    yield "Nothing was made: this is what the command without --dry-run would do."


def _plan(
    configuration: Configuration,
    options: Settings,
    logdir: Path,
    host: Host,
    environ: Mapping[str, str],
    *,
    overwrite: bool,
) -> _Planned:
    settings = Settings(options, **configuration.settings)
    name = configuration.workload.name
    filing = Filing(logdir, configuration.label, name, overwrite=overwrite)
    if overwrite:
        filing.require_replaceable()
    existing = None if overwrite else filing.existing()
    if existing is not None:
        require_same(filing, existing, configuration, new_manifest(configuration, settings, host, environ))
    rounds = wanted_rounds(settings, existing) - (len(existing.rounds) if existing is not None else 0)
    places = [filing.folder, *sorted(logdir.glob(f"*/{name}"))]
    known = next((place for place in places if _rounds_of(place)), None)
    return _Planned(configuration, filing.folder, existing, rounds, known)


def _rounds_of(folder: Path) -> list[Round]:
    """Return the rounds of the run in a folder; none if there is no run."""
    if not folder.is_dir():
        return []
    try:
        return [r for run in find_runs(folder) if run.manifest is not None for r in run.manifest.rounds]
    except InputError:
        return []


def _environments(configurations: Sequence[Configuration], environments: Environments) -> Iterator[tuple[str, bool]]:
    """Yield a line and whether it is about an environment that is missing."""
    yield "Environments:", False
    wanted = dict.fromkeys((c.torch, c.python, c.workload.packages) for c in configurations)
    for torch, python, packages in wanted:
        if torch is None:
            yield f"  {python}  is used as it is", False
            continue
        plan = environments.plan(torch, packages)
        if not plan.commands:
            yield f"  {plan.name}  exists", False
            continue
        yield f"  {plan.name}  would be made in {environments.folder} by", True
        for command in plan.commands:
            yield f"    {command}", False
        yield "    (without --torch-backend cpu if no CPU-only wheels are available)", False


def _state(planned: _Planned, *, overwrite: bool) -> str:
    if overwrite and planned.folder.exists():
        return "is replaced"
    if planned.existing is None:
        return "is new"
    return f"has {counted(len(planned.existing.rounds), 'round')}; more are added"


def _time(planned: Sequence[_Planned], name: str, options: Settings) -> Iterator[str]:
    """Yield about how long the rounds of one workload take."""
    passes = len(planned) * bool(options.onednn)
    after = f", then {counted(passes, 'process', 'processes')} for oneDNN's log" * bool(passes)
    if options.rounds is None and len(planned) > 1:
        rounds = FEWEST_ROUNDS + ROUNDS_AFTER
        operators = (
            f" and those of large operators to {options.until_operators:g}% unless that takes far more rounds"
            if options.until_operators
            else ""
        )
        yield (
            f"{name}: {rounds} rounds or more of each configuration, until the ratios of latencies are known to "
            f"{options.until:g}%{operators}, but no new ones after {units.minutes(options.max_time_s)}{after}"
        )
        return
    processes = sum(p.rounds for p in planned)
    text = f"{name}: {counted(processes, 'process', 'processes')}, one per round{after}"
    forwards = f"{options.warmup} or more warm-up, {options.steps} timed and {options.steps} profiled forwards"
    seconds = [_seconds(p) for p in planned]
    if any(s is None for s in seconds):
        yield f"{text}; each takes about {START_S:.0f} s and {forwards}, of which the time is not known yet"
        return
    whole = sum(s * (p.rounds + bool(options.onednn)) for s, p in zip(seconds, planned, strict=True) if s is not None)
    yield f"{text}; about {units.minutes(whole)}, by the rounds that {planned[0].known} has"


def _seconds(planned: _Planned) -> float | None:
    """Return about how long one round takes (s), by those of a run of the same workload; None without one."""
    if planned.known is None:
        return None
    rounds = _rounds_of(planned.known)
    spent = [sum(r.warmup_ns) + sum(r.latency_ns) + sum(r.profiled_ns) for r in rounds]
    return START_S + sum(spent) / len(spent) / _NS_PER_S


def _disk(planned: Sequence[_Planned], missing: int, logdir: Path, cache: Path) -> str:
    runs = sum(_run_bytes(p) for p in planned)
    text = f"Disk: about {units.file_size(runs)} for the runs ({_free(logdir)} free in {logdir})"
    if missing:
        least, most = (units.file_size(missing * size) for size in ENVIRONMENT_BYTES)
        text += f"; {least} to {most} for environments ({_free(cache)} free in {cache})"
    return text


def _run_bytes(planned: _Planned) -> int:
    """Return about how many bytes the new rounds of a run take."""
    if planned.known is None:
        return RUN_BYTES
    sizes = [path.stat().st_size for path in planned.known.iterdir() if is_regular_file(path)]
    return round(sum(sizes) / len(_rounds_of(planned.known)) * planned.rounds)


def _free(folder: Path) -> str:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return units.file_size(shutil.disk_usage(there).free)


def counted(number: int, one: str, several: str = "") -> str:
    """Return a count with its noun: ``1 process``, ``2 processes``."""
    return f"{number} {one if number == 1 else several or one + 's'}"
