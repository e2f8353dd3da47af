"""Indexing: finds the traces that are new, gives them to the workers in batches, and counts what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from profkit.errors import OutputError, ProfkitError
from profkit.fleet import workers
from profkit.fleet.batches import BESIDE, Batch, Done, Options, write_failure
from profkit.fleet.columns import require
from profkit.fleet.dataset import Dataset, Known
from profkit.fleet.division import divide
from profkit.fleet.sources import Folder, find_folders
from profkit.fleet.workers import LostWorkerError, Workers
from profkit.locations import is_url, redacted, without_scheme
from profkit.runs.store import MANIFEST_NAME

_LOST = "every process that read it was lost, killed for its memory perhaps: give it more, or a smaller --memory-limit"


class Listener(Protocol):
    """What is told of the progress."""

    def found(self, files: int, size: int, unchanged: int) -> None:
        """Take the number and size (bytes) of the files to be read, and how many are known already."""

    def progress(self, files: int, size: int) -> None:
        """Take the number and size (bytes) of the files that are done."""


class Indexed(msgspec.Struct, frozen=True):
    """What an indexing did: files ``indexed``, ``copies`` of others, ``failed`` ones and ``unchanged`` ones.

    ``bytes`` is the size of the files that were read, ``seconds`` the time it took.
    """

    indexed: int
    copies: int
    failed: int
    unchanged: int
    bytes: int
    seconds: float


class Plan(msgspec.Struct, frozen=True):
    """What is indexed, and by whom: ``count`` processes of this machine, or the cluster at ``scheduler``."""

    paths: Sequence[str]
    to: str
    options: Options
    count: int
    scheduler: str | None = None
    retry: bool = False


def index(plan: Plan, listener: Listener) -> Indexed:
    """Add what is new at the paths of ``plan`` to its index, which is made if it does not exist.

    Interrupted, it keeps the batches that are complete. Raises InputError if there is nothing at a path or the place
    is no index, OutputError if the index cannot be written.
    """
    require("pyarrow", "duckdb")
    started = time.monotonic()
    if not is_url(plan.to):  # workers may have other current folders
        plan = msgspec.structs.replace(plan, to=str(Path(without_scheme(plan.to)).absolute()))
    dataset = Dataset(plan.to)
    if not dataset.exists:
        folders = list(find_folders(plan.paths))  # before anything is written
        dataset.create()
    else:
        dataset.require()
        dataset.remove_leftovers()
        folders = list(find_folders(plan.paths))
    known = dataset.known(retry=plan.retry)
    new = [changed for folder in _once(folders) if (changed := _changed(folder, known)) is not None]
    unchanged = sum(len(folder.files) for folder in _once(folders)) - sum(len(folder.files) for folder in new)
    listener.found(sum(len(f.files) for f in new), sum(f.bytes for f in new), unchanged)
    results = _run(plan, divide(new, known, plan.count), listener) if new else []
    return Indexed(
        sum(done.indexed for done in results),
        sum(done.copies for done in results),
        sum(done.failed for done in results),
        unchanged,
        sum(done.bytes for done in results),
        time.monotonic() - started,
    )


def _once(folders: Iterable[Folder]) -> Iterator[Folder]:
    """Yield the folders with each file once, however many of the paths lead to it."""
    seen: set[str] = set()
    for folder in folders:
        files = [file for file in folder.files if folder.shown_path(file) not in seen]
        seen.update(folder.shown_path(file) for file in files)
        if files:
            yield folder.only(files)


def _changed(folder: Folder, known: Known) -> Folder | None:
    """Return the folder with the files that are new or have changed; None if there are none.

    A manifest goes with each trace that it describes, and oneDNN's log with the manifest.
    """
    new = [file for file in folder.files if (folder.shown_path(file), file.stamp) not in known.files]
    if not new:
        return None
    if any(file.name == MANIFEST_NAME for file in new):
        return folder  # traces that were read before it came, or when it said something else, belong to it now
    if any(file.name == MANIFEST_NAME for file in folder.files):
        new = [file for file in folder.files if file in new or file.name in BESIDE]
    return folder.only(new)


def _run(plan: Plan, batches: Sequence[Batch], listener: Listener) -> list[Done]:
    results: list[Done] = []
    written: set[str] = set()
    with workers.opened(plan.scheduler, min(plan.count, len(batches)), plan.to, plan.options) as places:
        for batch, done in _all_done(places, batches, plan):
            results.append(done)
            written.add(batch.name)
            listener.progress(batch.files, done.bytes)
    if missing := written - Dataset(plan.to).batches:
        what = f"{len(missing)} parts that workers have written are not there: they see another folder of that name"
        raise OutputError(what, where=redacted(plan.to), hint="Use a shared folder, or a URL, for the index.")
    return results


def _all_done(places: Workers, batches: Sequence[Batch], plan: Plan) -> Iterator[tuple[Batch, Done]]:
    """Yield each batch with its result. One whose worker is lost is split; a single file is tried twice.

    Raises what a batch raises; those that are complete count.
    """
    waiting, under_way, tried = list(reversed(batches)), 0, dict[str, int]()
    while waiting or under_way:
        while waiting and under_way < places.count:
            places.start(waiting.pop())
            under_way += 1
        batch, found = places.finished()
        under_way -= 1
        if isinstance(found, Done):
            yield batch, found
        elif isinstance(found, LostWorkerError):
            tried[batch.name] = tried.get(batch.name, 0) + 1
            parts = batch.split()
            if len(parts) > 1:
                waiting += reversed(parts)
            elif tried[batch.name] < 2:
                waiting.append(batch)
            else:
                yield batch, write_failure(batch, plan.to, _LOST)
        else:
            assert isinstance(found, ProfkitError)
            raise found
