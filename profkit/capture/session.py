"""Runs a plan: captures all configurations by turns, round by round, and files the runs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from profkit.capture.blocks import Blocks
from profkit.capture.environments.environments import Environments
from profkit.capture.environments.interpreters import full_python_version, torch_version
from profkit.capture.filing import KILLED, Filing, explain_write_errors
from profkit.capture.host import describe_host
from profkit.capture.onednn_pass import pass_failed, run_pass, wants_pass
from profkit.capture.plan import Configuration
from profkit.capture.stopping import FEWEST_ROUNDS, Stopping
from profkit.capture.task import Listener, Task
from profkit.capture.variables import worker_variables
from profkit.errors import CaptureError, OutputError, ProfkitError, UsageError
from profkit.runs import Manifest
from profkit.runs.configuration import identity_differences
from profkit.runs.manifest import Host, Tool, Workload
from profkit.runs.settings import Settings
from profkit.runs.store import LOG_NAME
from profkit.shortening import LONGEST_QUOTED, shorten

INTERRUPTED = "interrupted"
STOPPED = (INTERRUPTED, KILLED)
"""Reasons why a run is not complete that are not its own: the same command goes on with it."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of one configuration; ``failure`` is None if the run is complete.

    ``unwritable`` says that it failed because files could not be written: the disk is full, for example.
    """

    configuration: Configuration
    folder: Path
    manifest: Manifest | None
    failure: str | None
    unwritable: bool = False


def run_session(
    configurations: Sequence[Configuration],
    options: Settings,
    logdir: Path,
    listener: Listener,
    *,
    overwrite: bool = False,
    environments: Environments | None = None,
    environ: Mapping[str, str] | None = None,
    host: Host | None = None,
) -> list[Captured]:
    """Capture every configuration, under the settings ``options`` and its own; return their outcomes in order.

    A configuration that fails does not stop the others. On an interruption the complete rounds are filed, and the
    same call continues the capture. ``environ`` (the process's own if None) supplies the user's variables that change
    what runs; ``host`` describes the machine (if None, as it is found).

    Raises UsageError if another configuration has the place of a run, before a worker starts; CaptureError if another
    capture has it, or no environment can be made; OutputError if a file cannot be written.
    """
    host, environ = host or describe_host(), os.environ if environ is None else environ
    filings = [Filing(logdir, c.label, c.workload.name, overwrite=overwrite) for c in configurations]
    opened: list[Task] = []
    try:
        tasks = [
            _prepare(c, Settings(options, **c.settings), filing, host, environ)
            for c, filing in zip(configurations, filings, strict=True)
        ]
        _find_interpreters(tasks, environments or Environments(listener.message, listener.activity), listener)
        for task in tasks:
            if not task.failure:
                task.filing.open()
                opened.append(task)
        _run_rounds(tasks, options, listener)
        for task in tasks:
            if wants_pass(task):
                run_pass(task, listener)
    except BaseException as error:
        for task in opened:
            if task.missing_rounds:
                task.failure = (
                    INTERRUPTED if isinstance(error, KeyboardInterrupt) else shorten(str(error), LONGEST_QUOTED)
                )
        raise
    finally:
        try:
            _file_runs(opened)
        finally:
            for filing in filings:
                filing.release()
    return [Captured(t.configuration, t.filing.folder, t.manifest, t.failure, t.unwritable) for t in tasks]


def _prepare(
    configuration: Configuration,
    settings: Settings,
    filing: Filing,
    host: Host,
    environ: Mapping[str, str],
) -> Task:
    """Lock the place of a run and return its task; raises UsageError if something else is there."""
    filing.acquire()
    if filing.overwrite:
        filing.require_replaceable()
    existing = None if filing.overwrite else filing.existing()
    manifest = new_manifest(configuration, settings, host, environ)
    if existing is None:
        return Task(configuration, settings, filing, manifest, wanted_rounds(settings, None), None, environ)
    require_same(filing, existing, configuration, manifest)
    if existing.host.instance_type is None:  # an older run, or one without --instance-type, of the same CPU
        known = msgspec.structs.replace(existing.host, instance_type=host.instance_type)
        existing = msgspec.structs.replace(existing, host=known)
    if existing.fallbacks:
        existing = msgspec.structs.replace(existing, settings=existing.settings.after_crash()[0])
    return Task(configuration, settings, filing, existing, wanted_rounds(settings, existing), existing, environ)


def wanted_rounds(settings: Settings, existing: Manifest | None) -> int:
    """Return how many rounds a run is to have at least; a capture that failed is continued, another one extended."""
    rounds: int = settings.rounds or FEWEST_ROUNDS
    if existing is None or (existing.status == "failed" and len(existing.rounds) <= rounds):
        return rounds
    return len(existing.rounds) + rounds


def require_same(filing: Filing, existing: Manifest, configuration: Configuration, manifest: Manifest) -> None:
    """Raise UsageError if ``existing`` is a run of another configuration than ``manifest``, its manifest to be."""
    _refuse(filing, [*_environment_differences(existing, configuration), *identity_differences(existing, manifest)])


def _environment_differences(existing: Manifest, configuration: Configuration) -> list[str]:
    """Return in words how PyTorch and Python differ from those of a run, as far as known before one is installed."""
    if configuration.python is not None:
        return _interpreter_differences(existing, configuration.python)
    if existing.torch is None or configuration.torch is None:
        return []
    version, request = existing.torch.version, configuration.torch.partition("+")[0]
    fits = version == request or version.startswith(f"{request}.")  # 2.0 asks for any 2.0.x
    return [] if fits else [f"torch.version was {version}, is {request}"]


def _refuse(filing: Filing, differing: Sequence[str]) -> None:
    """Raise UsageError if a run differs from the configuration to capture."""
    if differing:
        raise UsageError(
            f"holds a run of another configuration: {'; '.join(differing)}",
            where=filing.folder,
            hint="Use --overwrite to replace it, or another --label or --logdir to keep both.",
        )


def new_manifest(configuration: Configuration, settings: Settings, host: Host, environ: Mapping[str, str]) -> Manifest:
    """Return the manifest of a run without rounds: what is known before a worker ran."""
    order = configuration.workload
    return Manifest(
        status="failed",
        label=configuration.label,
        workload=Workload(
            name=order.name,
            source=order.source,
            task=order.task,
            batch=order.batch,
            seed=order.seed,
            weights=order.weights,
        ),
        settings=settings,
        environment={**worker_variables(settings, environ), **configuration.variables},
        host=host,
        tool=Tool(version=tool_version()),
    )


def new_session() -> str:
    """Return a name for a session that no other one has: its time (UTC) and a random number."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def tool_version() -> str:
    """Return the version of the installed profkit; ``unknown`` if it runs from a checkout."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("profkit")
    except PackageNotFoundError:
        return "unknown"


def _find_interpreters(tasks: Sequence[Task], environments: Environments, listener: Listener) -> None:
    """Give each task its interpreter; raises the first failure if none can be had for any.

    Raises UsageError if the interpreter or its PyTorch is not that of the run to which rounds would be added.
    """
    found: dict[tuple[str | None, tuple[str, ...]], Path | ProfkitError] = {}
    for task in tasks:
        configuration = task.configuration
        if configuration.python is not None:
            task.python = configuration.python
            continue
        wanted = (configuration.torch, configuration.workload.packages)
        if wanted not in found:
            try:
                found[wanted] = environments.ensure(*wanted).python
            except (CaptureError, OutputError) as error:
                found[wanted] = error
        answer = found[wanted]
        if isinstance(answer, Path):
            task.python = answer
        else:
            task.failure = str(answer)
    failures = [f for f in found.values() if isinstance(f, ProfkitError)]
    if failures and all(task.failure for task in tasks):
        raise failures[0]
    for failure in failures:
        listener.message(f"failed: {failure}")  # the others go on
    for task in tasks:
        if task.existing is not None and task.failure is None and task.configuration.python is None:
            _refuse(task.filing, _interpreter_differences(task.existing, task.python))


def _interpreter_differences(existing: Manifest, python: Path) -> list[str]:
    """Return in words how an interpreter and its PyTorch differ from those of a run, as far as both are known."""
    pairs = []
    if existing.torch is not None:
        pairs.append(("torch.version", existing.torch.version, torch_version(python)))
    if existing.python is not None:
        pairs.append(("python.version", existing.python.version, full_python_version(python)))
    return [f"{name} was {was}, is {now}" for name, was, now in pairs if now is not None and was != now]


def _run_rounds(tasks: Sequence[Task], options: Settings, listener: Listener) -> None:
    """Run the missing rounds of all tasks, workload by workload; the configurations of a workload take turns."""
    session = new_session()
    block = 0
    for workload in dict.fromkeys(task.configuration.workload.name for task in tasks):
        of_workload = [task for task in tasks if task.configuration.workload.name == workload]
        blocks = Blocks(of_workload, session, listener, Stopping(options), options.sequential, block)
        blocks.run()
        block = blocks.next_block


def _file_runs(tasks: Sequence[Task]) -> None:
    """Put the runs in their places; the first error is raised after the last one."""
    errors = []
    for task in tasks:
        try:
            _file_run(task)
        except ProfkitError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _file_run(task: Task) -> None:
    """Put the run in its place. A failed one is filed too, unless it would replace something better."""
    filing = task.filing
    if task.failure and filing.folder.exists() and (filing.overwrite or not task.added):
        filing.discard()
        return
    if not task.failure and not task.manifest.fallbacks and not pass_failed(task):
        with explain_write_errors(filing.staging):
            (filing.staging / LOG_NAME).unlink(missing_ok=True)  # nothing went wrong that it could explain
    complete = task.failure is None or (task.existing is not None and task.existing.status == "complete")
    task.manifest = msgspec.structs.replace(
        task.manifest, status="complete" if complete else "failed", reason=None if complete else task.failure
    )
    filing.commit(task.manifest)
