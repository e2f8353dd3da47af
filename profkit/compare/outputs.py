"""Compares the model outputs of two runs."""

from __future__ import annotations

import numpy as np

from profkit.compare.records.diff import OutputsChange
from profkit.runs.contents import RunData

NOT_COMPARABLE = OutputsChange(cosine_similarity=None, max_abs_error=None, comparable=False)
OTHER_SHAPES = OutputsChange(cosine_similarity=None, max_abs_error=None, comparable=False, same_shapes=False)
NOT_FINITE = OutputsChange(cosine_similarity=None, max_abs_error=None, comparable=False, finite=False)


def compare_outputs(baseline: RunData, candidate: RunData) -> OutputsChange | None:
    """Return the difference of the saved outputs; None if a side has none.

    Outputs are not comparable if weights, names or shapes differ, if a type is not numeric, or if a side contains NaN
    or infinity. The result tells different shapes and non-finite values apart from the other reasons. Raises InputError
    if saved outputs cannot be read.
    """
    before, after = baseline.outputs, candidate.outputs
    if before is None or after is None:
        return None
    if _weights(baseline) != _weights(candidate):
        return NOT_COMPARABLE
    if {n: a.shape for n, a in before.items()} != {n: a.shape for n, a in after.items()}:
        return OTHER_SHAPES
    if not before:
        return NOT_COMPARABLE
    names = sorted(before)
    if any(array.dtype.kind not in "biufc" for side in (before, after) for array in side.values()):
        return NOT_COMPARABLE
    x, y = (np.concatenate([_as_reals(side[n]) for n in names]) for side in (before, after))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return NOT_FINITE
    norms = [float(np.linalg.norm(side)) for side in (x, y)]
    error, scale = float(np.abs(x - y).max(initial=0.0)), float(np.abs(x).max(initial=0.0))
    # a zero vector has no direction: use 1 for two zero vectors, else 0
    cosine = float(x @ y) / (norms[0] * norms[1]) if all(norms) else float(norms[0] == norms[1])
    return OutputsChange(
        cosine_similarity=min(1.0, cosine),
        max_abs_error=error,
        relative_error=error / scale if scale else None,
        comparable=True,
    )


def _as_reals(array: np.ndarray) -> np.ndarray:
    """Return the values as a flat float64 array; a complex value becomes two."""
    flat = np.ascontiguousarray(array).ravel()
    return flat.astype(np.complex128).view(np.float64) if flat.dtype.kind == "c" else flat.astype(np.float64)


def _weights(data: RunData) -> str | None:
    run = data.run
    return run.manifest.workload.weights_sha256 if run.manifest is not None else None
