"""Runs a plan: starts workers round by round, survives them, files what they leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import msgspec

from profkit.capture.environments.environments import Environments
from profkit.capture.filing import Filing, what_differs, writing
from profkit.capture.host import describe_host
from profkit.capture.plan import Configuration, Options, order_of_round
from profkit.capture.process import Outcome, Report, run_worker
from profkit.errors import CaptureError, ProfkitError, UsageError
from profkit.runs import Manifest
from profkit.runs.manifest import Fallback, Host, PrimitivesPass, Python, Round, Settings, Tool, Torch, Workload
from profkit.runs.store import LOG_NAME

INTERRUPTED = "interrupted"
ONEDNN_PASS = "the pass with oneDNN's log"
ONEDNN_STEPS = 10  # forwards under oneDNN's log, at most
# the DNNL names are those that the oneDNN of PyTorch 1.13 knows
VERBOSE = ("ONEDNN_VERBOSE", "DNNL_VERBOSE")
TIME_STAMPS = ("ONEDNN_VERBOSE_TIMESTAMP", "DNNL_VERBOSE_TIMESTAMP")
_MANIFEST_TYPES = {"torch": Torch, "python": Python}


class Listener(Protocol):
    """Is told how a capture goes."""

    def say(self, text: str) -> None: ...
    def step(self, text: str) -> None: ...
    def planned(self, workers: int) -> None: ...
    def started(self, who: str, round_number: int, rounds: int) -> None: ...
    def report(self, report: Report) -> None: ...
    def finished(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of one configuration; ``failure`` is None when the run is complete."""

    configuration: Configuration
    folder: Path
    manifest: Manifest | None
    failure: str | None


@dataclass(slots=True)
class _Task:
    """One configuration under way; ``manifest`` holds the rounds of before and those so far."""

    configuration: Configuration
    filing: Filing
    manifest: Manifest
    wanted: int
    existing: Manifest | None
    python: Path = field(default_factory=Path)
    added: int = 0
    failure: str | None = None

    @property
    def to_do(self) -> int:
        return 0 if self.failure else self.wanted - len(self.manifest.rounds)


def run_session(
    configurations: Sequence[Configuration],
    options: Options,
    logdir: Path,
    listener: Listener,
    *,
    overwrite: bool = False,
    environments: Environments | None = None,
) -> list[Captured]:
    """Capture every configuration; one that fails does not stop the others.

    Raises UsageError, before anything is done, where a run is in the way. When it is interrupted, what is complete
    is filed and the rest left readable and resumable.
    """
    host = describe_host()
    filings = [Filing(logdir, c.label, c.workload.name) for c in configurations]
    opened: list[_Task] = []
    try:
        tasks = [
            _prepare(c, filing, options, host, overwrite) for c, filing in zip(configurations, filings, strict=True)
        ]
        _find_interpreters(tasks, environments or Environments(listener.say, listener.step), listener)
        for task in tasks:
            if not task.failure:
                task.filing.open()
                opened.append(task)
        _run_rounds(tasks, options, listener)
        for task in tasks:
            if _wants_onednn(task, options):
                _observe_onednn(task, options, listener)
    except BaseException as error:
        for task in opened:
            if task.to_do:
                task.failure = INTERRUPTED if isinstance(error, KeyboardInterrupt) else str(error)
        raise
    finally:
        for task in opened:
            _land(task, overwrite)
        for filing in filings:
            filing.release()
    return [Captured(t.configuration, t.filing.folder, t.manifest, t.failure) for t in tasks]


def _prepare(configuration: Configuration, filing: Filing, options: Options, host: Host, overwrite: bool) -> _Task:
    filing.acquire()
    existing = None if overwrite else filing.existing()
    manifest = _new_manifest(configuration, options, host)
    if existing is None:
        return _Task(configuration, filing, manifest, options.rounds, None)
    _refuse_if_different(filing, existing, manifest)
    if existing.fallbacks:
        settings = msgspec.structs.replace(existing.settings, with_stack=False)
        existing = msgspec.structs.replace(existing, settings=settings)
    resumed = existing.status == "failed" and len(existing.rounds) <= options.rounds
    wanted = options.rounds if resumed else len(existing.rounds) + options.rounds
    return _Task(configuration, filing, existing, wanted, existing)


def _refuse_if_different(filing: Filing, existing: Manifest, new: Manifest) -> None:
    differing = what_differs(existing, new)
    if differing:
        raise UsageError(
            f"holds a run of another configuration: {'; '.join(differing)}",
            where=filing.folder,
            hint="Use --overwrite to replace it, or another --label or --logdir to keep both.",
        )


def _new_manifest(configuration: Configuration, options: Options, host: Host) -> Manifest:
    order = configuration.workload
    return Manifest(
        status="failed",
        label=configuration.label,
        workload=Workload(
            name=order.name, source=order.source, task=order.task, batch=order.batch, weights=order.weights
        ),
        settings=Settings(
            mode=configuration.mode,
            fpmath=configuration.fpmath,
            lru_cache_capacity=options.lru_cache_capacity,
            threads=options.threads,
            with_stack=options.with_stack,
            record_shapes=True,
            warmup=options.warmup,
            steps=options.steps,
            rounds=options.rounds,
            env=configuration.environment_variables(options),
        ),
        host=host,
        tool=Tool(version=tool_version()),
    )


def tool_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("profkit")
    except PackageNotFoundError:  # run from a checkout
        return "unknown"


def _find_interpreters(tasks: Sequence[_Task], environments: Environments, listener: Listener) -> None:
    """Give each task its interpreter; raises the first failure where none can be had for any."""
    found: dict[str | None, Path | ProfkitError] = {}
    for task in tasks:
        configuration = task.configuration
        if configuration.python is not None:
            task.python = configuration.python
            continue
        if configuration.torch not in found:
            try:
                found[configuration.torch] = environments.ensure(configuration.torch).python
            except CaptureError as error:
                found[configuration.torch] = error
        answer = found[configuration.torch]
        if isinstance(answer, Path):
            task.python = answer
        else:
            task.failure = str(answer)
    failures = [f for f in found.values() if isinstance(f, ProfkitError)]
    if failures and all(task.failure for task in tasks):
        raise failures[0]
    for failure in failures:
        listener.say(f"failed: {failure}")  # the others go on


def _run_rounds(tasks: Sequence[_Task], options: Options, listener: Listener) -> None:
    listener.planned(sum(task.to_do + _wants_onednn(task, options) for task in tasks))
    before = max((len(task.manifest.rounds) for task in tasks), default=0)
    index = before
    while any(task.to_do > 0 for task in tasks):
        for place, position in enumerate(order_of_round(index, len(tasks))):
            task = tasks[position]
            if task.to_do > 0:
                listener.started(task.configuration.who, len(task.manifest.rounds) + 1, task.wanted)
                _run_round(task, place, options, listener)
                listener.finished()
        index += 1


def _run_round(task: _Task, place: int, options: Options, listener: Listener) -> None:
    """Run one worker and take its round into the task's manifest; a crash costs one retry without stacks."""
    index = len(task.manifest.rounds)
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    outcome = _start_worker(task, index, options, listener.report)
    if outcome.crashed:
        instead = "run again" + " without stacks" * task.manifest.settings.with_stack
        settings = msgspec.structs.replace(task.manifest.settings, with_stack=False)
        fallback = Fallback(round=index, reason=outcome.failure or "", instead=instead)
        task.manifest = msgspec.structs.replace(
            task.manifest, settings=settings, fallbacks=[*task.manifest.fallbacks, fallback]
        )
        listener.say(f"{task.configuration.who}: {outcome.failure}; {instead}")
        outcome = _start_worker(task, index, options, listener.report)
    if outcome.failure is None:
        _take(task, outcome.reports, index, place, started)
    else:
        task.failure = f"{outcome.failure}. {outcome.hint}".rstrip(". ")
        listener.say(f"{task.configuration.who}: failed: {task.failure}")


def _wants_onednn(task: _Task, options: Options) -> bool:
    return options.onednn and task.failure is None and task.manifest.primitives is None


def _observe_onednn(task: _Task, options: Options, listener: Listener) -> None:
    """Run the pass with oneDNN's log on, once per run; without it the run is complete all the same."""
    listener.started(f"{task.configuration.who}, oneDNN log", 1, 1)
    settings = task.manifest.settings
    settings = msgspec.structs.replace(
        settings,
        with_stack=False,
        steps=min(settings.steps, ONEDNN_STEPS),
        env=settings.env | dict.fromkeys(VERBOSE, "2") | dict.fromkeys(TIME_STAMPS, "1"),
    )
    outcome = _start_worker(task, len(task.manifest.rounds), options, listener.report, settings, onednn=True)
    listener.finished()
    if outcome.failure is None:
        primitives = msgspec.convert(
            {**outcome.reports["onednn"], "log": outcome.reports["log"]["name"]}, type=PrimitivesPass
        )
        warnings = [text for text in task.manifest.warnings if not text.startswith(ONEDNN_PASS)]
        task.manifest = msgspec.structs.replace(task.manifest, primitives=primitives, warnings=warnings)
    else:
        text = f"{ONEDNN_PASS} {outcome.failure}"
        listener.say(f"{task.configuration.who}: {text}")
        task.manifest = msgspec.structs.replace(task.manifest, warnings=[*task.manifest.warnings, text])
    if not task.to_do:
        task.filing.save(task.manifest)


def _start_worker(
    task: _Task,
    index: int,
    options: Options,
    listen: Callable[[Report], None],
    settings: Settings | None = None,
    *,
    onednn: bool = False,
) -> Outcome:
    configuration, settings = task.configuration, settings or task.manifest.settings
    orders: dict[str, Any] = {
        "onednn": onednn,
        "workload": asdict(configuration.workload),
        "settings": msgspec.to_builtins(settings),
        "metadata": {
            "label": configuration.label,
            "workload": configuration.workload.name,
            "fpmath": configuration.fpmath,
            "mode": configuration.mode,
            "round": index,
            "version": tool_version(),
        },
        "folder": str(task.filing.staging.resolve()),
    }
    with writing(task.filing.staging):
        return run_worker(task.python, orders, settings.env, task.filing.staging / LOG_NAME, options.timeout_s, listen)


def _take(task: _Task, reports: Mapping[str, Report], index: int, place: int, started: str) -> None:
    """Add the worker's round to the manifest; a worker that turns out to be of another configuration fails."""
    measured, workload = reports["round"], reports["workload"]
    warnings = [*reports["notes"]["notes"]]
    if not measured["stable"]:
        warnings.append(f"round {index}: latency was not stable after {len(measured['warmup_ns'])} warm-up forwards")
    hashes = {r.outputs_sha256 for r in task.manifest.rounds} | {measured["outputs_sha256"]}
    if len(hashes) > 1:
        warnings.append("the outputs differ between rounds: this model is not deterministic")
    facts = {name: msgspec.convert(reports[name], type=kind) for name, kind in _MANIFEST_TYPES.items()}
    described = {"inputs": workload["inputs"], "weights_sha256": workload["weights_sha256"]}
    updated: Manifest = msgspec.structs.replace(
        task.manifest,
        workload=msgspec.convert({**msgspec.to_builtins(task.manifest.workload), **described}, type=Workload),
        settings=msgspec.structs.replace(task.manifest.settings, rounds=task.wanted),
        rounds=[
            *task.manifest.rounds,
            msgspec.convert({**measured, "index": index, "order": place, "started": started}, type=Round),
        ],
        warnings=[*task.manifest.warnings, *(w for w in warnings if w not in task.manifest.warnings)],
        **facts,
    )
    differing = what_differs(task.manifest, updated) if task.manifest.rounds else []
    if differing:
        task.failure = f"the environment changed since the rounds before: {'; '.join(differing)}"
        return
    task.manifest = updated
    task.added += 1
    task.filing.save(updated)


def _land(task: _Task, overwrite: bool) -> None:
    """File the run; a failure is filed too, unless it would take the place of something better."""
    if task.failure and not task.added and task.filing.folder.exists():
        task.filing.discard()
        return
    if task.failure and overwrite and task.filing.folder.exists():
        task.filing.discard()
        return
    died = any(text.startswith(ONEDNN_PASS) for text in task.manifest.warnings)
    if not task.failure and not task.manifest.fallbacks and not died:
        (task.filing.staging / LOG_NAME).unlink(missing_ok=True)  # it says nothing then
    complete = task.failure is None or (task.existing is not None and task.existing.status == "complete")
    task.manifest = msgspec.structs.replace(
        task.manifest,
        status="complete" if complete else "failed",
        reason=None if complete else task.failure,
        settings=msgspec.structs.replace(
            task.manifest.settings, rounds=len(task.manifest.rounds) if complete else task.wanted
        ),
    )
    task.filing.land(task.manifest, overwrite=overwrite)
