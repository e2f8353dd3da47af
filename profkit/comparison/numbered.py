"""Pairs the operators that torch.compile numbers: their names differ between the sides for the same work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from profkit.comparison.records.diff import OperatorChange
from profkit.runs.measurement import Measurement
from profkit.trace.generated import stem


class Numbered(NamedTuple):
    """Both sides with such operators under the stems of their names, and the names of each side by stem."""

    baseline: Measurement
    candidate: Measurement
    names: Mapping[str, tuple[list[str], list[str]]]


def under_common_names(baseline: Measurement, candidate: Measurement) -> Numbered:
    """Put the numbered operators of both sides under their stems, if the sides number them differently.

    If both sides have the same names with a stem, these names tell kernels apart, and stay. If they have not, the
    numbers do not say which kernel of one side is which of the other, so all with that stem are one operator.
    """
    sides = [_by_stem(side) for side in (baseline, candidate)]
    names = {
        root: (sides[0][root], sides[1][root])
        for root in sides[0]
        if root in sides[1] and sides[0][root] != sides[1][root]
    }
    renamed = [{name: root for root, both in names.items() for name in both[k]} for k in (0, 1)]
    return Numbered(baseline.under_stems(renamed[0]), candidate.under_stems(renamed[1]), names)


def _by_stem(side: Measurement) -> dict[str, list[str]]:
    """Return the names of a side's numbered operators by stem."""
    table = next(iter(side.tables.values()))
    found: dict[str, list[str]] = {}
    for name in sorted({key[0] for key in table.keys}):
        if (root := stem(name)) is not None:
            found.setdefault(root, []).append(name)
    return found


def with_names(
    changes: Iterable[OperatorChange], names: Mapping[str, tuple[list[str], list[str]]]
) -> list[OperatorChange]:
    """Return the changes; those of operators under a stem say the names that they have on each side."""
    return [
        replace(change, baseline_names=names[change.name][0], candidate_names=names[change.name][1])
        if change.name in names
        else change
        for change in changes
    ]
