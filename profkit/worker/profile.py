"""Profiles forwards and writes a trace that TensorBoard can show."""

from __future__ import annotations

import gzip
import json
import os
import shutil

from .reports import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .forward import Forward
    from .reports import Reporter

    Order = dict[str, Any]


ANNOTATION = "profkit.forward"  # the name of the annotation around each profiled forward
GZIP_LEVEL = 6
SMALL_TRACE = 4 << 20  # bytes of the trace of a small model, before it is compressed


class Profiling:
    """The profiled forwards of one round; they may run in several turns, and make one trace.

    One additional forward before them warms up the profiler. Each forward is inside profkit's annotation and a
    ProfilerStep. ``durations_ns`` are the wall times of the profiled forwards.
    """

    def __init__(
        self, forward: Forward, settings: Order, folder: str, metadata: Order, report: Reporter, chdir: bool
    ) -> None:
        self.durations_ns: list[int] = []
        self._forward = forward
        self._settings = settings
        self._folder = folder
        self._metadata = metadata
        self._report = report
        self._chdir = chdir
        self._profiler: Any = None
        self._before: set[str] = set()

    def run(self, count: int) -> None:
        """Profile ``count`` forwards, but in all no more than ``settings['steps']``; the last one writes the trace."""
        total = self._settings["steps"]
        if self._profiler is None:
            self._begin()
            self._step(0)
        for _ in range(min(count, total - len(self.durations_ns))):
            self.durations_ns.append(self._step(len(self.durations_ns) + 1))
        if len(self.durations_ns) == total:
            self._profiler.stop()

    def compressed_trace(self) -> str:
        """Compress the trace; return its file name. Raises WorkerError if there is none, or not the whole of it.

        Raises OSError if there is none because the folder holds no more.
        """
        written = [n for n in os.listdir(self._folder) if n not in self._before and n.endswith(".pt.trace.json")]
        if not written:
            write_and_remove(os.path.join(self._folder, "trace.part"), SMALL_TRACE)  # says so if the disk is full
        if len(written) != 1:
            raise WorkerError("profile", "the profiler wrote %d traces instead of one" % len(written))
        return compress(os.path.join(self._folder, written[0]))

    def _begin(self) -> None:
        """Start the profiler. tensorboard_trace_handler gives the file the name that TensorBoard expects."""
        from torch import profiler

        settings, folder = self._settings, self._folder
        activities = [profiler.ProfilerActivity.CPU]
        if self._forward.on_cuda:
            activities.append(profiler.ProfilerActivity.CUDA)
        self._before = set(os.listdir(folder))
        self._profiler = profiler.profile(
            activities=activities,
            schedule=profiler.schedule(wait=0, warmup=1, active=settings["steps"], repeat=1),
            on_trace_ready=relative_trace_handler(folder)
            if self._chdir
            else profiler.tensorboard_trace_handler(folder),
            record_shapes=settings["record_shapes"],
            with_stack=settings["with_stack"],
            with_modules=settings["with_stack"],
        )
        self._profiler.start()

    def _step(self, index: int) -> int:
        """Run forward ``index`` (0: the one that warms up the profiler); return its wall time (ns)."""
        from torch import profiler

        if index == 1:
            self._profiler.add_metadata_json("profkit", json.dumps(self._metadata))
        with profiler.record_function(ANNOTATION):
            duration: int = self._forward()[0]
        self._report("forward", stage="profile", index=index, count=self._settings["steps"])
        self._profiler.step()
        return duration


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
    """Replace the file by a gzipped copy; return its name. The handler's use_gzip option compresses line by line.

    Nothing of it is left if that fails. Raises WorkerError if a trace was not written to its end: the exporter does not
    tell when the disk is full.
    """
    packed = path + ".gz"
    try:
        with open(path, "rb") as source, open(packed + ".part", "wb") as raw:
            with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as target:
                shutil.copyfileobj(source, target, 1 << 20)
        # after packing, which says so if the disk is full now
        if path.endswith(".json") and not ends_with_brace(path):
            raise WorkerError("output", "the trace is incomplete", "Is the disk full? Free some space.")
        os.replace(packed + ".part", packed)
    finally:
        for left in (path, packed + ".part"):
            if os.path.exists(left):
                os.remove(left)
    return os.path.basename(packed)


def write_and_remove(path: str, size: int) -> None:
    """Write ``size`` bytes to a new file and remove it. Raises OSError if they cannot be written."""
    try:
        with open(path, "wb") as stream:
            stream.write(bytes(size))
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        if os.path.exists(path):
            os.remove(path)


def ends_with_brace(path: str) -> bool:
    """Whether the last character of a file, blanks aside, is the brace that ends a JSON object."""
    with open(path, "rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - 64))
        return stream.read().rstrip().endswith(b"}")
