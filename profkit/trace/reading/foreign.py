"""What a file is that is no trace of torch.profiler, told by its first bytes, and how to get what is needed.

Only the beginning of a file is looked at, never its name, and nothing in it is executed or unpickled. A beginning that
may belong to a damaged trace is not judged here. The magic numbers are those of the formats' own documentation; that
of Nsight Systems was seen in its reports.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from profkit.errors import InputError
from profkit.files import gzip_errors, open_unpacked

BEGINNING = 1 << 16  # bytes in which a file shows what it is


class Foreign(NamedTuple):
    """What a file is, with its article, and what to do to get a trace or to see the file's content."""

    what: str
    advice: str

    def refusal(self, source: str | Path) -> InputError:
        """Return the error for the file ``source``."""
        return InputError(f"is {self.what}, not a trace; {self.advice}", where=source)


_EXPORT = "export JSON with torch.profiler's export_chrome_trace or tensorboard_trace_handler"
_MEMORY_TIMELINE = Foreign(
    "a memory timeline", f"export_memory_timeline wrote it from a profile: {_EXPORT} of the same profile"
)
_MEMORY_SNAPSHOT = Foreign(
    "a snapshot of CUDA memory", f"open it with torch.cuda's memory viewer (pytorch.org/memory_viz), or {_EXPORT}"
)
_PICKLE = Foreign("a Python pickle", f"it is not loaded, because loading one runs its code: {_EXPORT}")
_MODEL = Foreign("a PyTorch model or checkpoint", f"profile it first, then {_EXPORT}")
_NSIGHT = Foreign("a report of Nsight Systems", f"open it with nsys-ui, or {_EXPORT}")
_XPLANE = Foreign("an XPlane profile of JAX or TensorFlow", "open it with TensorBoard's or JAX's own profiler tools")
_EVENTS = Foreign(
    "a TensorBoard event file", f"pass the .pt.trace.json file that the profiler wrote beside it, or {_EXPORT}"
)
_PERFETTO = Foreign("a Perfetto protobuf trace", _EXPORT)
_EXECUTION_TRACE = Foreign("an execution trace", f"it has no traceEvents, so no times: {_EXPORT} for the same forwards")
_SAVED_RESULT = Foreign("a saved result of profkit", "show it with profkit render")
_LOG = Foreign("oneDNN's verbose log", "read it with profkit onednn")

# the first bytes of a file, and what it is then
_MAGIC: tuple[tuple[bytes, Foreign], ...] = (
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", _MODEL),  # torch.save before 1.6
    (b"NVIDIA Tegra Profiler Report", _NSIGHT),
    (b"NVR\0", Foreign("a report of Nsight Compute", f"open it with ncu-ui, or {_EXPORT}")),
    (b"PERFILE2", Foreign("a recording of Linux perf", f"read it with perf report, or {_EXPORT}")),
    (b"\x93NUMPY", Foreign("a NumPy array", _EXPORT)),
    (b"\x89HDF\r\n", Foreign("an HDF5 file", _EXPORT)),
    (b"PAR1", Foreign("a Parquet table", _EXPORT)),
    (b"\x7fELF", Foreign("a program or library", _EXPORT)),
    (b"%PDF-", Foreign("a PDF", _EXPORT)),
    (b"\x89PNG\r\n", Foreign("a picture", _EXPORT)),
    (
        b"version https://git-lfs.github.com/spec/",
        Foreign("a pointer of Git LFS", "fetch the file that it stands for with git lfs pull"),
    ),
)
# patterns, each compiled when it is first used: most files need none
_PICKLE_START = rb"\x80[\x02-\x05]|\(?[dl]p[0-9]+\n"
_SAVED = rb'\{\s*"schema"\s*:\s*"(?:diff|operators|compare|info|primitives|run|workloads|machine)/[0-9]'
_ARRAY_OF_ARRAYS = rb"\[\s*\[\s*(?:-?[0-9]|\])"
_LOG_LINE = rb"(?:one|mkl)?dnn_verbose,"
_CONTROL = rb"[\x00-\x08\x0e-\x1f]"
_ONNX_START = rb"\x08[\x01-\x1f]\x12[\x01-\x40][ -~]{3}"  # the version of its format, and who wrote it
_ZIP = b"PK\x03\x04"
_PACKED = (
    (_ZIP, "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"Rar!\x1a\x07", "RAR"),
)
_ZIP_NAME = 30  # where the name of the first file in a zip archive begins; its length is in the four bytes before
_OF_A_MODEL = (b"/data.pkl", b"/.format_version", b"/version", b"/constants.pkl", b"/byteorder")


def beginning_of(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked if it is gzip; empty if it cannot be read, which reading reports."""
    unreadable: tuple[type[Exception], ...] = (InputError, OSError, *gzip_errors())
    try:
        with open_unpacked(path) as stream:
            return stream.read(BEGINNING)
    except unreadable:
        return b""


def recognise(beginning: bytes) -> Foreign | None:
    """Return what a file with these first bytes is; None if it may be a trace, or is of an unknown kind."""
    for magic, found in _MAGIC:
        if beginning.startswith(magic):
            return found
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b'{"', b"{\n", b"{ ", b"{\r")):  # as traces begin, and nothing that is not text
        return _text(text)
    return _binary(beginning) or _text(text)


def packed_by(beginning: bytes) -> str | None:
    """Return the program that packed a file with these first bytes; None if it is not packed, or by gzip alone."""
    return next((name for magic, name in _PACKED if beginning.startswith(magic)), None)


def _binary(beginning: bytes) -> Foreign | None:
    if beginning.startswith(b"SQLite format 3\0"):
        nsight = b"CUPTI_ACTIVITY" in beginning or b"NVTX_EVENTS" in beginning or b"META_DATA_CAPTURE" in beginning
        return Foreign("an export of Nsight Systems (SQLite)" if nsight else "an SQLite database", _NSIGHT.advice)
    if re.match(_PICKLE_START, beginning):
        is_snapshot = b"segments" in beginning and (b"device_traces" in beginning or b"segment_type" in beginning)
        return _MEMORY_SNAPSHOT if is_snapshot else _PICKLE
    if beginning.startswith(_ZIP):
        length = int.from_bytes(beginning[_ZIP_NAME - 4 : _ZIP_NAME - 2], "little")
        name = beginning[_ZIP_NAME : _ZIP_NAME + length]
        if name.endswith(b".npy"):
            return Foreign("a file of NumPy arrays", _EXPORT)
        return _MODEL if name.endswith(_OF_A_MODEL) else None
    if b"brain.Event:" in beginning[:64]:
        return _EVENTS
    if beginning.startswith(b"\n") and re.search(_CONTROL, beginning[1:16]):  # the tag of a protobuf's first message
        is_xplane = b"/host:" in beginning[:64] or b"/device:" in beginning[:64]  # the name of its first plane
        return _XPLANE if is_xplane else _PERFETTO
    if re.match(_ONNX_START, beginning):
        return Foreign("an ONNX model", f"profile it as a PyTorch model, then {_EXPORT}")
    return None


def _text(text: bytes) -> Foreign | None:
    """Judge a text; one with ``traceEvents`` is a trace, perhaps a damaged one."""
    if b'"traceEvents"' in text:
        return None
    if text.startswith(b"<"):
        return _page(text)
    if text.startswith(b"["):
        return _MEMORY_TIMELINE if re.match(_ARRAY_OF_ARRAYS, text) else None
    if re.match(_LOG_LINE, text):
        return _LOG
    if not text.startswith(b"{"):
        return None
    if re.match(_SAVED, text):
        return _SAVED_RESULT
    if b'"nodes"' in text and b'"schema"' in text:
        return _EXECUTION_TRACE
    if b"speedscope.app/file-format-schema" in text:
        return Foreign("a profile of speedscope", f"open it with speedscope, or {_EXPORT}")
    return None


def _page(text: bytes) -> Foreign:
    if text.startswith(b"<?xml"):
        return Foreign("an XML file", _EXPORT)
    if b"Memory Timeline" in text:
        return Foreign("a memory timeline (a web page)", _MEMORY_TIMELINE.advice)
    return Foreign("a web page", "if it was downloaded, the server may have sent a page instead of the file")
