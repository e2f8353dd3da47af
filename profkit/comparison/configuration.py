"""Differences between the configurations of two sides: expected (under test) and unexpected (possible confounders)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from profkit.comparison.records.diff import Difference
from profkit.runs import Manifest
from profkit.runs.configuration import compare_configurations


def find_differences(pairs: Iterable[tuple[str, Manifest | None, Manifest | None]]) -> list[Difference]:
    """Return the fields in which the manifests of each (workload, baseline, candidate) differ.

    Expected differences come first; within each group, fields are in the order of ``compare_configurations``. A
    difference that all workloads share is listed once, without a workload name. Pairs without both manifests are
    ignored.
    """
    found: dict[Difference, list[str]] = {}
    known = [(name, a, b) for name, a, b in pairs if a is not None and b is not None]
    ranks: dict[str, int] = {}
    for name, baseline, candidate in known:
        for rank, d in enumerate(compare_configurations(baseline, candidate)):
            entry = Difference(field=d.field, baseline=d.before, candidate=d.after, expected=d.expected)
            found.setdefault(entry, []).append(name)
            ranks[d.field] = max(rank, ranks.get(d.field, 0))
    result: list[Difference] = []
    for entry, names in found.items():
        if len(names) == len(known):
            result.append(entry)
        else:
            result += [msgspec.structs.replace(entry, workload=name) for name in names]
    return sorted(result, key=lambda d: (not d.expected, ranks[d.field], d.workload or ""))
