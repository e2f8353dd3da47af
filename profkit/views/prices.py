"""Prices of machines: from options, from a price file, and from the table that comes with profkit.

A price file is JSON: ``{"prices": [{"name": …, "usd_per_hour": …}]}``. ``name`` is an instance type or the label of a
run. ``source`` (a text), ``date`` (YYYY-MM-DD) and ``verified`` (true unless it says false) may be added to each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from profkit.comparison.records.cost import Price, PriceOrigin
from profkit.errors import InputError, UsageError
from profkit.files import read_bounded
from profkit.shortening import shorten

SIZE_LIMIT = 4 << 20  # bytes of a price file: EC2 has about a thousand instance types, of 200 bytes each
_LARGEST = 1e6  # US dollars per hour: the largest instances cost about a hundred
_LONGEST = 200  # characters of a name
_EXAMPLE = '{"prices": [{"name": "c7g.4xlarge", "usd_per_hour": 0.58}]}'


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=_LONGEST)]
    usd_per_hour: Annotated[float, Meta(gt=0, le=_LARGEST)]
    source: Annotated[str, Meta(max_length=1000)] = ""
    date: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    verified: bool = True


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prices: list[_Entry]


def parse_prices(texts: Sequence[str]) -> dict[str, Price]:
    """Return the prices of ``NAME=USD`` texts by name; raises UsageError if one is not valid or a name has two."""
    return _by_name(((name, _given(usd)) for name, usd in map(_parse, texts)), "--price")


def _given(usd: float) -> Price:
    return Price(usd_per_hour=usd, origin="--price", source="given by the user")


def _parse(text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")  # a label may contain the sign itself
    shown, hint = shorten(text, 100), "Write NAME=USD, in US dollars per hour, such as --price c7g.4xlarge=0.58."
    if not equals or not name.strip():
        raise UsageError(f"--price {shown!r} is not NAME=USD", hint=hint)
    try:
        usd = float(number)
    except ValueError:
        raise UsageError(f"--price {shown!r}: {shorten(number, 100)!r} is not a number", hint=hint) from None
    if not math.isfinite(usd) or usd > _LARGEST:
        raise UsageError(f"--price {shown!r} is not a price: it is above {_LARGEST:,.0f} or not finite", hint=hint)
    if usd <= 0:
        raise UsageError(f"--price {shown!r} is not a price: it must be above 0", hint=hint)
    return name.strip(), usd


def read_prices(path: Path) -> dict[str, Price]:
    """Return the prices in a price file by name.

    Raises InputError if it cannot be read or is not a price file, UsageError if a name has two prices.
    """
    return _by_name(_decoded(read_bounded(path, SIZE_LIMIT).data, "--prices", path), str(path))


@cache
def known_prices() -> dict[str, Price]:
    """Return the prices of the study's instance types that come with profkit; the unverified ones say so."""
    text = resources.files("profkit.views").joinpath("instance_prices.json").read_bytes()
    return dict(_decoded(text, "profkit", "instance_prices.json"))


def _decoded(data: bytes, origin: PriceOrigin, where: object) -> list[tuple[str, Price]]:
    try:
        entries = msgspec.json.decode(data, type=_File).prices
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"is not a price file: {error}", where=where, hint=f"It looks like {_EXAMPLE}") from None
    return [
        (
            entry.name,
            Price(
                usd_per_hour=entry.usd_per_hour,
                origin=origin,
                source=entry.source,
                date=entry.date,
                verified=entry.verified,
            ),
        )
        for entry in entries
    ]


def _by_name(prices: Iterable[tuple[str, Price]], where: str) -> dict[str, Price]:
    found: dict[str, Price] = {}
    for name, price in prices:
        if name in found:
            both = f"{found[name].usd_per_hour:g} and {price.usd_per_hour:g}"
            raise UsageError(
                f"{shorten(name, 100)} has two prices: {both}", where=where, hint="Give one price for each name."
            )
        found[name] = price
    return found
