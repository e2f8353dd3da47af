"""Finds the module and the Python stack in which each operator ran."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from profkit.arrays import Integers
from profkit.trace import dialect
from profkit.trace.events import Events, Trace
from profkit.trace.spans import innermost_open, nest

NOWHERE = ""  # the module or stack of an operator outside all frames
_SHOWN_FRAMES = 256  # of a path; deeper ones would take text that grows with the square of their depth


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
    around = innermost_open(_on_operator_tracks(trace, frames, operators), operators)
    paths, of_frame = _number_paths(frames, names)
    # only the paths that some operator ran in become text
    used, place = np.unique(np.append(of_frame, -1)[around], return_inverse=True)
    table = [NOWHERE if path < 0 else paths.text(path, names, joint) for path in used.tolist()]
    return np.where(given >= 0, given + len(table), place), [*table, *given_texts]


def _on_operator_tracks(trace: Trace, frames: Events, operators: Events) -> Events:
    """Move the frames to the operators' track if the file has them all on pid 0, tid 0, as some versions write.

    If the operators have several tracks, the one with most operators is taken.
    """
    tracks, of_frames = np.unique(operators.track), np.unique(frames.track)
    if len(of_frames) == 1 and of_frames[0] not in tracks and trace.tracks[of_frames[0]] == (0, 0) and len(tracks):
        busiest = tracks[np.argmax([(operators.track == t).sum() for t in tracks])]
        return frames.with_track(np.full(len(frames), busiest, dtype=np.int32))
    return frames


class _Paths:
    """The distinct paths of frames (a frame and all around it): a path is a name below another path, -1 at the top.

    ``name`` holds positions in the table of names; ``depth`` is the number of frames of a path, and ``digest``
    identifies all of them. ``begin`` is the path of the first frames, those that are shown of a path that is too deep.
    """

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, int], int] = {}
        self.above: list[int] = []
        self.name: list[int] = []
        self.depth: list[int] = []
        self.begin: list[int] = []
        self.digest: list[bytes] = []

    def number(self, above: int, name: int, text: str) -> int:
        """Return the number of a path, which is a new one if it was not asked for before."""
        found = self.numbers.setdefault((above, name), len(self.name))
        if found == len(self.name):
            self.above.append(above)
            self.name.append(name)
            self.depth.append(1 + (self.depth[above] if above >= 0 else 0))
            self.begin.append(found if self.depth[found] <= _SHOWN_FRAMES // 2 else self.begin[above])
            before = self.digest[above] if above >= 0 else b""
            self.digest.append(blake2b(before + text.encode("utf-8", "replace"), digest_size=8).digest())
        return found

    def text(self, path: int, names: list[str], joint: str) -> str:
        """Return the names of a path; in a path of too many frames those in the middle are left out."""
        if self.depth[path] <= _SHOWN_FRAMES:
            return joint.join(self._last(path, names, _SHOWN_FRAMES))
        left_out = f"{self.depth[path] - 2 * (_SHOWN_FRAMES // 2)} frames ({self.digest[path].hex()})"
        half = _SHOWN_FRAMES // 2
        return joint.join([*self._last(self.begin[path], names, half), left_out, *self._last(path, names, half)])

    def _last(self, path: int, names: list[str], count: int) -> list[str]:
        found: list[str] = []
        while path >= 0 and len(found) < count:
            found.append(names[self.name[path]])
            path = self.above[path]
        return found[::-1]


def _number_paths(frames: Events, names: list[str]) -> tuple[_Paths, Integers]:
    """Return the paths of the frames, and for each frame the number of its path."""
    nesting = nest(frames)
    paths = _Paths()
    order = range(len(frames)) if nesting.order is None else nesting.order.tolist()
    parent, name, of = nesting.parent.tolist(), frames.name.tolist(), [-1] * len(frames)
    for row in order:  # callers before what they call
        of[row] = paths.number(of[parent[row]] if parent[row] >= 0 else -1, name[row], names[name[row]])
    return paths, np.array(of, dtype=np.int64)
