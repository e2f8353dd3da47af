"""What the worker is ordered to build, and what a source of workloads offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from profkit.errors import UsageError


class Known(NamedTuple):
    """A workload that has a name of its own."""

    name: str
    source: str
    task: str


@dataclass(frozen=True, slots=True)
class WorkloadOptions:
    """What the user asks of every workload that is not the user's own code.

    ``batch`` counts samples per forward, ``sequence_length`` the tokens of a text; ``weights`` are ``random`` or
    ``pretrained``, ``seed`` is that of random weights and inputs.
    """

    batch: int = 1
    weights: str = "random"
    sequence_length: int = 128
    seed: int = 0

    def require_defaults(self, workload: str) -> None:
        """Raise UsageError, naming ``workload``, if anything is asked for: it brings its own input and weights."""
        if self != PLAIN:
            raise UsageError(
                f"{workload} brings its own input and weights",
                hint="Leave --batch, --weights, --sequence-length and --seed out.",
            )


PLAIN = WorkloadOptions()


@dataclass(frozen=True, slots=True)
class WorkloadOrder:
    """What the worker builds: model, input and weights.

    ``name`` is also the name of the run's folder. ``source`` names the file of the worker that builds it, and
    ``details`` are for that file. ``batch`` counts samples per forward. ``packages`` are requirements to install beside
    PyTorch.
    """

    name: str
    source: str
    task: str
    batch: int
    weights: str
    seed: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()

    def with_packages(self, packages: tuple[str, ...]) -> WorkloadOrder:
        """Return the same, with more packages beside PyTorch."""
        return replace(self, packages=(*self.packages, *packages))
