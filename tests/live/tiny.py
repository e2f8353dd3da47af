"""Workloads of our own for live tests: small, slow, hanging, dying."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import torch


class Tiny(torch.nn.Module):
    """Two layers with fixed weights: the same hash in every process and version."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3)
        self.linear = torch.nn.Linear(8, 4)
        with torch.no_grad():
            for parameter in self.parameters():
                # sixty-fourths are exact, where linspace rounds otherwise in every version
                parameter.copy_((torch.arange(parameter.numel()) % 128 - 64).reshape(parameter.shape) / 64.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.relu(self.convolution(image)).mean(dim=(2, 3)))


def make() -> tuple[Any, Any]:
    return Tiny(), torch.ones(1, 3, 32, 32)


def changed_in_2() -> tuple[Any, Any]:
    """A model that returns twice as much from PyTorch 2 on, with the same weights."""

    class Changed(Tiny):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image) * (2 if torch.__version__ >= "2" else 1)

    return Changed(), torch.ones(1, 3, 32, 32)


def channels_last() -> tuple[Any, Any]:
    """A model that fails under any other memory format, in the weights as in the input."""
    model = Tiny()

    class Checked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            for tensor in (image, self.inner.convolution.weight):
                assert tensor.is_contiguous(memory_format=torch.channels_last)
                assert not tensor.is_contiguous()
            return self.inner(image)

    return Checked(), torch.ones(1, 3, 32, 32)


def keywords() -> tuple[Any, Any]:
    """A model that takes its arguments by keyword, in another order than it declares them."""

    class ByKeyword(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Tiny()

        def forward(self, scale: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
            return self.inner(image) * scale

    return ByKeyword(), {"image": torch.ones(1, 3, 32, 32), "scale": torch.ones(1) * 2}


def slow() -> tuple[Any, Any]:
    model = Tiny()

    def call(image: torch.Tensor) -> torch.Tensor:
        time.sleep(0.1)
        return model(image)

    return call, torch.ones(1, 3, 32, 32)


def hanging() -> tuple[Any, Any]:
    def call(image: torch.Tensor) -> torch.Tensor:
        while True:
            time.sleep(1)

    return call, torch.ones(1)


def dying() -> tuple[Any, Any]:
    def call(image: torch.Tensor) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGSEGV)
        return image

    return call, torch.ones(1)


def broken() -> tuple[Any, Any]:
    raise ValueError("no such weights")


def dying_under_the_log() -> tuple[Any, Any]:
    model = Tiny()

    def call(image: torch.Tensor) -> torch.Tensor:
        if os.environ.get("ONEDNN_VERBOSE"):
            os.kill(os.getpid(), signal.SIGSEGV)
        return model(image)

    return call, torch.ones(1, 3, 32, 32)
