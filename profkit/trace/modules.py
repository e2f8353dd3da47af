"""Finds the module and the Python stack in which each operator ran."""

from __future__ import annotations

import numpy as np

from profkit.arrays import Integers
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.spans import innermost_open, nest

NOWHERE = ""  # the module or stack of an operator outside all frames


def modules(trace: Trace, operators: Events) -> tuple[Integers, list[str]]:
    """Return for each operator the position of its module in a table, shape ``(operators,)``, and the table.

    The module is the event's ``Module Hierarchy`` if it has one, else the path of ``nn.Module`` frames around it,
    outermost first, joined by ``/``.
    """
    frames = _frames(trace, trace.name_mask(prefix=dialect.MODULE_PREFIX))
    names = [name.removeprefix(dialect.MODULE_PREFIX) for name in trace.names]
    return _place(trace, operators, frames, names, operators.module, trace.hierarchies, "/")


def stacks(trace: Trace, operators: Events) -> tuple[Integers, list[str]]:
    """Return for each operator the position of its Python stack in a table, shape ``(operators,)``, and the table.

    The stack is the event's ``Call stack`` if it has one (up to 1.13), else the Python frames around it, outermost
    first, joined by ``;``.
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
    """Move the frames to the operators' track if the file has them all on pid 0, tid 0, as some versions write.

    If the operators have several tracks, the one with most operators is taken.
    """
    tracks, of_frames = np.unique(operators.track), np.unique(frames.track)
    if len(of_frames) == 1 and of_frames[0] not in tracks and trace.tracks[of_frames[0]] == (0, 0) and len(tracks):
        busiest = tracks[np.argmax([(operators.track == t).sum() for t in tracks])]
        return frames.with_track(np.full(len(frames), busiest, dtype=np.int32))
    return frames


def _paths(frames: Events, names: list[str], joint: str) -> tuple[Integers, list[str]]:
    """Return for each frame the position of its path (all frames around it and itself), and the distinct paths."""
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
