"""Numbers become text once, at the edge."""

from __future__ import annotations

import pytest

from profkit import units


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (7, "7 ns"),
        (5_730, "5.73 µs"),
        (57_300, "57.3 µs"),
        (999_400, "999 µs"),
        (999_600, "1.00 ms"),
        (47_061_000, "47.1 ms"),
        (18_704_979_000, "18.7 s"),
        (-5_730, "-5.73 µs"),
        (None, "-"),
    ],
)
def test_duration(ns: float | None, text: str) -> None:
    assert units.duration(ns) == text


@pytest.mark.parametrize(("ns", "text"), [(1_500, "+1.50 µs"), (-1_500, "-1.50 µs"), (0, "0 ns"), (None, "-")])
def test_signed_duration(ns: float | None, text: str) -> None:
    assert units.signed_duration(ns) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.3159, "1.32x"),
        (0.059, "0.059x"),
        (13.16, "13.2x"),
        (131.6, "132x"),
        (None, "-"),
        (1e19 / 5e-324, "-"),  # a saved time so small that the ratio is infinite
    ],
)
def test_ratio(value: float | None, text: str) -> None:
    assert units.ratio(value) == text


@pytest.mark.parametrize(("value", "text"), [(53.0, "53"), (52.5, "52.5"), (None, "-")])
def test_count(value: float | None, text: str) -> None:
    assert units.count(value) == text


@pytest.mark.parametrize(("n", "text"), [(0, "0 B"), (1536, "1.50 KiB"), (5 << 30, "5.00 GiB")])
def test_size(n: int, text: str) -> None:
    assert units.size(n) == text


def test_intervals() -> None:
    assert units.interval(1.918, 2.034) == "[1.92, 2.03]"
    assert units.interval(0.0412, 12.3) == "[0.041, 12.3]"
    assert units.interval(None, 2.0) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0.0573, "5.7%"), (0.0, "0.0%"), (None, "-"), (1e307, "-"), (float("nan"), "-")]
)
def test_share(value: float | None, text: str) -> None:
    assert units.share(value) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (1234.5, "$1,234.50"),
        (1.0, "$1.00"),
        (0.42, "$0.42"),
        (0.0995, "$0.10"),
        (0.0423, "$0.0423"),
        (0.000123456, "$0.000123"),
        (1e-300, "$0.000000000000"),
        (0.0, "$0.00"),
        (None, "-"),
    ],
)
def test_dollars(usd: float | None, text: str) -> None:
    assert units.dollars(usd) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.612, "$0.612"), (0.58, "$0.58"), (1.0, "$1.00"), (98.32, "$98.32"), (1000.0, "$1,000.00"), (None, "-")],
)
def test_a_price_keeps_its_decimals(usd: float | None, text: str) -> None:
    assert units.price(usd) == text
