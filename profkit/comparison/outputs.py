"""Compares the model outputs of two runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from profkit.arrays import Floats
from profkit.comparison.records.outputs import NotFinite, OutputsChange
from profkit.runs.contents import RunData
from profkit.runs.outputs import Unreadable


def compare_outputs(baseline: RunData, candidate: RunData) -> OutputsChange | None:
    """Return the difference of the saved outputs; None if a side has none.

    Outputs are not comparable if they cannot be read, if weights, names or shapes differ, or if a side contains NaN or
    infinity; the result says which. It tells different shapes and non-finite values apart from the other reasons.
    """
    before, after = baseline.outputs, candidate.outputs
    if before is None or after is None:
        return None
    found = _compare(baseline, candidate)
    return replace(found, baseline_not_finite=_not_finite(before), candidate_not_finite=_not_finite(after))


def about_not_finite(workload: str, labels: tuple[str, str], outputs: OutputsChange | None) -> Iterator[str]:
    """Yield a warning for each side of which outputs are not finite; ``labels`` are those of the two sides."""
    counts = () if outputs is None else (outputs.baseline_not_finite, outputs.candidate_not_finite)
    for label, count in zip(labels, counts, strict=False):
        if count is not None and (count.nan or count.infinite):
            yield (
                f"{workload}: of the {count.values:,} output values of {label}, {count.nan:,} are NaN and "
                f"{count.infinite:,} infinite."
            )


def _compare(baseline: RunData, candidate: RunData) -> OutputsChange:
    before, after = baseline.outputs, candidate.outputs
    if isinstance(before, Unreadable):
        return _not_comparable(before.reason)
    if isinstance(after, Unreadable):
        return _not_comparable(after.reason)
    assert before is not None
    assert after is not None
    if _weights(baseline) != _weights(candidate):
        return _not_comparable("the weights differ")
    if {n: a.shape for n, a in before.items()} != {n: a.shape for n, a in after.items()}:
        return _not_comparable("their names or shapes differ", same_shapes=False)
    if not before:
        return _not_comparable("the model returns no tensor")
    names = sorted(before)
    with np.errstate(over="ignore"):  # what does not fit into a float64 is infinite, and said to be
        x, y = (np.concatenate([_as_reals(side[n]) for n in names]) for side in (before, after))
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return _not_comparable("a side has NaN or infinity", finite=False)
        error, scale = float(np.abs(x - y).max(initial=0.0)), float(np.abs(x).max(initial=0.0))
        relative = error / scale if scale else None
    if not math.isfinite(error) or not math.isfinite(relative or 0.0):
        return _not_comparable("they differ by more than a number can hold")
    return OutputsChange(
        cosine_similarity=_cosine(x, y),
        max_abs_error=error,
        relative_error=relative,
        top1_agreement=_top1_agreement([*before.values()], [*after.values()]),
        comparable=True,
    )


def _not_finite(outputs: Mapping[str, np.ndarray] | Unreadable) -> NotFinite | None:
    if isinstance(outputs, Unreadable):
        return None
    nan = infinite = values = 0
    with np.errstate(over="ignore"):
        for array in outputs.values():
            reals = _as_reals(array)
            nan += int(np.isnan(reals).sum())
            infinite += int(np.isinf(reals).sum())
            values += reals.size
    return NotFinite(nan=nan, infinite=infinite, values=values)


def _top1_agreement(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> float | None:
    """Return the share of samples whose largest value is in the same column on both sides, of the same shape.

    None unless both are a single floating-point array of the shape (samples, classes): what a classifier returns.
    """
    if len(before) != 1 or before[0].ndim != 2 or any(side[0].dtype.kind != "f" for side in (before, after)):
        return None
    samples, classes = before[0].shape
    if samples == 0 or classes < 2:
        return None
    return float((before[0].argmax(axis=1) == after[0].argmax(axis=1)).mean())


def _cosine(x: Floats, y: Floats) -> float:
    """Return the cosine similarity of two vectors of finite numbers, of the shape (values,)."""
    x, y = _near_one(x), _near_one(y)
    norms = [float(np.linalg.norm(side)) for side in (x, y)]
    # a zero vector has no direction: use 1 for two zero vectors, else 0
    return min(1.0, float(x @ y) / (norms[0] * norms[1]) if all(norms) else float(norms[0] == norms[1]))


def _near_one(values: Floats) -> Floats:
    """Return the values times a power of two, so that their squares neither overflow nor vanish."""
    exponent = int(np.frexp(np.abs(values).max(initial=0.0))[1])
    scaled: Floats = np.ldexp(values, -exponent)
    return scaled


def _not_comparable(reason: str, *, same_shapes: bool = True, finite: bool = True) -> OutputsChange:
    return OutputsChange(
        cosine_similarity=None,
        max_abs_error=None,
        comparable=False,
        same_shapes=same_shapes,
        finite=finite,
        reason=reason,
    )


def _as_reals(array: np.ndarray) -> Floats:
    """Return the values as a flat float64 array; a complex value becomes two."""
    flat = np.ascontiguousarray(array).ravel()
    return flat.astype(np.complex128).view(np.float64) if flat.dtype.kind == "c" else flat.astype(np.float64)


def _weights(data: RunData) -> str | None:
    run = data.run
    return run.manifest.workload.weights_sha256 if run.manifest is not None else None
