"""A model that does not hand its module out."""

from __future__ import annotations

from torchbenchmark.benchmark import BenchmarkModel


class Model(BenchmarkModel):
    pass
