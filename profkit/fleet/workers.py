"""Where batches are indexed: in processes of this machine, or on a Dask cluster. Both say which batch a worker lost."""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any, Protocol

from profkit.errors import InputError, ProfkitError
from profkit.fleet.batches import Batch, Done, Options, index_batch
from profkit.fleet.columns import require
from profkit.locations import Url

_CONNECTING_S = 30  # until a scheduler that does not answer is reported


class LostWorkerError(Exception):
    """The process that indexed a batch ended without an answer, killed for its memory perhaps."""


class Workers(Protocol):
    """Index batches at several places at once."""

    @property
    def count(self) -> int:
        """How many batches are indexed at once."""

    def start(self, batch: Batch) -> None:
        """Begin a batch; at most ``count`` are under way."""

    def finished(self) -> tuple[Batch, Done | Exception]:
        """Wait for a batch; return it with its result, LostWorkerError, or what it raised."""

    def close(self) -> None:
        """End what is under way."""


class LocalWorkers:
    """Processes of this machine, each with one batch at a time: so it is known whose worker was lost."""

    def __init__(self, count: int, index: str, options: Options) -> None:
        self.count = count
        self._arguments = (index, options)
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[futures.ProcessPoolExecutor] = []
        self._busy: dict[futures.Future[Done], tuple[Batch, futures.ProcessPoolExecutor]] = {}

    def start(self, batch: Batch) -> None:
        """Begin a batch in an idle process, or in a new one."""
        pool = self._idle.pop() if self._idle else self._new()
        try:
            future = pool.submit(index_batch, batch, *self._arguments)
        except futures.BrokenExecutor:  # it was killed while it was idle
            pool = self._new()
            future = pool.submit(index_batch, batch, *self._arguments)
        self._busy[future] = (batch, pool)

    def _new(self) -> futures.ProcessPoolExecutor:
        return futures.ProcessPoolExecutor(1, self._context, _begin)

    def finished(self) -> tuple[Batch, Done | Exception]:
        """Wait for a batch."""
        done = next(iter(futures.wait(self._busy, return_when=futures.FIRST_COMPLETED).done))
        batch, pool = self._busy.pop(done)
        try:
            result = done.result()
        except futures.BrokenExecutor:
            pool.shutdown(wait=False)
            return batch, LostWorkerError()
        except ProfkitError as error:
            self._idle.append(pool)
            return batch, error
        except Exception as error:
            self._idle.append(pool)
            what = f"profkit failed in a worker: {type(error).__name__}: {error}"
            return batch, InputError(what, hint="Please report it; what is complete is kept.")
        self._idle.append(pool)
        return batch, result

    def close(self) -> None:
        """End the processes; what they have not finished does not count."""
        for pool in (*self._idle, *(pool for _, pool in self._busy.values())):
            for process in list((pool._processes or {}).values()):  # there is no other way to end a busy one
                process.kill()
            pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Prepare a new process: it ends with its parent, which alone handles Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # with a second thread the reader does not fork: there is a process per core already
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class DaskWorkers:
    """The workers of a running Dask cluster; they need profkit installed, and access to the traces and the index."""

    def __init__(self, scheduler: str, index: str, options: Options) -> None:
        """Connect; raises UsageError if Dask is not installed, InputError if the scheduler does not answer."""
        require("distributed")
        import distributed

        self._distributed: Any = distributed
        try:
            self._client = distributed.Client(scheduler, timeout=_CONNECTING_S)
        except (OSError, ValueError, TimeoutError) as error:
            hint = "Start one with dask scheduler, and workers with dask worker ADDRESS."
            raise InputError(f"no Dask scheduler answers ({error})", where=scheduler, hint=hint) from None
        self._arguments = (Url(index), options)  # a cluster logs the arguments of tasks that fail
        self._batches: dict[str, Batch] = {}
        self._results: Any = distributed.as_completed()
        self._require_workers(scheduler)

    def _require_workers(self, scheduler: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_CONNECTING_S)
        except TimeoutError:
            self._client.close()
            hint = f"Start some: dask worker {scheduler}"
            raise InputError("the Dask cluster has no worker", where=scheduler, hint=hint) from None

    @property
    def count(self) -> int:
        """The threads of all workers, and as many more that wait, so that none is idle; the cluster may change."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, 2 * sum(threads.values()))

    def start(self, batch: Batch) -> None:
        """Begin a batch on some worker."""
        future = self._client.submit(
            index_batch, batch, *self._arguments, key=f"profkit-index-{batch.name}", pure=False, retries=0
        )
        self._batches[future.key] = batch
        self._results.add(future)

    def finished(self) -> tuple[Batch, Done | Exception]:
        """Wait for a batch."""
        future = next(self._results)
        batch = self._batches.pop(future.key)
        error = future.exception()
        if error is None:
            result: Done = future.result()
            return batch, result
        if isinstance(error, self._distributed.KilledWorker | self._distributed.CancelledError):
            return batch, LostWorkerError()
        if isinstance(error, ProfkitError):
            return batch, error
        return batch, InputError(
            f"a Dask worker failed: {type(error).__name__}: {error}",
            hint="Install the same profkit, with its fleet extra, on the workers.",
        )

    def close(self) -> None:
        """Cancel what has not begun, and disconnect."""
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._client.cancel([self._distributed.Future(key, self._client) for key in self._batches])
        self._client.close()


@contextlib.contextmanager
def opened(scheduler: str | None, count: int, index: str, options: Options) -> Iterator[Workers]:
    """Give the workers, and end them after the block."""
    workers: Workers = (
        LocalWorkers(count, index, options) if scheduler is None else DaskWorkers(scheduler, index, options)
    )
    try:
        yield workers
    finally:
        workers.close()
