"""Merges the call trees of both sides by operator name, with the times of each side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from profkit.compare.calls.renamed import canonical, is_transparent
from profkit.compare.records.diff import CallChange, CallTimes
from profkit.stats.quantiles import median
from profkit.trace.calls import CallTree

Path = tuple[str, ...]


def call_changes(baseline: CallTree, candidate: CallTree) -> list[CallChange]:
    """Return one entry per call path, callers before callees; the times are medians over forwards, in ns.

    An operator that only runs others (TorchScript's ``forward``) is replaced by its callees, so that both sides begin
    with the model's operators. Its self time is a separate top-level entry under its name.
    """
    before, after = _by_path(baseline), _by_path(candidate)
    paths = _in_order(before, after)
    index: dict[Path, int] = {}
    found: list[CallChange] = []
    for path in paths:
        index[path] = len(found)
        parent = index.get(path[:-1], -1)
        found.append(CallChange(name=path[-1], parent=parent, baseline=before.get(path), candidate=after.get(path)))
    return found


def _in_order(*sides: Mapping[Path, CallTimes]) -> list[Path]:
    """Return all paths, callers before callees, siblings by descending time."""
    children: dict[Path, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(path for side in sides for path in side):
        children[path[:-1]].append(path)
    found = []
    waiting: list[Path] = [()]
    while waiting:
        path = waiting.pop()
        if path:
            found.append(path)
        siblings = children.get(path, [])
        siblings.sort(key=lambda p: (max(side[p].total_host_ns for side in sides if p in side), p[-1]))
        waiting += siblings
    return found


def _by_path(tree: CallTree) -> dict[Path, CallTimes]:
    if not len(tree.total_ns):
        return {}
    paths: list[Path] = []
    positions: dict[Path, list[int]] = defaultdict(list)
    self_ns: dict[Path, np.ndarray] = {}
    runs: Counter[Path] = Counter()
    for at, ((name, _), parent) in enumerate(zip(tree.calls, tree.parent, strict=True)):
        above = paths[parent] if parent >= 0 else ()
        if is_transparent(name):
            paths.append(above)
            inside = tree.total_ns[:, tree.children[at]].sum(axis=1)
            self_ns[(name,)] = self_ns.get((name,), 0) + np.maximum(tree.total_ns[:, at] - inside, 0)
            runs[(name,)] += 1
            continue
        paths.append((*above, canonical(name)))
        positions[paths[-1]].append(at)
    found = {
        path: CallTimes(calls=len(calls), total_host_ns=float(median(tree.total_ns[:, calls].sum(axis=1))))
        for path, calls in positions.items()
    }
    return {
        **{path: CallTimes(calls=runs[path], total_host_ns=float(median(ns))) for path, ns in self_ns.items()},
        **found,
    }
