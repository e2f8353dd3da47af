"""A batch size that cannot be chosen."""

from __future__ import annotations

from typing import Any

from torchbenchmark.benchmark import BenchmarkModel, doubled


class Model(BenchmarkModel):
    DEFAULT_EVAL_BSIZE = 4
    ALLOW_CUSTOMIZE_BSIZE = False

    def get_module(self) -> tuple[Any, Any]:
        return doubled, (self.rows(),)
