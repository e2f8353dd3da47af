"""The manifest ``profkit.json`` (schema ``run/2``) as records; times are integer nanoseconds."""

from __future__ import annotations

import shlex
from typing import Literal

import msgspec

SCHEMA: Literal["run/2"] = "run/2"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the manifest's records: immutable, unknown fields ignored, so that newer ones still read."""


class TensorShape(Record, frozen=True, kw_only=True):
    shape: list[int]
    dtype: str


class Workload(Record, frozen=True, kw_only=True):
    """The model and its input."""

    name: str
    source: str
    task: str = ""
    batch: int = 1
    inputs: list[TensorShape] = []
    weights: str = "random"
    weights_sha256: str | None = None


class Torch(Record, frozen=True, kw_only=True):
    version: str
    git: str | None = None
    wheel: str | None = None
    config: str = ""
    onednn: str | None = None
    cpu_capability: str | None = None
    threads: int | None = None


class Settings(Record, frozen=True, kw_only=True):
    """How it was measured; ``threads`` None leaves the number to PyTorch, ``env`` is what the worker was given."""

    mode: str
    fpmath: str
    lru_cache_capacity: int
    threads: int | None
    with_stack: bool
    record_shapes: bool
    warmup: int
    steps: int
    rounds: int
    env: dict[str, str] = {}


class Python(Record, frozen=True, kw_only=True):
    version: str
    packages: list[str] = []


class Host(Record, frozen=True, kw_only=True):
    name: str = ""
    cpu: str = ""
    isa: list[str] = []
    cores: int | None = None
    sockets: int | None = None
    memory_bytes: int | None = None
    os: str = ""
    kernel: str = ""
    governor: str | None = None
    instance_type: str | None = None
    price_per_hour: float | None = None


class Round(Record, frozen=True, kw_only=True):
    """One process's worth of forwards; ``order`` is its place among the configurations of that round."""

    index: int
    order: int
    started: str
    trace: str
    warmup_ns: list[int]
    latency_ns: list[int]
    profiled_ns: list[int]
    outputs_sha256: str | None = None


class PrimitivesPass(Record, frozen=True, kw_only=True):
    """A pass of its own with oneDNN's verbose log on: the log and a trace of its last ``steps`` forwards."""

    log: str
    trace: str
    warmup: int
    steps: int


class Fallback(Record, frozen=True, kw_only=True):
    """A configuration that could not run as asked, and what was done instead."""

    round: int
    reason: str
    instead: str


class Tool(Record, frozen=True, kw_only=True):
    version: str


class Manifest(Record, frozen=True, kw_only=True):
    """What one run is. ``status`` is complete, or failed with its ``reason``."""

    schema: Literal["run/2"] = SCHEMA
    status: Literal["complete", "failed"]
    label: str
    workload: Workload
    torch: Torch | None = None
    settings: Settings
    python: Python | None = None
    host: Host = Host()
    rounds: list[Round] = []
    primitives: PrimitivesPass | None = None
    fallbacks: list[Fallback] = []
    warnings: list[str] = []
    reason: str | None = None
    tool: Tool

    def capture_command(self) -> str | None:
        """Return the command that captures the same again; None for a model of a user's own process.

        A workload from a file stands as FILE.py:FUNCTION: the manifest tells of nobody's folders.
        """
        if self.workload.source == "process":
            return None
        ours = self.workload.source == "torchvision"
        settings = self.settings
        options: list[tuple[str, object, object]] = [
            ("--torch", self.torch.version if self.torch else None, None),
            ("--fpmath", settings.fpmath, "fp32"),
            ("--mode", settings.mode, "eager"),
            ("--rounds", len(self.rounds) or settings.rounds, None),
            ("--steps", settings.steps, None),
            ("--warmup", settings.warmup, None),
            ("--threads", settings.threads, None),
            ("--lru-cache-capacity", settings.lru_cache_capacity, 1024),
            ("--label", self.label, None),
        ]
        if ours:  # a file brings its own input and weights
            options += [("--batch", self.workload.batch, 1), ("--weights", self.workload.weights, "random")]
        words = ["profkit", "capture", self.workload.name if ours else "FILE.py:FUNCTION"]
        for name, value, default in options:
            words += [] if value in (None, default) else [name, str(value)]
        return shlex.join([*words, *(["--with-stack"] if settings.with_stack else [])])
