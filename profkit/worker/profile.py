"""Profiles forwards and writes a trace that TensorBoard can show."""

from __future__ import annotations

import gzip
import json
import os
import shutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .forward import Forward
    from .reports import Reporter

    Order = dict[str, Any]


ANNOTATION = "profkit.forward"  # the name of the annotation around each profiled forward
GZIP_LEVEL = 6


def profiled(
    forward: Forward, settings: Order, folder: str, metadata: Order, report: Reporter, chdir: bool
) -> tuple[list[int], str]:
    """Profile ``settings['steps']`` forwards into ``folder``; return ``(durations_ns, trace file name)``.

    One additional forward before them warms up the profiler. Each forward is inside profkit's annotation and a
    ProfilerStep. tensorboard_trace_handler gives the file the name that TensorBoard expects.
    """
    from torch import profiler

    activities = [profiler.ProfilerActivity.CPU]
    if forward.on_cuda:
        activities.append(profiler.ProfilerActivity.CUDA)
    before = set(os.listdir(folder))
    durations: list[int] = []
    with profiler.profile(
        activities=activities,
        schedule=profiler.schedule(wait=0, warmup=1, active=settings["steps"], repeat=1),
        on_trace_ready=relative_trace_handler(folder) if chdir else profiler.tensorboard_trace_handler(folder),
        record_shapes=settings["record_shapes"],
        with_stack=settings["with_stack"],
        with_modules=settings["with_stack"],
    ) as profile:
        for index in range(settings["steps"] + 1):
            if index == 1:
                profile.add_metadata_json("profkit", json.dumps(metadata))
            with profiler.record_function(ANNOTATION):
                durations.append(forward()[0])
            report("forward", stage="profile", index=index, count=settings["steps"])
            profile.step()
    (written,) = [name for name in os.listdir(folder) if name not in before and name.endswith(".pt.trace.json")]
    return durations[1:], compress(os.path.join(folder, written))


def relative_trace_handler(folder: str) -> Callable[[Any], None]:
    """Return a trace handler that changes the working directory to ``folder``, for a process that profkit started.

    The exporter writes the path it is given into the trace; a relative path does not reveal the user's folders.
    """
    from torch import profiler

    def handle(profile: Any) -> None:
        previous = os.getcwd()
        os.chdir(folder)
        try:
            profiler.tensorboard_trace_handler(".")(profile)
        finally:
            os.chdir(previous)

    return handle


def compress(path: str) -> str:
    """Replace the file by a gzipped copy; return its name. The handler's use_gzip option compresses line by line."""
    packed = path + ".gz"
    with open(path, "rb") as source, open(packed + ".part", "wb") as raw:
        with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as target:
            shutil.copyfileobj(source, target, 1 << 20)
    os.replace(packed + ".part", packed)
    os.remove(path)
    return os.path.basename(packed)
