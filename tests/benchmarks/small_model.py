"""A small model for benchmarks of captures: 33 equal layers, and a digamma of 1% of the forward.

The fpmath mode, which changes nothing on a CPU without AMX, says what is planted: ``bf16`` in ``slower`` one layer more
(3% of the work), ``bf16`` in ``operator`` a digamma of 10% more elements. ``make`` is the same in every mode.
"""

from __future__ import annotations

import os
from typing import Any

import torch

LAYERS = 33
ELEMENTS = 7_000  # too few to be shared between threads, whose wake-up would scatter more than what is planted


class Small(torch.nn.Module):
    """Convolutions of one size, one after the other, and a digamma beside them, which one thread computes."""

    def __init__(self, layers: int, elements: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(*(torch.nn.Conv2d(48, 48, 3, padding=1) for _ in range(layers)))
        self.register_buffer("aside", torch.ones(elements))

    def forward(self, image: Any) -> Any:
        """Return the image after all layers, scaled by the digamma."""
        return self.layers(image) * torch.digamma(self.aside)[0]


def _make(layers: int, elements: int) -> tuple[Any, Any]:
    return Small(layers, elements).eval(), torch.ones(1, 48, 28, 28)


def _is_planted() -> bool:
    return os.environ.get("DNNL_DEFAULT_FPMATH_MODE") == "BF16"


def make() -> tuple[Any, Any]:
    """Return the model and its input: the same in every mode."""
    return _make(LAYERS, ELEMENTS)


def slower() -> tuple[Any, Any]:
    """Return the same with one layer more in bf16."""
    return _make(LAYERS + _is_planted(), ELEMENTS)


def operator() -> tuple[Any, Any]:
    """Return the same with 10% more elements in the digamma in bf16."""
    return _make(LAYERS, ELEMENTS + ELEMENTS // 10 * _is_planted())
