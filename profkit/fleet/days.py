"""The days of an index: what each measured, per workload and per operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from profkit.arrays import Floats
from profkit.fleet.sql import Tables

LARGE = 0.01  # of the forward: smaller operators have no series of their own
MOST_OPERATORS = 20  # per series, the largest

Told = Literal["label", "host"]
"""What tells series of one workload apart."""

_DAYS = """
SELECT workload, {group}, date, bool_and(coalesce(latency_ns, 0) > 0), exp(avg(ln(nullif(latency_ns, 0)))),
  exp(avg(ln(nullif(profiled_ns, 0)))), count(*), list(DISTINCT coalesce(torch, label)),
  list(DISTINCT coalesce(host, 'unknown')), list(DISTINCT label)
FROM rounds WHERE ({where}) AND date IS NOT NULL AND profiled_ns > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_OPERATORS = """
SELECT o.name, o.date, count(*), min(o.self_ns), exp(avg(ln(nullif(o.self_ns, 0)))), sum(o.self_ns)
FROM operators o SEMI JOIN (SELECT batch, trace FROM rounds WHERE ({where})) USING (batch, trace)
WHERE o.workload = ? AND ({group} IS NOT DISTINCT FROM ?) AND o.forwards > 0 AND o.date IS NOT NULL
  AND o.name IS NOT NULL AND isfinite(o.self_ns) AND o.self_ns >= 0 GROUP BY 1, 2
"""


class Day(msgspec.Struct, frozen=True):
    """One day of a series; ``latency_ns`` is None if a round did not measure it."""

    date: str
    latency_ns: float | None
    profiled_ns: float
    rounds: int
    versions: tuple[str, ...]
    hosts: tuple[str, ...]
    labels: tuple[str, ...]


class Days:
    """The days of every workload that meets a condition, and of its operators."""

    def __init__(self, tables: Tables, where: str, told: Told | None) -> None:
        """``told`` tells series apart; with None, labels do where a day has several of one workload.

        Raises UsageError if the condition is wrong.
        """
        self._tables = tables
        self._where = where
        self.series: dict[tuple[str, str | None], list[Day]] = {}
        whole = self._read("NULL") if told is None else {}
        if told is None and any(len(day.labels) > 1 for days in whole.values() for day in days):
            told = "label"
        self.told = told
        self.series = self._read(told) if told is not None else whole

    def _read(self, group: str) -> dict[tuple[str, str | None], list[Day]]:
        found: dict[tuple[str, str | None], list[Day]] = {}
        for row in self._tables.ask(_DAYS.format(group=group, where=self._where)).rows:
            workload, name, date, has_latency, latency, profiled, count, versions, hosts, labels = row
            day = Day(date, latency if has_latency else None, profiled, count, *map(_texts, (versions, hosts, labels)))
            found.setdefault((workload, name), []).append(day)
        return found

    def operators(self, workload: str, group: str | None, days: list[Day]) -> dict[str, Floats]:
        """Return the self host time per forward (ns) of each large operator, one value per day, the largest first.

        On a day without the operator it is zero.
        """
        place = {day.date: number for number, day in enumerate(days)}
        found: dict[str, Floats] = {}
        sql = _OPERATORS.format(group=f"o.{self.told}" if self.told else "NULL", where=self._where)
        for name, date, count, least, typical, whole in self._tables.ask(sql, [workload, group]).rows:
            if date in place:
                rounds = days[place[date]].rounds
                # a round without the operator, or without time in it, counts zero: then there is no geometric mean
                ns = typical if count == rounds and least > 0 else whole / rounds
                found.setdefault(name, np.zeros(len(days)))[place[date]] = ns
        forward = np.array([day.profiled_ns for day in days])
        large = {name: ns for name, ns in found.items() if (ns / forward).max() >= LARGE}
        return dict(sorted(large.items(), key=lambda item: -item[1].max())[:MOST_OPERATORS])


def _texts(values: list[str]) -> tuple[str, ...]:
    return tuple(sorted(values))


def walls(days: list[Day]) -> tuple[Literal["latency", "profiled"], Floats]:
    """Return which wall times all days of a series have, and these (ns)."""
    if all(day.latency_ns is not None for day in days):
        return "latency", np.array([day.latency_ns for day in days], dtype=np.float64)
    return "profiled", np.array([day.profiled_ns for day in days])


def by_name(days: list[Day]) -> Mapping[str, tuple[str, ...]]:
    """Return what may differ between two stretches of days: the versions, labels and machines of all of them."""
    every = {
        "PyTorch": [d.versions for d in days],
        "label": [d.labels for d in days],
        "machine": [d.hosts for d in days],
    }
    return {name: tuple(sorted({text for texts in found for text in texts})) for name, found in every.items()}
