"""Extracts the tensors of a model's result by name, counts what is not finite, and saves them to a file."""

from __future__ import annotations

import hashlib
import os

import numpy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def to_numpy(tensor: Any) -> Any:
    """Return a tensor's values as an array on the CPU; bfloat16, which NumPy lacks, becomes float32."""
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) in ("torch.bfloat16",):
        tensor = tensor.float()
    return tensor.numpy()


def flatten(value: Any, name: str = "output") -> Iterator[tuple[str, Any]]:
    """Yield ``(name, tensor)`` for every tensor in a model's result, which may nest lists, tuples and mappings."""
    if hasattr(value, "detach"):
        yield name, value
    elif hasattr(value, "items"):
        for key, item in value.items():
            yield from flatten(item, "%s.%s" % (name, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from flatten(item, "%s.%d" % (name, index))


def count_not_finite(result: Any) -> dict[str, int]:
    """Return how many values of the model's result are NaN and infinite, and how many there are."""
    counts = {"nan": 0, "infinite": 0, "values": 0}
    for _, tensor in flatten(result):
        array = to_numpy(tensor)
        counts["values"] += int(array.size)
        if array.dtype.kind in "fc":
            counts["nan"] += int(numpy.isnan(array).sum())
            counts["infinite"] += int(numpy.isinf(array).sum())
    return counts


def save_outputs(result: Any, path: str) -> str:
    """Write every tensor of the model's result to ``path`` (npz); return the SHA-256 of their names and values."""
    arrays = {name: to_numpy(tensor) for name, tensor in flatten(result)}
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(numpy.ascontiguousarray(arrays[name]).tobytes())
    try:
        with open(path + ".part", "wb") as target:
            numpy.savez_compressed(target, **arrays)
        os.replace(path + ".part", path)
    finally:
        if os.path.exists(path + ".part"):
            os.remove(path + ".part")
    return digest.hexdigest()
