"""Reads the saved outputs of a model: an npz, which is a ZIP file of arrays (NumPy's format description, NEP 1).

The file may come from anywhere. NumPy's own reader evaluates an array's header as Python text and makes arrays as large
as the header says; here the header must have the form in which NumPy writes it, nothing is unpickled, and what does not
fit into the bound is not unpacked.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zlib
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import msgspec
import numpy as np

from profkit.errors import InputError
from profkit.files import read_bounded
from profkit.shortening import LONGEST_QUOTED, shorten

_MAGIC = b"\x93NUMPY"
_MOST_HEADER = 10_000  # bytes, as in NumPy
_MOST_DIRECTORY = 1 << 20  # bytes of the ZIP file's list of members: some 10,000 outputs
_END = b"PK\x05\x06"  # of a ZIP file: the record that locates the list of members (APPNOTE 4.3.16)
_END_64 = b"PK\x06\x07"  # the same for files beyond 4 GiB
_END_BYTES, _END_64_BYTES, _COMMENT_BYTES = 22, 20, 1 << 16
_SHOWN = 60  # characters of a name in a reason
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[biufc][0-9]{1,2})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,18}(?:, ?[0-9]{1,18})*,?)?)\), \} *\n"
)


class Unreadable(msgspec.Struct, frozen=True):
    """Outputs that were saved and cannot be read; ``reason`` says why, and names the file."""

    reason: str


class _RefusedError(Exception):
    """A member of the file is not a numeric array as NumPy writes it, or does not fit into the bound."""


_DAMAGE = (
    *(BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, KeyError, IndexError, OverflowError),
    *(TypeError, NotImplementedError, RuntimeError),  # a version or a compression that zipfile lacks; a password
)


def read_outputs(path: Path, limit: int) -> dict[str, np.ndarray] | Unreadable:
    """Return the arrays of an npz by name, of at most ``limit`` bytes in all."""
    try:
        data = read_bounded(path, limit).data
        _check_directory(data)
        with ZipFile(io.BytesIO(data)) as archive:
            return _arrays(archive, limit)
    except InputError as error:
        return Unreadable(f"{path}: {error.what}")
    except _RefusedError as error:
        return Unreadable(f"{path}: {error}")
    except _DAMAGE as error:
        return Unreadable(
            shorten(f"{path}: the file is damaged ({str(error) or type(error).__name__})", LONGEST_QUOTED)
        )


def _check_directory(data: bytes) -> None:
    """Refuse a file whose list of members would itself take too much memory."""
    at = data.rfind(_END, -_END_BYTES - _COMMENT_BYTES)
    if at < 0 or at + _END_BYTES > len(data):
        raise _RefusedError("the file is damaged (it is not a ZIP file)")
    (size,) = struct.unpack_from("<I", data, at + 12)
    before = max(0, at - _END_64_BYTES)
    if size > _MOST_DIRECTORY or data[before : before + len(_END_64)] == _END_64:
        raise _RefusedError("the file has too many members")


def _arrays(archive: ZipFile, limit: int) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    left = limit
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise _RefusedError(f"{name[:_SHOWN]!r} is not an array as NumPy saves it")
        with archive.open(member) as stream:
            content = stream.read(left + 1)
            if len(content) > left:
                hint = "--memory-limit sets it"
                raise _RefusedError(f"the outputs are larger than {limit >> 20} MiB unpacked, the limit ({hint})")
            stream.read(1)  # at its end, the checksum is compared
        left -= len(content)
        arrays[name] = _array(content, name[:_SHOWN])
    return arrays


def _array(content: bytes, name: str) -> np.ndarray:
    """Return the array of a .npy file; raises _RefusedError, and ValueError or TypeError for a type NumPy lacks."""
    version = content[len(_MAGIC) : len(_MAGIC) + 2]
    at = len(_MAGIC) + 2 + (2 if version == b"\1\0" else 4)
    if not content.startswith(_MAGIC) or version not in (b"\1\0", b"\2\0", b"\3\0") or len(content) < at:
        raise _RefusedError(f"{name!r} is not an array as NumPy saves it")
    end = at + int.from_bytes(content[len(_MAGIC) + 2 : at], "little")
    header = _HEADER.fullmatch(content[at:end]) if end - at <= _MOST_HEADER else None
    if header is None:
        raise _RefusedError(f"{name!r} is not an array of numbers")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(length) for length in header[3].split(b",") if length.strip())
    if len(content) - end != math.prod(shape) * dtype.itemsize:
        raise _RefusedError(f"{name!r} has {len(content) - end} bytes, which its shape {shape} does not fit")
    values: np.ndarray = np.frombuffer(content, dtype, offset=end)
    return values.reshape(shape, order="F" if header[2] == b"True" else "C")
