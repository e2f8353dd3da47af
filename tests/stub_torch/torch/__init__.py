"""A torch of the few names that profkit's worker uses, on NumPy: a round takes milliseconds.

It exists so that the real worker can be crashed, hung and killed in tests without a real PyTorch.
"""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import numpy

from . import profiler
from .version import __version__, git_version

__all__ = ["Tensor", "__version__", "from_numpy", "jit", "no_grad", "profiler", "version"]

version = SimpleNamespace(git_version=git_version)
__config__ = SimpleNamespace(show=lambda: "Stub built with MKL-DNN v3.1.4, CPU capability usage: AVX2")
backends = SimpleNamespace(mkldnn=SimpleNamespace(is_available=lambda: True))
cuda = SimpleNamespace(synchronize=lambda: None, is_available=lambda: False)
_C = SimpleNamespace(_autograd=SimpleNamespace(_enable_record_function=lambda on: None))
_threads = 2


class Tensor:
    """An array that looks like a tensor to the worker."""

    is_cuda = False

    def __init__(self, array: Any) -> None:
        self.array = numpy.asarray(array)
        self.shape = self.array.shape
        self.dtype = "torch.%s" % self.array.dtype

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return self.array


def from_numpy(array: Any) -> Tensor:
    return Tensor(array)


def get_num_threads() -> int:
    return _threads


def set_num_threads(count: int) -> None:
    global _threads
    _threads = count


no_grad = contextlib.nullcontext
jit = SimpleNamespace(
    script=lambda model: model, trace=lambda model, inputs, strict: model, optimize_for_inference=lambda m: m
)
