"""Trace file → :class:`Trace`.

Scope: the JSON object format with ``traceEvents`` that PyTorch writes, and the bare array of the exporter before
kineto, plain or gzipped. Complete spans (phase ``X``) become rows, in file order; every other record is counted by its
phase. The text is decoded in chunks, by two processes if the file is large; a file that cannot be cut, or is damaged,
is decoded whole and mended. Format: "Trace Event Format" (Google, 2016) and PyTorch's kineto output_json.cpp.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

from profkit.files import refused_in_words, write_whole
from profkit.forked import ChildLostError
from profkit.trace import dialect
from profkit.trace.events import Trace
from profkit.trace.options import DEFAULT, MEMORY_LIMIT, Detail, ReadOptions
from profkit.trace.reading import cache
from profkit.trace.reading.assemble import assemble
from profkit.trace.reading.cache_folder import Hashing, content_hash, is_worthwhile
from profkit.trace.reading.chunks import CannotCutError
from profkit.trace.reading.parallel import Decoding, Job, TooLargeError
from profkit.trace.reading.whole import damage_errors, decode_whole, load_text, too_large

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
        if Detail.DEVICE not in job.detail and trace.has_category(dialect.DEVICE).any():
            job = job._replace(detail=job.detail | Detail.DEVICE)  # the file has devices that its head does not name
            trace = _decode(Decoding(job))
        if content is not None:
            cache.store(trace, content, job.detail)
    return trace


def _decode(decoding: Decoding) -> Trace:
    job = decoding.job
    try:
        return assemble(decoding.columns(), str(job.path))
    except TooLargeError:
        raise too_large(job.path, job.memory_limit) from None
    except _needs_one_piece():
        text, defects = load_text(job.path, job.memory_limit)
        return parse(text, str(job.path), job.detail, defects)


def _needs_one_piece() -> tuple[type[Exception], ...]:
    """Return the exceptions after which a file is decoded whole: it cannot be cut, or may be damaged."""
    return (CannotCutError, ChildLostError, *damage_errors())


def parse(text: bytes, source: str, detail: Detail = Detail.ALL, repairs: Mapping[str, int] | None = None) -> Trace:
    """Parse the JSON text of a whole trace, mended if it is damaged; ``source`` names it in errors.

    ``repairs`` counts what was mended before. Raises InputError if the text is not a trace or beyond mending.
    """
    decoded = decode_whole(text, source, detail)
    return assemble([decoded.columns], source, {**(repairs or {}), **decoded.defects})


def write_mended(path: Path, target: Path, *, memory_limit: int = MEMORY_LIMIT) -> Mapping[str, int]:
    """Write the mended trace of ``path`` to ``target``, gzipped if its name ends in .gz; return the defects' counts.

    A file without a defect is written unchanged. ``memory_limit`` is in bytes. Raises InputError as :func:`read` does,
    and OSError if ``target`` cannot be written.
    """
    text, defects = load_text(path, memory_limit)
    decoded = decode_whole(text, str(path), Detail.ALL)
    mended = decoded.text
    write_whole(target, gzip.compress(mended, _GZIP_LEVEL, mtime=0) if target.suffix == ".gz" else mended)
    return {**defects, **decoded.defects}
