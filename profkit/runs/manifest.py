"""The manifest ``profkit.json`` (schema ``run/2``) as records; times are integer nanoseconds."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from profkit.runs.setting import MOST
from profkit.runs.settings import SETTINGS, Settings, settings_schema

SCHEMA: Literal["run/2"] = "run/2"
YEAR_NS = 366 * 24 * 3600 * 10**9  # no round takes a year: a longer time is an error of the file
_MOST_MEASURED = 1e9  # of a measured number: MHz, a load, CPUs, a price

if TYPE_CHECKING:
    SettingsField = Settings
else:
    # decoded as a plain object, then checked against the table of settings when the manifest is made
    SettingsField = Annotated[
        dict[str, Any],
        Meta(
            description="How it was measured: one value per declared setting; an absent one has its default",
            extra_json_schema={"properties": settings_schema()},
        ),
    ]

Nanoseconds = Annotated[int, Meta(ge=0, le=YEAR_NS, description="duration (ns)")]
Count = Annotated[int, Meta(ge=0, le=MOST)]
Events = Annotated[int, Meta(ge=0, le=2**53, description="number of events")]
NonNegative = Annotated[float, Meta(ge=0, le=_MOST_MEASURED)]
Share = Annotated[float, Meta(ge=0, le=1)]
Bytes = Annotated[int, Meta(ge=0, le=2**53, description="size (bytes)")]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the manifest's records: immutable; unknown fields are ignored, so that newer manifests are readable."""


class TensorShape(Record, frozen=True, kw_only=True):
    """Shape and data type of one input tensor."""

    name: Annotated[str | None, Meta(description="Name of the keyword argument it is passed by; null: by position")] = (
        None
    )
    shape: Annotated[list[Events], Meta(description="Elements per dimension")]
    dtype: Annotated[str, Meta(description="Data type as PyTorch names it, without 'torch.'")]


class Workload(Record, frozen=True, kw_only=True):
    """The model and its input."""

    name: Annotated[str, Meta(description="Name of the workload, and of its folder")]
    source: Annotated[
        str,
        Meta(
            description="Where the model comes from: torchvision; huggingface; torchbench; builtin (profkit itself); "
            "file or module (the user's code); process (a user's own process); or what another package calls its source"
        ),
    ]
    task: Annotated[str, Meta(description="What the model does, e.g. image-classification; empty if unknown")] = ""
    batch: Annotated[int, Meta(ge=1, le=MOST, description="Samples per forward (count)")] = 1
    inputs: Annotated[list[TensorShape], Meta(description="The input tensors in order; empty before a round ran")] = []
    seed: Annotated[int, Meta(ge=0, description="Seed of random weights and inputs")] = 0
    weights: Annotated[
        str, Meta(description="random, pretrained, or own (made by the user's code, or by TorchBench)")
    ] = "random"
    weights_sha256: Annotated[
        str | None, Meta(description="SHA-256 over names, shapes and bytes of the weights; null if there are none")
    ] = None


class Torch(Record, frozen=True, kw_only=True):
    """The PyTorch that ran, as it describes itself."""

    version: Annotated[str, Meta(description="Version without the wheel's suffix, e.g. 2.0.1")]
    git: Annotated[str | None, Meta(description="Git commit of the build")] = None
    wheel: Annotated[str | None, Meta(description="Local version of the wheel, e.g. cpu or cu117; null if none")] = None
    config: Annotated[str, Meta(description="Text of torch.__config__.show()")] = ""
    onednn: Annotated[str | None, Meta(description="Version of oneDNN; null if it is not built in")] = None
    cpu_capability: Annotated[str | None, Meta(description="Vector instructions that PyTorch uses, e.g. AVX2")] = None
    threads: Annotated[Count | None, Meta(description="Intra-op threads in use (count)")] = None


class Python(Record, frozen=True, kw_only=True):
    """The interpreter that ran the worker."""

    version: Annotated[str, Meta(description="Version, e.g. 3.10.13")]
    packages: Annotated[list[str], Meta(description="Installed packages as name==version, sorted")] = []
    chosen_by: Annotated[
        Literal["profkit", "user"] | None,
        Meta(
            description="profkit: chosen for an environment because the PyTorch version supports it; user: given by "
            "--python or runs profkit itself; null: not recorded"
        ),
    ] = None


class Host(Record, frozen=True, kw_only=True):
    """The machine; empty or null fields could not be determined."""

    name: Annotated[str, Meta(description="Host name")] = ""
    cpu: Annotated[str, Meta(description="CPU model")] = ""
    isa: Annotated[list[str], Meta(description="Instruction set extensions of the CPU")] = []
    cores: Annotated[Count | None, Meta(description="CPU cores available to the process (count)")] = None
    sockets: Annotated[Count | None, Meta(description="CPU sockets (count)")] = None
    memory_bytes: Annotated[Bytes | None, Meta(description="Memory (bytes)")] = None
    os: Annotated[str, Meta(description="Name and version of the operating system")] = ""
    kernel: Annotated[str, Meta(description="Version of the kernel")] = ""
    governor: Annotated[str | None, Meta(description="CPU frequency governor")] = None
    turbo: Annotated[bool | None, Meta(description="Whether clocks above the nominal one are allowed")] = None
    numa_nodes: Annotated[Count | None, Meta(description="NUMA nodes (count)")] = None
    huge_pages: Annotated[str | None, Meta(description="Transparent huge pages: always, madvise or never")] = None
    cpu_quota: Annotated[
        NonNegative | None, Meta(description="CPUs' worth of time that the container may use; null without a limit")
    ] = None
    instance_type: Annotated[str | None, Meta(description="Instance type of the cloud, e.g. c7g.4xlarge")] = None
    price_per_hour: Annotated[NonNegative | None, Meta(description="Price of the machine (US dollars per hour)")] = None


class Counters(Record, frozen=True, kw_only=True):
    """What the operating system counted in each latency forward; empty if the platform counts nothing."""

    cpu_ns: Annotated[list[Nanoseconds], Meta(description="CPU time of all threads (ns)")] = []
    minor_faults: Annotated[list[Events], Meta(description="Page faults without reading from disk")] = []
    major_faults: Annotated[list[Events], Meta(description="Page faults that read from disk")] = []
    voluntary_switches: Annotated[list[Events], Meta(description="Context switches because a thread waited")] = []
    involuntary_switches: Annotated[
        list[Events], Meta(description="Context switches because another process got the CPU")
    ] = []


class Load(Record, frozen=True, kw_only=True):
    """The machine while the latency forwards of a round ran; null for what the platform does not tell."""

    one_minute: Annotated[NonNegative | None, Meta(description="Load average over one minute")] = None
    steal_share: Annotated[
        Share | None, Meta(description="Share of CPU time that the hypervisor gave to others, 0 to 1")
    ] = None
    other_share: Annotated[Share | None, Meta(description="Share of CPU time that other processes took, 0 to 1")] = None
    idle_share: Annotated[Share | None, Meta(description="Share of CPU time that nobody used, 0 to 1")] = None
    cpu_mhz: Annotated[NonNegative | None, Meta(description="Mean clock of the processors (MHz)")] = None


class Round(Record, frozen=True, kw_only=True):
    """One process's worth of forwards."""

    index: Annotated[Count, Meta(description="Number of the round within the run, from 0")]
    session: Annotated[
        str | None, Meta(description="The capture that this round is of; null if it was recorded alone")
    ] = None
    block: Annotated[
        Count | None,
        Meta(
            description="Number of the block within the session, from 0. The rounds of a block, of several runs, "
            "were captured by turns and are compared pairwise. Null if it was recorded alone"
        ),
    ] = None
    order: Annotated[Count, Meta(description="Place among the configurations of its block, from 0")]
    started: Annotated[str, Meta(description="Start time (ISO 8601, UTC)")]
    trace: Annotated[str, Meta(description="File name of the trace in the run's folder")]
    warmup_ns: Annotated[list[Nanoseconds], Meta(description="Wall time of each warm-up forward (ns)")]
    latency_ns: Annotated[list[Nanoseconds], Meta(description="Wall time of each forward with the profiler off (ns)")]
    profiled_ns: Annotated[list[Nanoseconds], Meta(description="Wall time of each profiled forward (ns)")]
    outputs_sha256: Annotated[str | None, Meta(description="SHA-256 of the model's outputs")] = None
    counters: Annotated[Counters, Meta(description="Counts per latency forward")] = Counters()
    load: Annotated[Load, Meta(description="Load of the machine")] = Load()
    peak_memory_bytes: Annotated[Bytes | None, Meta(description="Largest resident set of the process (bytes)")] = None
    disturbed: Annotated[
        str | None,
        Meta(description="Why the round was disturbed by other work, judged by the load alone; null if it was not"),
    ] = None

    def __post_init__(self) -> None:
        """Raise ValueError, naming the field, if something was not counted once per latency forward."""
        for name in self.counters.__struct_fields__:
            values = getattr(self.counters, name)
            if values and len(values) != len(self.latency_ns):
                raise ValueError(f"counters.{name} has {len(values)} values for {len(self.latency_ns)} forwards")


class PrimitivesPass(Record, frozen=True, kw_only=True):
    """The separate process with oneDNN's verbose log on: its log, and a trace of its last ``steps`` forwards."""

    log: Annotated[str, Meta(description="File name of oneDNN's verbose log (gzip)")]
    trace: Annotated[str, Meta(description="File name of the trace of the same forwards")]
    warmup: Annotated[Count, Meta(description="Forwards before the traced ones (count)")]
    steps: Annotated[Count, Meta(description="Traced forwards (count)")]


class Fallback(Record, frozen=True, kw_only=True):
    """A round that did not run as asked, and what was done instead."""

    round: Annotated[Count, Meta(description="Number of the round, from 0")]
    reason: Annotated[str, Meta(description="Why it did not run as asked")]
    instead: Annotated[str, Meta(description="What was done instead")]


class Tool(Record, frozen=True, kw_only=True):
    """The profkit that wrote the manifest."""

    version: Annotated[str, Meta(description="Version of profkit; unknown if it ran from a checkout")]


class Manifest(Record, frozen=True, kw_only=True):
    """One run: what was measured, where and how, and the rounds it consists of."""

    schema: Annotated[Literal["run/2"], Meta(description="Name and version of this format")] = SCHEMA
    status: Annotated[Literal["complete", "failed"], Meta(description="failed: see reason; its rounds are valid")]
    label: Annotated[str, Meta(description="Label of the configuration, and name of the folder above the run's")]
    workload: Annotated[Workload, Meta(description="The model and its input")]
    torch: Annotated[Torch | None, Meta(description="PyTorch; null before a round ran")] = None
    settings: SettingsField
    environment: Annotated[
        dict[str, str], Meta(description="Environment variables that the worker got and that can change the result")
    ] = {}
    python: Annotated[Python | None, Meta(description="The interpreter; null before a round ran")] = None
    host: Annotated[Host, Meta(description="The machine")] = Host()
    rounds: Annotated[list[Round], Meta(description="The rounds in the order of their capture")] = []
    primitives: Annotated[PrimitivesPass | None, Meta(description="The pass with oneDNN's log; null if none")] = None
    fallbacks: Annotated[list[Fallback], Meta(description="Rounds that did not run as asked")] = []
    warnings: Annotated[list[str], Meta(description="Warnings of the capture, one sentence each")] = []
    reason: Annotated[str | None, Meta(description="Why the capture failed; null if it did not")] = None
    tool: Annotated[Tool, Meta(description="The profkit that wrote this file")]

    def __post_init__(self) -> None:
        """Complete the settings from the table; raises ValueError, naming the setting, if one is not valid."""
        settings = Settings(self.settings).completed(
            {s.name: field_value(self, s.same_as) for s in SETTINGS if s.same_as is not None}
        )
        msgspec.structs.force_setattr(self, "settings", settings)

    def capture_command(self) -> str | None:
        """Return the command that repeats the capture; None for a model of a user's own process.

        The place of the user's code is not recorded, because it would reveal the user's folders: the command says
        FILE.py:FUNCTION, and DIR for a checkout.
        """
        if self.workload.source == "process":
            return None
        name, source = self.workload.name, self.workload.source
        own_code = {"file": "FILE.py:FUNCTION", "module": "PACKAGE.MODULE:FUNCTION"}.get(source)
        words = ["profkit", "capture", own_code or name]
        brought = {s.name for s in SETTINGS if s.same_as is not None} if own_code else set()  # by the code itself
        if source == "torchbench":
            words[2:] = [f"torchbench:{name.removeprefix('torchbench-')}", "--torchbench", "DIR"]
            brought = {"seed", "weights"}
        elif source == "huggingface" and name.startswith("hf-"):
            words[2] = f"hf:{name.removeprefix('hf-').replace('--', '/', 1)}"
        words += ["--torch", self.torch.version] if self.torch is not None else []
        settings = self.settings.changed(rounds=len(self.rounds)) if self.rounds else self.settings
        return shlex.join([*words, *settings.command_words(without=brought), "--label", self.label])


def field_value(manifest: Manifest, field: str) -> Any:
    """Return the value of a dotted field (``torch.version``); None if the record or the field is absent."""
    value: object = manifest
    for name in field.split("."):
        value = getattr(value, name, None)
    return value


def upgrade_run_1(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``run/1`` manifest as ``run/2``; ``fields`` is not changed.

    ``run/1`` calls the pass with oneDNN's log ``kernels``, and keeps the environment variables (``env``) and the number
    of rounds asked for in ``settings``.
    """
    upgraded = {**fields, "schema": SCHEMA, "primitives": fields.get("kernels")}
    upgraded.pop("kernels", None)
    settings = fields.get("settings")
    if isinstance(settings, dict):
        upgraded["environment"] = settings.get("env", {})
        upgraded["settings"] = {name: v for name, v in settings.items() if name not in ("env", "rounds")}
    return upgraded
