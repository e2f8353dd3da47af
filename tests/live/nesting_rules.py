"""Plain models of how PyTorch, its TensorBoard plugin and profkit nest spans, and of the tables that follow."""

from __future__ import annotations

from collections import Counter

CALLS_ITSELF = "aten::div_"  # by a number calls div_ by a tensor: merged in key_averages, or counted twice
Span = tuple[str, int, int]
"""Name, start and end in ns, in the order of nesting."""
Row = tuple[int, float, float]
"""Calls, self and total time in µs."""


def tables(spans: list[Span], *, like_pytorch: bool) -> dict[str, Row]:
    """A plain model of both rule books, on the spans of one thread.

    PyTorch's: the parent is the innermost span that contains the child whole, an only child of its parent's name
    is merged into it, and total counts nested calls twice. Ours: the parent is the innermost span open at the
    start, nothing is merged, and time under a call of the same name counts once.
    """
    parents: list[int] = []
    stack: list[int] = []
    for _, begin, end in spans:
        while stack and (begin >= spans[stack[-1]][2] or (like_pytorch and end > spans[stack[-1]][2])):
            stack.pop()
        parents.append(stack[-1] if stack else -1)
        stack.append(len(parents) - 1)
    if like_pytorch:
        children = Counter(parents)
        merged = {i for i, p in enumerate(parents) if p >= 0 and children[p] == 1 and spans[i][0] == spans[p][0]}
    else:
        merged = set()
    own = [end - begin for _, begin, end in spans]
    for i, parent in enumerate(parents):
        if parent >= 0 and i not in merged:
            while parent in merged:
                parent = parents[parent]
            own[parent] -= min(spans[i][2], spans[parent][2]) - spans[i][1]
    rows: dict[str, Row] = {}
    for i, (name, begin, end) in enumerate(spans):
        if i not in merged:
            above, parent = False, parents[i]
            while parent >= 0 and not like_pytorch and not above:
                above, parent = spans[parent][0] == name, parents[parent]
            calls, self_us, total_us = rows.get(name, (0, 0.0, 0.0))
            rows[name] = (calls + 1, self_us + own[i] / 1000, total_us + (0 if above else end - begin) / 1000)
    return rows
