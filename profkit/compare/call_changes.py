"""Both sides' call trees as one: what calls what, by name, with the time of each side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from profkit.compare.records import CallChange, CallTimes
from profkit.compare.renamed import canonical, is_transparent
from profkit.trace.calls import CallTree

Path = tuple[str, ...]


def call_changes(baseline: CallTree, candidate: CallTree) -> list[CallChange]:
    """Return the operators by the path of their callers, callers first; the times are medians over forwards.

    An operator that only runs others (TorchScript's ``forward``) is looked through, so that both sides begin with the
    model's own; its own time stands under its name at the top.
    """
    before, after = _by_path(baseline), _by_path(candidate)
    paths = sorted(dict.fromkeys([*before, *after]), key=lambda path: _order(path, before, after))
    place: dict[Path, int] = {}
    found: list[CallChange] = []
    for path in paths:
        place[path] = len(found)
        parent = place.get(path[:-1], -1)
        found.append(CallChange(name=path[-1], parent=parent, baseline=before.get(path), candidate=after.get(path)))
    return found


def _order(path: Path, *sides: Mapping[Path, CallTimes]) -> list[tuple[float, str]]:
    """Return a key that sorts callers before what they call, and siblings by time."""
    key = []
    for depth in range(1, len(path) + 1):
        times = [side[path[:depth]].total_host_ns for side in sides if path[:depth] in side]
        key.append((-max(times, default=0.0), path[depth - 1]))
    return key


def _by_path(tree: CallTree) -> dict[Path, CallTimes]:
    if not len(tree.total_ns):
        return {}
    paths: list[Path] = []
    positions: dict[Path, list[int]] = defaultdict(list)
    own: dict[Path, np.ndarray] = {}
    for at, ((name, _), parent) in enumerate(zip(tree.calls, tree.parent, strict=True)):
        above = paths[parent] if parent >= 0 else ()
        if is_transparent(name):
            paths.append(above)
            inside = tree.total_ns[:, tree.children[at]].sum(axis=1)
            own[(name,)] = own.get((name,), 0) + np.maximum(tree.total_ns[:, at] - inside, 0)
            continue
        paths.append((*above, canonical(name)))
        positions[paths[-1]].append(at)
    found = {
        path: CallTimes(calls=len(places), total_host_ns=float(np.median(tree.total_ns[:, places].sum(axis=1))))
        for path, places in positions.items()
    }
    return {**{path: CallTimes(calls=1, total_host_ns=float(np.median(ns))) for path, ns in own.items()}, **found}
