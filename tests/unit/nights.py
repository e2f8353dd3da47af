"""Runs of many nights and machines, each with content of its own, and an index of them made in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from profkit.fleet import session, workers
from profkit.fleet.batches import Batch, Done, Options, index_batch
from profkit.fleet.session import Indexed, Plan, index
from profkit.runs.manifest import Round, Torch
from profkit.runs.store import write_manifest
from tests.builders import forward, manifest
from tests.conftest import trace_json

FIRST = date(2026, 9, 1)
MS = 1_000_000


def day(number: int) -> str:
    """The date of a night, from 0."""
    return (FIRST + timedelta(days=number)).isoformat()


def add_night(
    logs: Path,
    number: int,
    operators_us: dict[str, float],
    *,
    label: str = "nightly",
    torch: str = "2.0.1",
    workload: str = "net",
    host: str = "worker-1",
    rounds: int = 2,
    latency_ms: float | None = None,
) -> Path:
    """Write a run of one night; the latency is the sum of its operators, if it is not given."""
    described = manifest(label, rounds, 1.0, name=host)
    folder = logs / day(number) / host / label / workload
    folder.mkdir(parents=True)
    whole = round((latency_ms or sum(operators_us.values()) / 1000) * MS)
    found = []
    for place, round_ in enumerate(described.rounds):
        name = f"{place}.pt.trace.json"
        # times that no other round has: the same content twice would be a copy
        start = 1_000_000 * number + 10_000 * place + (hash_of(host + label + workload) % 1_000)
        records = [r for k in range(3) for r in forward(start + 100_000 * k, *wholes(operators_us, place))]
        (folder / name).write_bytes(trace_json(records))
        found.append(renewed(round_, day(number), name, whole))
    write_manifest(
        folder,
        replace(
            described,
            workload=replace(described.workload, name=workload),
            torch=Torch(version=torch, threads=2),
            rounds=found,
        ),
    )
    return folder


def renewed(round_: Round, when: str, trace: str, latency_ns: int) -> Round:
    return replace(round_, started=f"{when}T01:00:00+00:00", trace=trace, latency_ns=[latency_ns] * 3)


def wholes(operators_us: dict[str, float], place: int) -> list[tuple[str, int]]:
    return [(name, round(us) + place) for name, us in operators_us.items()]


def hash_of(text: str) -> int:
    return sum(position * ord(letter) for position, letter in enumerate(text, start=1))


class Silent:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.files = self.unchanged = self.done = 0

    def found(self, files: int, size: int, unchanged: int) -> None:
        self.files, self.unchanged = files, unchanged

    def progress(self, files: int, size: int) -> None:
        self.done += files


class Here:
    """Workers that index in this process, one batch at a time."""

    count = 1

    def __init__(self, index: str, options: Options) -> None:
        self._arguments = (index, options)
        self.batches: list[Batch] = []

    def start(self, batch: Batch) -> None:
        self.batches.append(batch)

    def finished(self) -> tuple[Batch, Done | Exception]:
        batch = self.batches.pop()
        return batch, index_batch(batch, *self._arguments)


def index_here(paths: list[Path], to: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> Indexed:
    """Index without other processes, which take a second to start."""

    @contextmanager
    def opened(scheduler: str | None, count: int, index: str, options: Options) -> Iterator[Here]:
        yield Here(index, options)

    monkeypatch.setattr(workers, "opened", opened)
    assert session.workers is workers
    read = Options(1 << 30, **options)  # type: ignore[arg-type]  # the test's own
    return index(Plan([str(path) for path in paths], str(to), read, 1), Silent())
