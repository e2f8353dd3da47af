"""What the models have in common."""

from __future__ import annotations

from typing import Any

import numpy
import torch


class BenchmarkModel:
    DEFAULT_EVAL_BSIZE = 2
    ALLOW_CUSTOMIZE_BSIZE = True

    def __init__(
        self, test: str, device: str, batch_size: int | None = None, extra_args: list[str] | None = None
    ) -> None:
        assert (test, device, extra_args) == ("eval", "cpu", [])
        self.batch_size = batch_size or self.DEFAULT_EVAL_BSIZE
        if not self.ALLOW_CUSTOMIZE_BSIZE and self.batch_size != self.DEFAULT_EVAL_BSIZE:
            raise NotImplementedError("Model doesn't support customizing batch size.")

    def rows(self) -> Any:
        """Return a tensor of the shape (batch, 4)."""
        values = numpy.arange(self.batch_size * 4, dtype=numpy.float32)
        return torch.from_numpy(values.reshape(self.batch_size, 4))

    def get_module(self) -> tuple[Any, Any]:
        raise NotImplementedError("get_module()")


def doubled(tensor: Any) -> Any:
    return torch.from_numpy(tensor.numpy() * 2)
