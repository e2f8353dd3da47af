"""The settings that are tried, each documented somewhere. Of a factor one value can be chosen."""

from __future__ import annotations

import ctypes.util
import platform
import shlex
from collections.abc import Mapping, Sequence

import msgspec

from profkit.runs.setting import Value
from profkit.runs.settings import declared

TUNING_GUIDE = "https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html"
FPMATH = "https://uxlfoundation.github.io/oneDNN/dev_guide_attributes_fpmath_mode.html"
FREEZE = "https://docs.pytorch.org/docs/stable/generated/torch.jit.optimize_for_inference.html"
COMPILE = "https://docs.pytorch.org/docs/stable/generated/torch.compile.html"
AUTOCAST = "https://docs.pytorch.org/docs/stable/amp.html"
GRAVITON = "https://docs.pytorch.org/tutorials/recipes/inference_tuning_on_aws_graviton.html"
CHANNELS_LAST = "https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html"
_ARM = ("aarch64", "arm64")


class Candidate(msgspec.Struct, frozen=True):
    """One value of one ``factor``: settings and environment variables that differ from the baseline's."""

    factor: str
    name: str
    source: str
    settings: Mapping[str, Value] = {}
    variables: Mapping[str, str] = {}


BASELINE = Candidate("", "as it is", "")


class Machine(msgspec.Struct, frozen=True):
    """What the candidates depend on: the number of processors, the architecture, and allocators by name and path."""

    cores: int
    architecture: str
    allocators: Mapping[str, str]


def this_machine(cores: int) -> Machine:
    """Return what is found here, with ``cores`` processors to use."""
    found = {name: ctypes.util.find_library(name) for name in ("jemalloc", "tcmalloc", "tcmalloc_minimal")}
    return Machine(cores, platform.machine(), {name: path for name, path in found.items() if path})


def candidates(machine: Machine) -> list[Candidate]:
    """Return everything that is worth trying on a machine, by factor."""
    return [*_precisions(), *_modes(), *_layouts(), *_threads(machine), *_memory(machine), *_caches(machine)]


def _precisions() -> Sequence[Candidate]:
    return (
        Candidate("precision", "oneDNN's BF16 fpmath mode", FPMATH, {"fpmath": "bf16"}),
        Candidate("precision", "weights and inputs in bfloat16", AUTOCAST, {"dtype": "bf16"}),
        Candidate("precision", "autocast to bfloat16", AUTOCAST, {"autocast": True}),
    )


def _modes() -> Sequence[Candidate]:
    return (
        Candidate("mode", "frozen TorchScript", FREEZE, {"mode": "frozen"}),
        Candidate("mode", "torch.compile", COMPILE, {"mode": "compile"}),
        Candidate("mode", "torch.compile with frozen weights", COMPILE, {"mode": "compile", "freezing": True}),
    )


def _layouts() -> Sequence[Candidate]:
    return (Candidate("layout", "channels last", CHANNELS_LAST, {"channels_last": True}),)


def _threads(machine: Machine) -> list[Candidate]:
    if machine.cores == 1:
        return []
    counts = sorted({1, machine.cores // 2, machine.cores})
    found = [
        Candidate("threads", f"{count} thread{'s' * (count > 1)}", TUNING_GUIDE, {"threads": count}) for count in counts
    ]
    bound = Candidate("affinity", "threads bound to processors", TUNING_GUIDE, variables={"OMP_PROC_BIND": "close"})
    return [*found, bound]


def _memory(machine: Machine) -> list[Candidate]:
    pages = Candidate("pages", "transparent huge pages", GRAVITON, variables={"THP_MEM_ALLOC_ENABLE": "1"})
    allocators = [
        Candidate("allocator", f"{name} as allocator", TUNING_GUIDE, variables={"LD_PRELOAD": path})
        for name, path in machine.allocators.items()
    ]
    return [pages, *allocators]


def _caches(machine: Machine) -> list[Candidate]:
    found = [Candidate("cache", "primitive cache of 4096", GRAVITON, {"lru_cache_capacity": 4096})]
    if machine.architecture in _ARM:
        small = {"TORCH_MKLDNN_MATMUL_MIN_DIM": "64"}
        found.append(Candidate("matmul", "oneDNN for matmuls from 64 on", GRAVITON, variables=small))
    return found


def combined(chosen: Sequence[Candidate]) -> Candidate:
    """Return the candidates of different factors as one."""
    settings: dict[str, Value] = {}
    variables: dict[str, str] = {}
    for candidate in chosen:
        settings.update(candidate.settings)
        variables.update(candidate.variables)
    return Candidate("", " + ".join(candidate.name for candidate in chosen), "", settings, variables)


def options_of(candidate: Candidate) -> str:
    """Return the options of ``profkit capture`` that give a candidate."""
    known = declared()
    words = [word for name, value in candidate.settings.items() for word in known[name].command_words(value)]
    words += [word for name, value in candidate.variables.items() for word in ("--env", f"{name}={value}")]
    return shlex.join(words)
