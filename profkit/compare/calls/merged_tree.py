"""Both sides' call trees as one: what calls what, by name, with the time of each side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from profkit.compare.calls.renamed import canonical, is_transparent
from profkit.compare.records.diff import CallChange, CallTimes
from profkit.trace.calls import CallTree

Path = tuple[str, ...]


def call_changes(baseline: CallTree, candidate: CallTree) -> list[CallChange]:
    """Return the operators by the path of their callers, callers first; the times are medians over forwards.

    An operator that only runs others (TorchScript's ``forward``) is looked through, so that both sides begin with the
    model's own; its own time stands under its name at the top.
    """
    before, after = _by_path(baseline), _by_path(candidate)
    paths = _in_order(before, after)
    place: dict[Path, int] = {}
    found: list[CallChange] = []
    for path in paths:
        place[path] = len(found)
        parent = place.get(path[:-1], -1)
        found.append(CallChange(name=path[-1], parent=parent, baseline=before.get(path), candidate=after.get(path)))
    return found


def _in_order(*sides: Mapping[Path, CallTimes]) -> list[Path]:
    """Return all paths, callers before what they call, siblings by time."""
    below: dict[Path, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(path for side in sides for path in side):
        below[path[:-1]].append(path)
    found = []
    waiting: list[Path] = [()]
    while waiting:
        path = waiting.pop()
        if path:
            found.append(path)
        siblings = below.get(path, [])
        siblings.sort(key=lambda p: (max(side[p].total_host_ns for side in sides if p in side), p[-1]))
        waiting += siblings
    return found


def _by_path(tree: CallTree) -> dict[Path, CallTimes]:
    if not len(tree.total_ns):
        return {}
    paths: list[Path] = []
    positions: dict[Path, list[int]] = defaultdict(list)
    own: dict[Path, np.ndarray] = {}
    runs: Counter[Path] = Counter()
    for at, ((name, _), parent) in enumerate(zip(tree.calls, tree.parent, strict=True)):
        above = paths[parent] if parent >= 0 else ()
        if is_transparent(name):
            paths.append(above)
            inside = tree.total_ns[:, tree.children[at]].sum(axis=1)
            own[(name,)] = own.get((name,), 0) + np.maximum(tree.total_ns[:, at] - inside, 0)
            runs[(name,)] += 1
            continue
        paths.append((*above, canonical(name)))
        positions[paths[-1]].append(at)
    found = {
        path: CallTimes(calls=len(places), total_host_ns=float(np.median(tree.total_ns[:, places].sum(axis=1))))
        for path, places in positions.items()
    }
    return {
        **{path: CallTimes(calls=runs[path], total_host_ns=float(np.median(ns))) for path, ns in own.items()},
        **found,
    }
