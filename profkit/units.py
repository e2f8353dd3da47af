"""Formats numbers as text for output. Everywhere else, times are integer nanoseconds."""

from __future__ import annotations

import math

NOTHING = "-"
_TIME_STEPS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_FILE_SIZE_STEPS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))
_SIZE_STEPS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def _three_digits(value: float) -> str:
    """Format with three significant digits, without an exponent: 5.73, 57.3, 573."""
    size = abs(value)
    return f"{value:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


def duration(ns: float | None) -> str:
    """Format nanoseconds in the unit that fits: ``5730`` → ``5.73 µs``; None → ``-``."""
    if ns is None:
        return NOTHING
    for factor, unit in _TIME_STEPS:
        # 999.6 µs would round to 1000 µs: write 1.00 ms
        if abs(ns) >= factor * 0.9995 and factor > 1:
            return f"{_three_digits(ns / factor)} {unit}"
    return f"{ns:.0f} ns"


def minutes(seconds: float) -> str:
    """Format a long time roughly: ``250`` → ``4 min``, ``75`` → ``75 s``."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def signed_duration(ns: float | None) -> str:
    """Format a change in nanoseconds with its sign: ``-5730`` → ``-5.73 µs``."""
    return duration(ns) if ns is None or ns <= 0 else "+" + duration(ns)


def ratio(value: float | None) -> str:
    """Format a speedup: ``1.3159`` → ``1.32x``; None and what is not finite → ``-``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.3f}x" if value < 0.0995 else f"{_three_digits(value)}x"


def interval(low: float | None, high: float | None) -> str:
    """Format the bounds of a speedup: ``[1.92, 2.03]``; empty if a bound is None."""
    return "" if low is None or high is None else f"[{ratio(low)[:-1]}, {ratio(high)[:-1]}]"


def count(value: float | None) -> str:
    """Format a count; a median over forwards may fall between two integers."""
    if value is None:
        return NOTHING
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def share(value: float | None) -> str:
    """Format a fraction as a percentage: ``0.0573`` → ``5.7%``; None and what has no percentage → ``-``."""
    return NOTHING if value is None or not math.isfinite(100 * value) else f"{100 * value:.1f}%"


def dollars(usd: float | None) -> str:
    """Format US dollars: ``1234.5`` → ``$1,234.50``; below ten cents with three significant digits; None → ``-``."""
    if usd is None:
        return NOTHING
    if usd == 0 or usd >= 0.0995:
        return f"${usd:,.2f}"
    digits = min(12, 2 - math.floor(math.log10(usd)))
    return f"${usd:.{digits}f}"


def price(usd: float | None) -> str:
    """Format a price per hour as it was given, with two decimals or more: ``0.612`` → ``$0.612``; None → ``-``."""
    if usd is None:
        return NOTHING
    whole, _, decimals = f"{usd:,.12f}".rstrip("0").partition(".")
    return f"${whole}.{decimals.ljust(2, '0')}"


def size(byte_count: float | None) -> str:
    """Format a number of bytes in binary units: ``1536`` → ``1.50 KiB``; None → ``-``."""
    if byte_count is None:
        return NOTHING
    for factor, unit in _SIZE_STEPS:
        if byte_count >= factor:
            return f"{_three_digits(byte_count / factor)} {unit}" if factor > 1 else f"{byte_count:.0f} B"
    return "0 B"


def file_size(byte_count: int) -> str:
    """Format a file's size in decimal units, as file managers do: ``1234567`` → ``1.23 MB``."""
    for factor, unit in _FILE_SIZE_STEPS:
        if byte_count >= factor * 0.9995:
            return f"{_three_digits(byte_count / factor)} {unit}"
    return f"{byte_count} B"
