"""The processes that serve a workload; those of several levels live side by side as far as memory allows."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType

from profkit.capture.block import MEMORY_RESERVE
from profkit.capture.memory import available_bytes
from profkit.capture.plan import Configuration
from profkit.capture.process import Worker
from profkit.capture.task import Listener
from profkit.capture.variables import worker_variables
from profkit.experiments.load.levels import Level
from profkit.runs.settings import Settings


class LevelFailedError(Exception):
    """The processes of a level cannot serve; the message says why, ``hint`` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(slots=True)
class _Crew:
    """The processes with one number of threads; levels that have it share them."""

    stack: ExitStack = field(default_factory=ExitStack)
    workers: list[Worker] = field(default_factory=list)


class Workers:
    """Starts and ends the processes of levels. Use it in ``with``, which ends all of them.

    Each is a process of its own interpreter ``python`` with ``settings``, but for the threads of its level; it inherits
    ``environ``. Their output goes to files in ``folder``.
    """

    def __init__(
        self,
        configuration: Configuration,
        settings: Settings,
        python: Path,
        folder: Path,
        listener: Listener,
        environ: Mapping[str, str],
    ) -> None:
        self._configuration, self._settings, self._python = configuration, settings, python
        self._folder, self._listener, self._environ = folder, listener, environ
        self._crews: dict[int, _Crew] = {}
        self._started = 0
        self.restarts = 0
        self.first: Worker | None = None
        """A worker that got ready, for what it reports about itself."""

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            for crew in self._crews.values():
                stack.push(crew.stack)
            self._crews.clear()

    def variables(self, threads: int | None) -> dict[str, str]:
        """Return the environment variables of processes with so many threads."""
        settings = self._settings.changed(threads=threads)
        return {**worker_variables(settings, self._environ), **self._configuration.variables}

    def serve(self, level: Level) -> list[Worker]:
        """Return the warm processes of ``level``; those that are missing are started.

        Processes of other levels are ended if memory does not suffice for both. Raises LevelFailedError if one does not
        get ready.
        """
        crew = self._crews.setdefault(level.threads, _Crew())
        missing = level.processes - len(crew.workers)
        if missing > 0:
            self._make_room(level, missing)
            self._start(crew, level, missing)
        return crew.workers[: level.processes]

    def end(self, level: Level) -> None:
        """End the processes with the threads of ``level``: one of them failed, and the others are in the middle."""
        crew = self._crews.pop(level.threads, None)
        if crew is not None:
            crew.stack.close()

    def used_bytes(self) -> int | None:
        """Return the largest memory that a warm process reported; None if none did."""
        known = [used for crew in self._crews.values() for worker in crew.workers if (used := _peak(worker))]
        return max(known, default=None)

    def _make_room(self, level: Level, missing: int) -> None:
        """End processes of other levels until there is memory for ``missing`` more; none if it is not known."""
        others = [threads for threads in self._crews if threads != level.threads]
        used = self.used_bytes()
        while others and used is not None:
            available = available_bytes()
            if available is None or available >= MEMORY_RESERVE * used * missing:
                return
            self._crews.pop(others.pop()).stack.close()
            self.restarts += 1

    def _start(self, crew: _Crew, level: Level, missing: int) -> None:
        """Start processes and prepare their models at once, and warm them up one after the other."""
        started = [crew.stack.enter_context(self._new(level)) for _ in range(missing)]
        for worker in started:
            worker.begin("prepare")
        for worker in started:
            if not (worker.is_ready() and worker.order("warm_up")):
                raise failure_of(worker)
            crew.workers.append(worker)
            self.first = self.first or worker

    def _new(self, level: Level) -> Worker:
        settings = self._settings.changed(threads=level.threads)
        orders = {
            "onednn": False,
            "load": True,
            "workload": asdict(self._configuration.workload),
            "settings": dict(settings.completed({})),
            "metadata": {},
            "folder": str(self._folder),
        }
        self._started += 1
        log = self._folder / f"worker-{self._started}.log"
        listen = functools.partial(self._listener.report, level.name)
        timeout_s = self._settings.timeout_s
        return Worker(self._python, orders, self.variables(level.threads), log, timeout_s, listen, self._environ)


def failure_of(worker: Worker) -> LevelFailedError:
    """Return why a worker gives no answer any more."""
    outcome = worker.outcome()
    return LevelFailedError(outcome.failure or "a process ended before its work was done", outcome.hint)


def _peak(worker: Worker) -> int | None:
    used = worker.last("turn")["peak_memory_bytes"]
    return int(used) if used else None
