"""Merges the call trees of both sides by operator name, with the times of each side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from profkit.comparison.calls.renamed import canonical, is_transparent
from profkit.comparison.records.diff import CallChange, CallTimes
from profkit.stats.quantiles import median
from profkit.trace.calls import CallTree

_TOP = -1


class _Paths:
    """Numbers the call paths of both sides: a path is a name below another path, so a deep one takes no more memory."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, str], int] = {}
        self.above: list[int] = []
        self.names: list[str] = []

    def number(self, above: int, name: str) -> int:
        """Return the number of a path; those above it have lower numbers."""
        number = self._numbers.setdefault((above, name), len(self.names))
        if number == len(self.names):
            self.above.append(above)
            self.names.append(name)
        return number


def call_changes(baseline: CallTree, candidate: CallTree) -> list[CallChange]:
    """Return one entry per call path, callers before callees; the times are medians over forwards, in ns.

    An operator that only runs others (TorchScript's ``forward``) is replaced by its callees, so that both sides begin
    with the model's operators. Its self time is a separate top-level entry under its name.
    """
    paths = _Paths()
    before, after = _by_path(baseline, paths), _by_path(candidate, paths)
    index: dict[int, int] = {}
    found: list[CallChange] = []
    for path in _in_order(paths, before, after):
        index[path] = len(found)
        parent = index.get(paths.above[path], -1)
        name = paths.names[path]
        found.append(CallChange(name=name, parent=parent, baseline=before.get(path), candidate=after.get(path)))
    return found


def _in_order(paths: _Paths, *sides: Mapping[int, CallTimes]) -> list[int]:
    """Return all paths, callers before callees, siblings by descending time."""
    children: dict[int, list[int]] = defaultdict(list)
    for path in dict.fromkeys(path for side in sides for path in side):
        children[paths.above[path]].append(path)
    found = []
    waiting = [_TOP]
    while waiting:
        path = waiting.pop()
        if path != _TOP:
            found.append(path)
        siblings = children.get(path, [])
        siblings.sort(key=lambda p: (max(side[p].total_host_ns for side in sides if p in side), paths.names[p]))
        waiting += siblings
    return found


def _by_path(tree: CallTree, paths: _Paths) -> dict[int, CallTimes]:
    if not len(tree.total_ns):
        return {}
    of_call: list[int] = []
    positions: dict[int, list[int]] = defaultdict(list)
    self_ns: dict[int, np.ndarray] = {}
    runs: Counter[int] = Counter()
    for at, ((name, _), parent) in enumerate(zip(tree.calls, tree.parent, strict=True)):
        above = of_call[parent] if parent >= 0 else _TOP
        if is_transparent(name):
            of_call.append(above)
            own = paths.number(_TOP, name)
            inside = tree.total_ns[:, tree.children[at]].sum(axis=1)
            self_ns[own] = self_ns.get(own, 0) + np.maximum(tree.total_ns[:, at] - inside, 0)
            runs[own] += 1
            continue
        of_call.append(paths.number(above, canonical(name)))
        positions[of_call[-1]].append(at)
    found = {
        path: CallTimes(calls=len(calls), total_host_ns=float(median(tree.total_ns[:, calls].sum(axis=1))))
        for path, calls in positions.items()
    }
    return {
        **{path: CallTimes(calls=runs[path], total_host_ns=float(median(ns))) for path, ns in self_ns.items()},
        **found,
    }
