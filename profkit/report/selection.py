"""Which rows a table shows, and in which order."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from profkit.errors import UsageError

if TYPE_CHECKING:
    from profkit.compare.records.diff import Comparison, OperatorChange
    from profkit.views.operators import OperatorRow, OperatorsView


@dataclass(frozen=True, slots=True)
class Selection:
    """``pattern`` is a shell pattern or a part of the name; ``top`` 0 shows every row; ``sort`` None is the default."""

    pattern: str | None = None
    sort: str | None = None
    top: int = 0

    def matches(self, name: str) -> bool:
        if self.pattern is None:
            return True
        return self.pattern.lower() in name.lower() or fnmatch.fnmatchcase(name.lower(), self.pattern.lower())


_CHANGE_ORDER: dict[str, Callable[[OperatorChange], object]] = {
    "change": lambda o: -abs(o.delta_ns),
    "speedup": lambda o: -(o.speedup or 0),
    "self": lambda o: -max(s.self_host_ns for s in (o.baseline, o.candidate) if s),
    "total": lambda o: -max(s.total_host_ns for s in (o.baseline, o.candidate) if s),
    "calls": lambda o: -max(s.calls for s in (o.baseline, o.candidate) if s),
    "name": lambda o: o.name,
}
_ROW_ORDER: dict[str, Callable[[OperatorRow], object]] = {
    "self": lambda o: -o.self_host_ns,
    "total": lambda o: -o.total_host_ns,
    "calls": lambda o: -o.calls,
    "name": lambda o: o.name,
}
CHANGE_ORDERS = tuple(_CHANGE_ORDER)
ROW_ORDERS = tuple(_ROW_ORDER)


def select_changes(changes: Sequence[OperatorChange], selection: Selection) -> list[OperatorChange]:
    """Return the matching changes in order, all of them; cutting at ``top`` is the renderer's, which says so."""
    found = [change for change in changes if selection.matches(change.name)]
    return sorted(found, key=_CHANGE_ORDER[selection.sort or "change"])  # type: ignore[arg-type]  # keys compare alike


def select_rows(rows: Sequence[OperatorRow], selection: Selection) -> list[OperatorRow]:
    """Return the matching rows in order, all of them."""
    found = [row for row in rows if selection.matches(row.name)]
    return sorted(found, key=_ROW_ORDER[selection.sort or "self"])  # type: ignore[arg-type]  # keys compare alike


def select_comparison(comparison: Comparison, selection: Selection) -> Comparison:
    """Return ``comparison`` with the chosen operators, the first ``top`` of each workload (0: all).

    Raises UsageError where no workload has an operator that matches.
    """
    names = [o.name for workload in comparison.workloads for o in workload.operators]
    if selection.pattern is not None and not any(map(selection.matches, names)):
        raise _nothing(selection)
    workloads = [
        msgspec.structs.replace(w, operators=select_changes(w.operators, selection)[: selection.top or None])
        for w in comparison.workloads
    ]
    return msgspec.structs.replace(comparison, workloads=workloads)


def select_view(view: OperatorsView, selection: Selection) -> OperatorsView:
    """Return ``view`` with the chosen operators, the first ``top`` (0: all); raises UsageError where none matches."""
    chosen = select_rows(view.operators, selection)
    if view.operators and not chosen:
        raise _nothing(selection)
    return msgspec.structs.replace(view, operators=chosen[: selection.top or None])


def _nothing(selection: Selection) -> UsageError:
    return UsageError(f"no operator matches {selection.pattern!r}", hint="Try a part of a name, such as conv.")
