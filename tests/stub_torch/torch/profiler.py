"""The profiler's names that the worker uses; traces hold the annotated forwards and two operators in each."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

ProfilerActivity = SimpleNamespace(CPU="CPU", CUDA="CUDA")
_current: list[Any] = []


class profile:  # noqa: N801  # torch's name
    """Records the annotations between ``start_trace`` and ``stop_trace``."""

    def __init__(self, **_: Any) -> None:
        self._metadata: dict[str, Any] = {}
        self.spans: list[tuple[str, int, int]] = []

    def prepare_trace(self) -> None:
        assert self not in _current

    def start_trace(self) -> None:
        _current.append(self)

    def stop_trace(self) -> None:
        _current.remove(self)

    def add_metadata_json(self, key: str, value: str) -> None:
        self._metadata[key] = json.loads(value)

    def export_chrome_trace(self, path: str) -> None:
        events = []
        for number, (name, start, duration) in enumerate(self.spans):
            half = duration // 2
            operators = (
                ("cpu_op", "aten::conv2d", start + 1, half),
                ("cpu_op", "aten::relu", start + 1 + half, max(1, duration - half - 2)),
            )
            annotation = ("user_annotation", name, start, duration)
            for category, label, begin, length in (
                annotation,
                *(operators if name == "profkit.forward" else ()),
            ):
                place = {"pid": os.getpid(), "tid": 1, "ts": begin / 1000, "dur": length / 1000}
                events.append({"ph": "X", "cat": category, "name": label, **place, "args": {"Ev Idx": number}})
        with open(path, "w", encoding="utf-8") as target:
            json.dump({"schemaVersion": 1, **self._metadata, "traceEvents": events}, target)


@contextlib.contextmanager
def record_function(name: str) -> Iterator[None]:
    start = time.time_ns()
    yield
    for active in _current:
        active.spans.append((name, start, time.time_ns() - start))


def tensorboard_trace_handler(folder: str) -> Callable[[profile], None]:
    def handle(finished: profile) -> None:
        name = "%s_%d.%d.pt.trace.json" % (socket.gethostname(), os.getpid(), time.time_ns())
        finished.export_chrome_trace(os.path.join(folder, name))

    return handle
