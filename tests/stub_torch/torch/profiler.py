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


def schedule(*, wait: int, warmup: int, active: int, repeat: int) -> int:
    return wait + warmup + active


class profile:  # noqa: N801  # torch's name
    """Records the annotations of the active steps, and hands itself to ``on_trace_ready`` after the last."""

    def __init__(self, *, schedule: int, on_trace_ready: Callable[[Any], None], **_: Any) -> None:
        self._steps, self._ready = schedule, on_trace_ready
        self._step = 0
        self._metadata: dict[str, Any] = {}
        self.spans: list[tuple[str, int, int]] = []

    def start(self) -> None:
        _current.append(self)

    def stop(self) -> None:
        _current.remove(self)

    def add_metadata_json(self, key: str, value: str) -> None:
        self._metadata[key] = json.loads(value)

    def step(self) -> None:
        self._step += 1
        if self._step == 1:
            self.spans.clear()  # the step that warms up the profiler
        if self._step == self._steps:
            self._ready(self)

    def export_chrome_trace(self, path: str) -> None:
        events = []
        for number, (name, start, duration) in enumerate(self.spans):
            half = duration // 2
            for category, label, begin, length in (
                ("user_annotation", name, start, duration),
                ("cpu_op", "aten::conv2d", start + 1, half),
                ("cpu_op", "aten::relu", start + 1 + half, max(1, duration - half - 2)),
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
