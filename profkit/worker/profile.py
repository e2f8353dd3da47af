"""Profiles forwards and writes a trace that TensorBoard can show."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil

from .reports import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .forward import Forward
    from .reports import Reporter

    Order = dict[str, Any]


ANNOTATION = "profkit.forward"  # the name of the annotation around each profiled forward
GZIP_LEVEL = 6
SMALL_TRACE = 4 << 20  # bytes of the trace of a small model, before it is compressed


class Profiling:
    """The profiled forwards of one round; they may run in several turns, and make one trace.

    At least one more before them warms up the profiler. Each forward is inside profkit's annotation and a ProfilerStep.
    ``durations_ns`` are the wall times of the profiled forwards.
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
        self._write: Callable[[Any], None]
        self._before: set[str] = set()

    def run(self, count: int, skip: int = 0) -> None:
        """Profile ``count`` forwards, but in all no more than ``settings['steps']``.

        ``skip`` forwards before them warm the caches up and are not recorded; the first ones of all also warm up the
        profiler.
        """
        total = self._settings["steps"]
        if len(self.durations_ns) == total:
            return
        if self._profiler is None:
            self._profiler = self._prepared()
            self._skip(max(1, skip))
            self._profiler.start_trace()
            self._profiler.add_metadata_json("profkit", json.dumps(self._metadata))
        else:
            with not_recorded():
                self._skip(skip)
        for _ in range(min(count, total - len(self.durations_ns))):
            self.durations_ns.append(self._step(len(self.durations_ns) + 1))

    def save_trace(self) -> str:
        """Write and compress the trace; return its file name. Raises WorkerError if there is none, or not all of it.

        Raises OSError if there is none because the folder holds no more.
        """
        self._profiler.stop_trace()
        self._write(self._profiler)
        written = [n for n in os.listdir(self._folder) if n not in self._before and n.endswith(".pt.trace.json")]
        if not written:
            write_and_remove(os.path.join(self._folder, "trace.part"), SMALL_TRACE)  # says so if the disk is full
        if len(written) != 1:
            raise WorkerError("profile", "the profiler wrote %d traces instead of one" % len(written))
        return compress(os.path.join(self._folder, written[0]))

    def _prepared(self) -> Any:
        """Return the prepared profiler. tensorboard_trace_handler gives the file the name that TensorBoard expects."""
        from torch import profiler

        settings, folder = self._settings, self._folder
        activities = [profiler.ProfilerActivity.CPU]
        if self._forward.on_cuda:
            activities.append(profiler.ProfilerActivity.CUDA)
        self._before = set(os.listdir(folder))
        self._write = relative_trace_handler(folder) if self._chdir else profiler.tensorboard_trace_handler(folder)
        prepared = profiler.profile(
            activities=activities,
            record_shapes=settings["record_shapes"],
            with_stack=settings["with_stack"],
            with_modules=settings["with_stack"],
        )
        prepared.prepare_trace()
        return prepared

    def _skip(self, count: int) -> None:
        for _ in range(count):
            self._forward()

    def _step(self, index: int) -> int:
        """Run forward ``index`` (from 1); return its wall time (ns).

        The ProfilerStep is an annotation of our own: one of the profiler's schedule would last until the next forward,
        with the turns of other workers in it.
        """
        from torch.profiler import record_function

        with record_function("ProfilerStep#%d" % index), record_function(ANNOTATION):
            duration: int = self._forward()[0]
        self._report("forward", stage="profile", index=index, count=self._settings["steps"])
        return duration


@contextlib.contextmanager
def not_recorded() -> Iterator[None]:
    """Keep the operators of this thread out of a trace that is being recorded, as far as PyTorch can."""
    import torch

    enable = getattr(torch._C._autograd, "_enable_record_function", lambda on: None)
    enable(False)
    try:
        yield
    finally:
        enable(True)


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
