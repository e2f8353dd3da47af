"""Runs that tests make: manifests and traces with known times, written as a capture writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from profkit.runs import Manifest, write_manifest
from profkit.runs.manifest import Host, Round, Settings, Tool, Torch, Workload
from tests.conftest import event, trace_json


def forward(start: int, *operators: tuple[str, int], scale: float = 1.0) -> list[dict[str, Any]]:
    """One annotated forward whose operators, of so many µs each, run one after another."""
    records, at = [], start + 1
    for name, us in operators:
        duration = round(us * scale)
        records.append(event(name, at, duration, at))
        at += duration + 1
    return [event("profkit.forward", start, at - start, start, cat="user_annotation"), *records]


def manifest(version: str, rounds: int, latency_us: float, **host: Any) -> Manifest:
    latency = [round(latency_us * 1000 * f) for f in (1.0, 1.01, 0.99)]
    return Manifest(
        status="complete",
        label=version,
        workload=Workload(name="net", source="file", weights_sha256="abc"),
        torch=Torch(version=f"{version}.1", threads=2),
        settings=Settings(
            mode="eager",
            fpmath="fp32",
            lru_cache_capacity=1024,
            threads=None,
            with_stack=False,
            record_shapes=True,
            warmup=2,
            steps=3,
        ),
        host=Host(cpu="Neoverse-V1", cores=16, **host),
        rounds=[
            Round(
                index=i,
                order=0,
                started="2026-11-22T16:00:00+00:00",
                trace=f"{i}.pt.trace.json",
                warmup_ns=[],
                latency_ns=latency,
                profiled_ns=latency,
            )
            for i in range(rounds)
        ],
        tool=Tool(version="0"),
    )


def write_run(folder: Path, described: Manifest, *operators: tuple[str, int], noise: float = 0.02) -> None:
    """A run of three forwards a round; the rounds differ by ``noise``."""
    folder.mkdir(parents=True)
    for i in range(len(described.rounds)):
        scale = 1.0 + noise * (i - 1)
        records = [r for k in range(3) for r in forward(10_000 * k, *operators, scale=scale)]
        (folder / f"{i}.pt.trace.json").write_bytes(trace_json(records))
    write_manifest(folder, described)


def add_run(
    logs: Path,
    label: str,
    rounds_ms: Sequence[float],
    *,
    workload: str = "net",
    batch: int = 1,
    forwards: int = 3,
    folder: str | None = None,
    **host: Any,
) -> Path:
    """Write a run whose rounds have these median latencies (ms), each with ``forwards`` forwards around it."""
    described = manifest(label, len(rounds_ms), 1.0, **host)
    spread = [1 + 0.001 * (k - (forwards - 1) / 2) for k in range(forwards)]
    rounds = [
        msgspec.structs.replace(r, latency_ns=[round(ms * 1_000_000 * factor) for factor in spread])
        for r, ms in zip(described.rounds, rounds_ms, strict=True)
    ]
    named = msgspec.structs.replace(described.workload, name=workload, batch=batch)
    path = logs / (folder or label) / workload
    write_run(path, msgspec.structs.replace(described, workload=named, rounds=rounds), ("aten::conv2d", 400))
    return path
