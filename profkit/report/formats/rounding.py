"""Floats in files: as many digits as every machine agrees on."""

from __future__ import annotations

DIGITS = 12  # NumPy's AVX-512 code differs from the rest in the 16th digit, and sums of such terms in a few more


def rounded(value: float) -> float:
    """Round to 12 significant digits."""
    return float(f"{value:.{DIGITS}g}")
