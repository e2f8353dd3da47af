"""A model that only the second loader knows."""

from __future__ import annotations

from typing import Any

from torchbenchmark.benchmark import BenchmarkModel, doubled


class Model(BenchmarkModel):
    def get_module(self) -> tuple[Any, Any]:
        return doubled, (self.rows(),)
