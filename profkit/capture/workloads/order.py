"""What the worker is ordered to build, and what a source of workloads offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from profkit.errors import UsageError
from profkit.runs.settings import Settings


class Known(NamedTuple):
    """A workload that has a name of its own."""

    name: str
    source: str
    task: str


@dataclass(frozen=True, slots=True)
class WorkloadOptions:
    """What the user asks of every workload that is not the user's own code.

    ``batch`` counts samples per forward, ``sequence_length`` the tokens of a text; ``weights`` are ``random`` or
    ``pretrained``, ``seed`` is that of random weights and inputs. ``torchbench`` is the folder of a checkout of
    TorchBench, if there is one; it asks nothing of other workloads.
    """

    batch: int = 1
    weights: str = "random"
    sequence_length: int = 128
    seed: int = 0
    torchbench: Path | None = field(default=None, compare=False)

    @classmethod
    def of(cls, settings: Settings, torchbench: Path | None = None) -> WorkloadOptions:
        """Return what the settings of a capture ask for."""
        return cls(settings.batch, settings.weights, settings.sequence_length, settings.seed, torchbench)

    def require_defaults(self, workload: str, *, takes_batch: bool = False) -> None:
        """Raise UsageError, naming ``workload``, if anything is asked for: it brings its own input and weights.

        With ``takes_batch``, the number of samples may be asked for.
        """
        if self != (replace(PLAIN, batch=self.batch) if takes_batch else PLAIN):
            options = "--weights, --sequence-length and --seed"
            raise UsageError(
                f"{workload} brings its own input and weights",
                hint=f"Leave {options if takes_batch else f'--batch, {options}'} out.",
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
