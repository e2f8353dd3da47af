"""Divides what is new into batches for the workers: smaller ones at the end, so that all finish at about the same time.

Guided self-scheduling: each batch is a share of what is left (Polychronopoulos and Kuck, IEEE Transactions on Computers
C-36, 1987, https://doi.org/10.1109/TC.1987.5009495).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from profkit.fleet.batches import Batch
from profkit.fleet.dataset import Known
from profkit.fleet.sources import File, Folder
from profkit.runs.store import MANIFEST_NAME

_MOST_FILES, _FEWEST_FILES = 512, 16  # of a batch: fewer, larger Parquet files against the work that a kill costs
_MOST_BYTES, _FEWEST_BYTES = 2 << 30, 64 << 20
_TURNS = 4  # batches per worker that what is left would make, were they all of this size


def divide(folders: Sequence[Folder], known: Known, count: int) -> list[Batch]:
    """Return the batches of ``folders`` for ``count`` workers, in their order; a folder with a manifest stays whole.

    The hashes that are known of contents of a file's size go with its batch.
    """
    files, size = sum(len(folder.files) for folder in folders), sum(folder.bytes for folder in folders)
    batches: list[list[Folder]] = []
    room = room_bytes = 0
    for piece in (piece for folder in folders for piece in _pieces(folder)):
        if not batches or len(piece.files) > room or piece.bytes > room_bytes:
            batches.append([])
            room = _share(files, count, _FEWEST_FILES, _MOST_FILES)
            room_bytes = _share(size, count, _FEWEST_BYTES, _MOST_BYTES)
        batches[-1].append(piece)
        room, room_bytes = room - len(piece.files), room_bytes - piece.bytes
        files, size = files - len(piece.files), size - piece.bytes
    return [Batch(tuple(b), _of_sizes(b, known.contents), _of_sizes(b, known.bare)) for b in batches]


def _share(left: int, count: int, fewest: int, most: int) -> int:
    return min(most, max(fewest, -(-left // (count * _TURNS))))


def _pieces(folder: Folder) -> Iterator[Folder]:
    """Yield a folder with a manifest whole, another one in pieces of the size of the smallest batch."""
    if any(file.name == MANIFEST_NAME for file in folder.files):
        yield folder
        return
    piece: list[File] = []
    size = 0
    for file in folder.files:
        if piece and (len(piece) == _FEWEST_FILES or size + file.bytes > _FEWEST_BYTES):
            yield folder.only(piece)
            piece, size = [], 0
        piece.append(file)
        size += file.bytes
    yield folder.only(piece)


def _of_sizes(folders: Iterable[Folder], contents: Mapping[int, Iterable[str]]) -> tuple[str, ...]:
    """Return the hashes of indexed contents that a file of these folders may have, by its size."""
    sizes = {file.bytes for folder in folders for file in folder.files}
    return tuple(sorted(key for size in sizes for key in contents.get(size, ())))
