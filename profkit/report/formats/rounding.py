"""Floats in files: as many digits as every machine agrees on."""

from __future__ import annotations

DIGITS = 12  # NumPy's AVX-512 code differs from the rest in the 16th digit, and sums of such terms in a few more
WHOLE = 1e15  # below this every whole float is an exact integer


def rounded(value: float) -> float:
    """Round to 12 significant digits; a whole number becomes an int, so that a saved result stays as it is."""
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < WHOLE else short
