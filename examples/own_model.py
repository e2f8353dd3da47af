"""Your own model as a workload: ``profkit capture examples/own_model.py:make --torch 2.0``.

``make`` returns the model and its input. The weights are the same in every process.
"""

from __future__ import annotations

import torch


def make() -> tuple[torch.nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, kernel_size=3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(32, 10),
    )
    return model, torch.ones(1, 3, 64, 64)
