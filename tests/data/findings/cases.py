"""Models whose captures are the real cases of the rules for findings; capture.sh captures them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class ShortCalls(nn.Module):
    """Hundreds of operators on a few numbers each."""

    def forward(self, x: Any) -> Any:
        for _ in range(200):
            x = torch.sin(x) + 1
        return x


class LargeTemporaries(nn.Module):
    """Results of 32 MB, which glibc maps anew in every forward unless it is told not to."""

    def forward(self, x: Any) -> Any:
        for _ in range(3):
            x = (x * 1.5).sqrt()
        return x


def short_calls() -> tuple[Any, Any]:
    return ShortCalls(), torch.ones(4)


def large_temporaries() -> tuple[Any, Any]:
    return LargeTemporaries(), torch.ones(8 << 20)


def convolutions() -> tuple[Any, Any]:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Conv2d(32, 16, 3)]
    return nn.Sequential(*layers), torch.ones(1, 3, 32, 32)


def volumes() -> tuple[Any, Any]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(8, 16, 3), nn.ReLU(), nn.MaxPool3d(2)), torch.ones(1, 8, 16, 16, 16)


def deep() -> tuple[Any, Any]:
    torch.manual_seed(0)
    layers: list[Any] = []
    for _ in range(24):
        layers += [nn.Linear(256, 256), nn.LayerNorm(256), nn.Tanh()]
    return nn.Sequential(*layers), torch.randn(8, 256, generator=torch.Generator().manual_seed(1))
