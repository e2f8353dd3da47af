"""Profiles forwards into a trace that TensorBoard shows."""

from __future__ import annotations

import gzip
import json
import os
import shutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .measure import Forward
    from .reports import Reporter

    Order = dict[str, Any]


ANNOTATION = "profkit.forward"  # the name of the annotation around each profiled forward
GZIP_LEVEL = 6


def profiled(
    forward: Forward, settings: Order, folder: str, metadata: Order, report: Reporter, chdir: bool
) -> tuple[list[int], str]:
    """Profile ``settings['steps']`` forwards into ``folder``; return ``(durations_ns, trace file name)``.

    One more step before them warms up the profiler. Each forward is in profkit's own annotation and in a ProfilerStep;
    tensorboard_trace_handler names the file as TensorBoard expects it.
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
    """Return a trace handler that works in ``folder``, for a process of our own.

    The exporter writes the path it was given into the file; a relative one does not reveal the user's folders.
    """
    from torch import profiler

    def handle(profile: Any) -> None:
        here = os.getcwd()
        os.chdir(folder)
        try:
            profiler.tensorboard_trace_handler(".")(profile)
        finally:
            os.chdir(here)

    return handle


def compress(path: str) -> str:
    """Replace the file by its gzip; return the new name. The handler's own use_gzip works line by line."""
    packed = path + ".gz"
    with open(path, "rb") as source, open(packed + ".part", "wb") as raw:
        with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as target:
            shutil.copyfileobj(source, target, 1 << 20)
    os.replace(packed + ".part", packed)
    os.remove(path)
    return os.path.basename(packed)
