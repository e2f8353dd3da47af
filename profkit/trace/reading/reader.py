"""Trace file → :class:`Trace`.

Scope: the JSON object format with ``traceEvents`` that PyTorch writes, and the bare array of the exporter before
kineto, plain or gzipped. Complete spans (phase ``X``) become rows, in file order, and then the spans of which the begin
(``B``) and the end (``E``) are records of their own; every other record is counted by its phase. The text is decoded in
chunks, by two processes if the file is large; a file that cannot be cut, or is damaged, is read piece by piece and
mended. Format: "Trace Event Format" (Google, 2016) and PyTorch's kineto output_json.cpp.
"""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from profkit.files import refused_in_words, replacing
from profkit.forked import ChildLostError
from profkit.trace import dialect
from profkit.trace.events import Trace
from profkit.trace.options import DEFAULT, MEMORY_LIMIT, Detail, ReadOptions
from profkit.trace.reading import cache
from profkit.trace.reading.assemble import assemble
from profkit.trace.reading.budget import TooLargeError
from profkit.trace.reading.cache_folder import Hashing, content_hash, is_worthwhile
from profkit.trace.reading.chunks import CannotCutError
from profkit.trace.reading.parallel import Decoding, Job
from profkit.trace.reading.source import SourceText
from profkit.trace.reading.whole import damage_errors, decode_damaged, decode_text, too_large
from profkit.trace.reading.window import Blocks

_GZIP_LEVEL = 6  # as PyTorch's own handler writes


def read(path: str | Path, *, detail: Detail = Detail.ALL, options: ReadOptions = DEFAULT) -> Trace:
    """Read the trace file at ``path``, ``.json`` or ``.json.gz`` (told apart by content).

    ``detail`` names the columns wanted beyond names, times and tracks; the ids that tie device work to operators are
    read whenever the file has device work. The columns of a large file are kept in the user's cache, and taken from
    it when the same content is read again. A large file may be decoded by two processes: this one forks. A damaged
    file is mended if possible, and ``Trace.repairs`` says how. Raises InputError if the file is missing, not a regular
    file, not a trace, beyond mending, or would take more memory than ``options`` allow.
    """
    return finish(Path(path), detail, options)


def finish(
    path: Path,
    detail: Detail,
    options: ReadOptions,
    decoding: Decoding | None = None,
    hashing: Hashing | None = None,
) -> Trace:
    """Read as :func:`read` does, with a decoding or a hashing of the same file that has begun before."""
    with refused_in_words(path):
        job = Job.of(path, detail, options.memory_limit) if decoding is None else decoding.job
        content = None
        if options.use_cache and is_worthwhile(path):
            content = content_hash(path) if hashing is None else hashing.result()
        if content is not None and (known := cache.load(path, content, job.detail)) is not None:
            return known
        trace = _decode(decoding or Decoding(job))
        if missing := _missing_detail(trace, job.detail):
            job = job._replace(detail=job.detail | missing)  # the file has devices that its head does not name
            trace = _decode(Decoding(job))
        if content is not None:
            cache.store(trace, content, job.detail)
    return trace


def _missing_detail(trace: Trace, detail: Detail) -> Detail:
    """Return the detail that the device work in ``trace`` needs beyond that of the reading."""
    needed = Detail.NONE
    if any(dialect.may_be_device(category) for category in trace.categories):
        needed |= Detail.DEVICE
    if any(dialect.is_old_device(pid) for pid, _ in trace.tracks):
        needed |= Detail.DEVICE | Detail.FLOWS
    return needed & ~detail


def _decode(decoding: Decoding) -> Trace:
    job = decoding.job
    trace = _decode_strictly(decoding)
    if trace is None:
        decoded = decode_damaged(job.path, job.detail, job.flavour, job.memory_limit)
        trace = assemble(decoded.columns, str(job.path), decoded.defects)
    return trace


def _decode_strictly(decoding: Decoding) -> Trace | None:
    """Return the trace; None if it needs mending, or cannot be cut."""
    job = decoding.job
    try:
        return assemble(decoding.columns(), str(job.path))
    except TooLargeError:
        raise too_large(job.path, job.memory_limit) from None
    except _needs_mending():
        return None  # and not in this handler: the exception keeps what was decoded so far in memory


def _needs_mending() -> tuple[type[Exception], ...]:
    """Return the exceptions after which a file is read piece by piece: it cannot be cut, or may be damaged."""
    return (CannotCutError, ChildLostError, *damage_errors())


def parse(text: bytes, source: str, detail: Detail = Detail.ALL) -> Trace:
    """Parse the JSON text of a whole trace, mended if it is damaged; ``source`` names it in errors.

    Raises InputError if the text is not a trace or beyond mending.
    """
    decoded = decode_text(text, source, detail, MEMORY_LIMIT)
    return assemble(decoded.columns, source, decoded.defects)


class MendedFile(NamedTuple):
    """What was found in a trace that was written again: how often each defect was mended, and what no mending adds.

    ``anomalies`` counts, for example, events without a start.
    """

    repairs: Mapping[str, int]
    anomalies: Mapping[str, int]


def write_mended(path: Path, target: Path, *, memory_limit: int = MEMORY_LIMIT) -> MendedFile:
    """Write the mended trace of ``path`` to ``target``, gzipped if its name ends in .gz; return what was found.

    A file without a defect is written unchanged, unpacked if it is packed. ``memory_limit`` is in bytes. Raises
    InputError as :func:`read` does, and OSError if ``target`` cannot be written.
    """
    with refused_in_words(path):
        job = Job.of(path, Detail.ALL, memory_limit)
        trace = _decode_strictly(Decoding(job))
    is_packed = target.suffix == ".gz"
    unchanged: Iterable[bytes] = Blocks(path)
    with replacing(target) as part:
        if trace is None:
            with _writing(part, is_packed) as write:
                decoded = decode_damaged(path, job.detail, job.flavour, memory_limit, write)
            trace = assemble(decoded.columns, str(path), decoded.defects)
            if trace.repairs or part == target:  # the latter for a device, to which nothing can be written again
                return MendedFile(trace.repairs, trace.anomalies)
            unchanged = SourceText(path, memory_limit)
        with _writing(part, is_packed) as write:
            for block in unchanged:
                write(block)
    return MendedFile({}, trace.anomalies)


@contextlib.contextmanager
def _writing(part: Path, is_packed: bool) -> Iterator[Callable[[bytes], object]]:
    with part.open("wb") as raw:
        if not is_packed:
            yield raw.write
            return
        # without a name and a time in it, the same trace gives the same file
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed:
            yield packed.write
