"""Is the answer still right? Compares the outputs that two runs of a model kept."""

from __future__ import annotations

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from profkit.compare.records.diff import OutputsChange
from profkit.errors import InputError
from profkit.runs import Run

NOT_COMPARABLE = OutputsChange(cosine_similarity=None, max_abs_error=None, comparable=False)
OTHER_SHAPES = OutputsChange(cosine_similarity=None, max_abs_error=None, comparable=False, same_shapes=False)
NOT_FINITE = OutputsChange(cosine_similarity=None, max_abs_error=None, comparable=False, finite=False)


def compare_outputs(baseline: Run, candidate: Run) -> OutputsChange | None:
    """Return how far the outputs moved; None where a side kept none, not comparable where weights or shapes differ.

    Outputs with NaN or infinity on a side are not comparable, and said to be so."""
    if baseline.outputs is None or candidate.outputs is None:
        return None
    if _weights(baseline) != _weights(candidate):
        return NOT_COMPARABLE
    before, after = _load(baseline.outputs), _load(candidate.outputs)
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
    # nothing has no direction: like nothing, and unlike anything else
    cosine = float(x @ y) / (norms[0] * norms[1]) if all(norms) else float(norms[0] == norms[1])
    return OutputsChange(
        cosine_similarity=min(1.0, cosine),
        max_abs_error=error,
        relative_error=error / scale if scale else None,
        comparable=True,
    )


def _as_reals(array: np.ndarray) -> np.ndarray:
    """Return the values as one row of float64, a complex one as two."""
    flat = np.ascontiguousarray(array).ravel()
    return flat.astype(np.complex128).view(np.float64) if flat.dtype.kind == "c" else flat.astype(np.float64)


def _weights(run: Run) -> str | None:
    return run.manifest.workload.weights_sha256 if run.manifest is not None else None


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, BadZipFile, EOFError, KeyError, NotImplementedError, zlib.error) as error:
        raise InputError(f"holds no readable outputs: {error}", where=path, hint="Capture it again.") from None
