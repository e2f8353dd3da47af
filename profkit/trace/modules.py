"""In which module and under which Python stack each operator ran."""

from __future__ import annotations

import numpy as np

from profkit.arrays import Integers
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.spans import innermost_open, nest

NOWHERE = ""


def modules(trace: Trace, operators: Events) -> tuple[Integers, list[str]]:
    """Return for each operator the position of its module in the table that comes with it.

    The module is the ``Module Hierarchy`` that the event names, else the path of ``nn.Module`` frames around it,
    outermost first, joined by ``/``.
    """
    frames = _frames(trace, trace.name_mask(prefix=dialect.MODULE_PREFIX))
    names = [name.removeprefix(dialect.MODULE_PREFIX) for name in trace.names]
    return _place(trace, operators, frames, names, operators.module, trace.hierarchies, "/")


def stacks(trace: Trace, operators: Events) -> tuple[Integers, list[str]]:
    """Return for each operator the position of its Python stack, innermost frame last, in the table given with it.

    The stack is the ``Call stack`` that the event names (up to 1.13), else the Python frames around it.
    """
    frames = _frames(trace, np.ones(len(trace.names), dtype=bool))
    return _place(trace, operators, frames, list(trace.names), operators.call_stack, trace.call_stacks, ";")


def _frames(trace: Trace, names: np.ndarray) -> Events:
    return trace.events.take(trace.has_category(dialect.PYTHON) & trace.has_name(names))


def _place(
    trace: Trace,
    operators: Events,
    frames: Events,
    names: list[str],
    given: Integers,
    given_texts: tuple[str, ...],
    joint: str,
) -> tuple[Integers, list[str]]:
    path_of_frame, paths = _paths(frames, names, joint)
    around = innermost_open(_on_operator_tracks(trace, frames, operators), operators)
    table = [NOWHERE, *paths, *given_texts]
    by_frame = np.where(around >= 0, path_of_frame[around] + 1, 0) if len(frames) else np.zeros(len(operators), int)
    return np.where(given >= 0, given + len(paths) + 1, by_frame), table


def _on_operator_tracks(trace: Trace, frames: Events, operators: Events) -> Events:
    """Move frames to the operators' track where the file has them on one of their own.

    Some versions write every Python frame to pid 0, tid 0; where the operators have one track, it is meant.
    """
    mine, theirs = np.unique(operators.track), np.unique(frames.track)
    if len(theirs) == 1 and theirs[0] not in mine and trace.tracks[theirs[0]] == (0, 0) and len(mine):
        busiest = mine[np.argmax([(operators.track == t).sum() for t in mine])]
        return frames.with_track(np.full(len(frames), busiest, dtype=np.int32))
    return frames


def _paths(frames: Events, names: list[str], joint: str) -> tuple[Integers, list[str]]:
    """Return for each frame the position of its path (itself and all around it) among the distinct paths."""
    nesting = nest(frames)
    known: dict[tuple[int, int], int] = {}
    paths: list[str] = []
    of_frame = np.full(len(frames), -1, dtype=np.int64)
    parent, name = nesting.parent.tolist(), frames.name.tolist()
    for row in np.argsort(nesting.depth, kind="stable").tolist():
        above = int(of_frame[parent[row]]) if parent[row] >= 0 else -1
        key = (above, name[row])
        if key not in known:
            known[key] = len(paths)
            paths.append(names[name[row]] if above < 0 else paths[above] + joint + names[name[row]])
        of_frame[row] = known[key]
    return of_frame, paths
