"""What counts as evidence: a round is one process's worth of forwards, and each is counted once.

With a manifest each entry of ``rounds`` is a round. Without one, the traces of a folder are sorted into rounds by what
the files say:

- A copy of a trace is not a second round: files with the same bytes after decompression (:func:`find_copies`, with and
  without a manifest), and recordings with the same process and first operators, such as a part of the same trace.
- Traces of different configurations are not one run: an error, if the files name the versions or settings.
- Ranks of one distributed job, and processes in one file, are not repetitions: all of a job are one round.
- Several traces of one process are one round.

Traces stay separate rounds unless the files show that one process wrote them: processes in containers often have the
same process id and host name, and are rounds.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from profkit.errors import InputError
from profkit.files import GZIP_MAGIC, gzip_errors, open_regular, open_unpacked
from profkit.shortening import LONGEST_NAME, listed, shorten

if TYPE_CHECKING:
    from profkit.trace.events import Trace  # imports NumPy, which finding runs does not need

# the name that tensorboard_trace_handler gives, unless the user chooses another worker name
_HOST_AND_PID = re.compile(r"(?P<host>[\w.-]+)_(?P<pid>[0-9]{1,19})\.[0-9]+\.pt\.trace\.json(\.gz)?")
_LARGEST = 4 << 30  # bytes after decompression; a larger file is never taken for a copy
_PIECE = 1 << 20  # bytes
_EPOCH_NS = 10**18  # in 2001: a smaller time is no time of day, and may be the same in files of different recordings
_COMPARED = 16  # operators by which two recordings are compared
_SETTINGS = {"torch": "PyTorch", "workload": "workload", "mode": "mode", "fpmath": "fpmath", "threads": "threads"}

HostAndPid = tuple[str, int]


def find_copies(traces: Sequence[Path]) -> dict[int, int]:
    """Return the positions of the traces that are copies, and of the trace that each is a copy of.

    A copy has the same bytes after decompression. Only files of the same decompressed size are read: the size of a gzip
    is in its last four bytes. The trace that is kept is one whose name says which process wrote it, if there is one; of
    several, the one with the shortest name, because names of copies get longer; else the first. A file that cannot be
    read is no copy: reading it reports the error.
    """
    by_size: dict[int, list[int]] = defaultdict(list)
    for position, path in enumerate(traces):
        if (size := _unpacked_size(path)) is not None:
            by_size[size].append(position)
    copies: dict[int, int] = {}
    for positions in by_size.values():
        kept: dict[bytes, int] = {}
        if len(positions) > 1:
            for position in sorted(positions, key=lambda p: (*_unlikely_original(traces[p]), p)):
                content = _content_hash(traces[position])
                if content is not None and kept.setdefault(content, position) != position:
                    copies[position] = kept[content]
    return copies


def _unlikely_original(path: Path) -> tuple[bool, int]:
    return host_and_pid(path) is None, len(path.name)


def _unpacked_size(path: Path) -> int | None:
    """Return the size after decompression modulo 2**32, as a gzip states it (RFC 1952); None if it cannot be read."""
    try:
        with open_regular(path) as stream:
            if stream.read(2) != GZIP_MAGIC:
                return os.fstat(stream.fileno()).st_size % (1 << 32)
            stream.seek(-4, os.SEEK_END)
            return int.from_bytes(stream.read(4), "little")
    except (InputError, OSError):
        return None


def _content_hash(path: Path) -> bytes | None:
    digest, left = hashlib.sha256(), _LARGEST
    unreadable: tuple[type[Exception], ...] = (InputError, OSError, *gzip_errors())
    try:
        with open_unpacked(path) as stream:
            while piece := stream.read(_PIECE):
                digest.update(piece)
                left -= len(piece)
                if left < 0:
                    return None
    except unreadable:
        return None
    return digest.digest()


def copies_in_words(copies: Iterable[Path], total: int, what: str = "copies", one: str = "a copy") -> str:
    """Return the warning about traces that are left out because they are copies."""
    names = [path.name for path in copies]
    are = f"are left out because they are {what} of others" if len(names) > 1 else ""
    are = are or f"is left out because it is {one} of another"
    return f"{len(names)} of {total} traces {are}: {listed(names)}."


def host_and_pid(path: Path) -> HostAndPid | None:
    """Return the host and the process id in a name as PyTorch gives it, ``HOST_PID.STAMP.pt.trace.json``, or None."""
    match = _HOST_AND_PID.fullmatch(path.name)
    return (match["host"], int(match["pid"])) if match else None


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What one trace says about its origin.

    ``processes`` are the ids of the processes of its operators, ``pid`` is the id if there is one. ``start_ns`` and
    ``end_ns`` are those of its operators, from the epoch on, and ``beginning`` has name, start and duration (ns) of the
    first few in the file.
    The other fields are those of :class:`profkit.trace.events.TraceHead`.
    """

    path: Path
    processes: tuple[int | str, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    beginning: tuple[tuple[str, int, int], ...] = ()
    operators: int = 0
    first_external_id: int | None = None
    host: str | None = None
    rank: int | None = None
    world_size: int | None = None
    dialect: str = ""
    metadata: Mapping[str, object] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, trace: Trace) -> Recording:
        """Describe the origin of ``trace``."""
        from profkit.trace.forward import process_ids  # imports NumPy, as above

        operators = trace.operator_events
        origin = cls(
            path=Path(trace.source),
            operators=len(operators),
            first_external_id=trace.first_external_id,
            host=trace.host,
            rank=trace.rank,
            world_size=trace.world_size,
            dialect=trace.dialect,
            metadata=trace.metadata,
        )
        if not len(operators):
            return origin
        columns = (operators.name, operators.start_ns, operators.duration_ns)
        first = zip(*(column[:_COMPARED].tolist() for column in columns), strict=True)
        return replace(
            origin,
            processes=tuple(process_ids(trace)),
            start_ns=trace.base_ns + int(operators.start_ns.min()),
            end_ns=trace.base_ns + int(operators.end_ns.max()),
            beginning=tuple((trace.names[name], start, duration) for name, start, duration in first),
        )

    @property
    def pid(self) -> int | str | None:
        """The process of its operators; None if there are several or none."""
        return self.processes[0] if len(self.processes) == 1 else None


class Rounds(msgspec.Struct, frozen=True):
    """The rounds of a run: for each the positions of its traces, in order of time. ``warnings`` say what was decided.

    Traces that do not count are in no round.
    """

    traces: tuple[tuple[int, ...], ...]
    warnings: tuple[str, ...] = ()

    @property
    def counted(self) -> list[int]:
        """The positions of all traces that count, round by round."""
        return [position for round_ in self.traces for position in round_]


def sort_into_rounds(recordings: Sequence[Recording], folder: Path) -> Rounds:
    """Sort the traces of a folder without a manifest into rounds, in order of their first trace.

    Raises InputError if they are of different configurations.
    """
    if len(recordings) < 2:
        return Rounds(tuple((position,) for position in range(len(recordings))), tuple(_warn_of_processes(recordings)))
    _require_one_configuration(recordings, folder)
    parts = _find_parts(recordings)
    kept = [position for position in range(len(recordings)) if position not in parts]
    warnings = []
    if parts:
        left_out = [recordings[position].path for position in sorted(parts)]
        warnings.append(copies_in_words(left_out, len(recordings), "parts or copies", "a part or a copy"))
    warnings += _warn_of_formats(recordings)
    warnings += _warn_of_processes([recordings[position] for position in kept])
    ranks = {recordings[position].rank for position in kept} - {None}
    ranked = [position for position in kept if recordings[position].rank is not None] if len(ranks) > 1 else []
    jobs = _group_by_job(ranked, recordings)
    if ranked:
        warnings.append(_ranks_in_words([recordings[position] for position in ranked], len(jobs)))
    processes = _group_by_process([p for p in kept if p not in set(ranked)], recordings)
    if several := [group for group in processes if len(group) > 1]:
        count = sum(map(len, several))
        those = f"{len(several)} processes" if len(several) > 1 else "one process"
        warnings.append(f"{count} traces are of {those}: the forwards of one process are one round.")
    groups = [*processes, *jobs]
    in_time = [tuple(sorted(g, key=lambda p: (recordings[p].start_ns, p))) for g in sorted(groups, key=min)]
    return Rounds(tuple(in_time), tuple(warnings))


def _require_one_configuration(recordings: Sequence[Recording], folder: Path) -> None:
    """Raise InputError if the traces name different versions or settings; what a trace does not name may be any."""
    for name, title in _SETTINGS.items():
        found: dict[str, list[str]] = defaultdict(list)
        for recording in recordings:
            if isinstance(value := recording.metadata.get(name), str | int):
                found[str(value)].append(recording.path.name)
        if len(found) > 1:
            where = {value: f"{names[0]} and {len(names) - 1} more" for value, names in found.items() if names[1:]}
            pairs = [(v, where.get(v, found[v][0])) for v in sorted(found)]
            values = [f"{shorten(v, LONGEST_NAME)} ({shorten(files, LONGEST_NAME)})" for v, files in pairs]
            known = listed(values, longest=3 * LONGEST_NAME)
            what = f"holds traces of different configurations, which are not one run: {title} {known}"
            raise InputError(what, where=folder, hint="Put them into separate folders, or name one file of each.")


def _warn_of_formats(recordings: Sequence[Recording]) -> list[str]:
    """Warn if no PyTorch version writes all the formats; which version wrote a file is a guess, so it is no error."""
    formats = sorted({r.dialect for r in recordings if not isinstance(r.metadata.get("torch"), str)})
    ranges = [tuple(map(_version, text.split(" to "))) for text in formats if text[:1].isdigit()]
    if not ranges or max(r[0] for r in ranges) <= min(r[-1] for r in ranges):
        return []
    known = "; ".join(text for text in formats if text[:1].isdigit())
    return [
        f"the traces are in formats of different PyTorch versions ({known}), so they may not be of one run. Put them "
        "into separate folders if they are not."
    ]


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _find_parts(recordings: Sequence[Recording]) -> set[int]:
    """Return the positions of recordings that begin as a longer one, or an earlier one of the same length, does.

    No two recordings have operators at the same times of day, so such files hold one recording: one was cut short, or
    written again by another program.
    """
    parts: set[int] = set()
    known: dict[tuple[object, ...], list[Recording]] = defaultdict(list)
    for position in sorted(range(len(recordings)), key=lambda p: (-recordings[p].operators, p)):
        r = recordings[position]
        if r.pid is not None and r.start_ns >= _EPOCH_NS:
            same = known[(r.pid, r.rank, r.dialect, r.start_ns, r.beginning[0])]
            if any(longer.beginning[: len(r.beginning)] == r.beginning for longer in same):
                parts.add(position)
            same.append(r)
    return parts


def _warn_of_processes(recordings: Sequence[Recording]) -> Iterator[str]:
    for recording in recordings:
        if len(recording.processes) > 1:
            yield (
                f"{shorten(recording.path.name, LONGEST_NAME)} holds {len(recording.processes)} processes "
                f"({listed(list(map(str, recording.processes)))}): their forwards are pooled as one round, because "
                "processes of one job are not repetitions of a measurement."
            )


def _group_by_job(ranked: Sequence[int], recordings: Sequence[Recording]) -> list[list[int]]:
    """Group the traces of ranks by the job that wrote them: the n-th process of each rank belongs to the n-th job.

    If the ranks have different numbers of processes, nothing tells the jobs apart, and all are taken for one.
    """
    by_rank: dict[int | None, list[int]] = defaultdict(list)
    for position in ranked:
        by_rank[recordings[position].rank].append(position)
    processes = [_group_by_process(positions, recordings, trust_pid=True) for positions in by_rank.values()]
    if len({len(groups) for groups in processes}) > 1:
        return [list(ranked)]
    return [[position for group in job for position in group] for job in zip(*processes, strict=True)]


def _ranks_in_words(ranked: Sequence[Recording], jobs: int) -> str:
    ranks = sorted({r.rank for r in ranked if r.rank is not None})
    size = max((r.world_size or 0 for r in ranked), default=0)
    of = f" of {size}" if size >= len(ranks) else ""
    known = listed(list(map(str, ranks)))
    what = f"{jobs} distributed jobs" if jobs > 1 else "a distributed job"
    whose = "the forwards of all ranks of a job" if jobs > 1 else "their forwards"
    return (
        f"{len(ranks)}{of} ranks of {what} found ({known}): {whose} are pooled as one round, because ranks are not "
        "repetitions of a measurement. Name one trace file to see one rank."
    )


def _group_by_process(
    positions: Iterable[int], recordings: Sequence[Recording], *, trust_pid: bool = False
) -> list[list[int]]:
    """Group traces by the process that wrote them; see :func:`_is_next` for how a process is told.

    ``trust_pid``: the same process id shows the same process, if nothing speaks against it.
    """
    groups: list[list[int]] = []
    of: dict[tuple[object, ...], list[list[int]]] = defaultdict(list)
    for position in sorted(positions, key=lambda p: (recordings[p].start_ns, p)):
        recording, name = recordings[position], host_and_pid(recordings[position].path)
        if recording.pid is None or (name is not None and str(name[1]) != str(recording.pid)):
            groups.append([position])
            continue
        candidates = of[(name, recording.host, recording.pid)]
        for group in candidates:
            if _is_next(recordings[group[-1]], recording, is_named=trust_pid or name is not None):
                group.append(position)
                break
        else:
            candidates.append([position])
            groups.append(candidates[-1])
    return groups


def _is_next(earlier: Recording, later: Recording, *, is_named: bool) -> bool:
    """Whether the process that wrote ``earlier`` wrote ``later`` too; both have the same host and process id.

    The id alone says little: in containers every process may be number 1, on hosts of the same name. But a process has
    one profiler at a time, so its recordings do not overlap. And PyTorch numbers operators (External id) through the
    life of a process, in blocks that no other recording uses: the first recording begins at 1, the next at 513 or
    more (seen in 1.13.1, 2.0.1 and 2.15.0). If both begin at 1 they are two processes. Without these numbers the file
    names must say that it is one process; with them they need not, because PyTorch's tutorial names files otherwise.
    """
    if later.start_ns < earlier.end_ns:
        return False
    if earlier.first_external_id is None or later.first_external_id is None:
        return is_named
    return earlier.first_external_id < later.first_external_id
