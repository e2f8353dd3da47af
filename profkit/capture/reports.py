"""What a worker reports: one JSON object per line. A worker runs other people's code, so every report is checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn

import msgspec
from msgspec import Meta

from profkit.files import is_plain_name
from profkit.runs.manifest import Bytes, Count, Counters, Load, Nanoseconds, Python, TensorShape, Torch
from profkit.runs.store import ONEDNN_LOG, ONEDNN_TRACE, TRACE_ENDING
from profkit.shortening import LONGEST_QUOTED, shorten

Report = Mapping[str, Any]

MOST_REPORT = 16 << 20  # bytes of one report: the times of 100,000 forwards take 2 MB
_MOST_FIELD = 100_000  # characters of one text in it: torch.__config__.show() has some thousand
_MOST_NOTES = 100
MOST_REQUESTS = 100_000  # of one process in a slice of a load test: their times take some 4 MB
_SHOWN = 80  # characters of a wrong report in the message about it


class _NotFinite(msgspec.Struct):
    """Values of the outputs."""

    nan: Count
    infinite: Count
    values: Count


class _Round(msgspec.Struct):
    """What ends the reports of a round; the record of the manifest adds its place in the run."""

    trace: str
    warmup_ns: list[Nanoseconds]
    stable: bool
    latency_ns: list[Nanoseconds]
    profiled_ns: list[Nanoseconds]
    outputs_sha256: str | None
    counters: Counters = Counters()
    load: Load = Load()
    peak_memory_bytes: Bytes | None = None
    not_finite: _NotFinite | None = None

    def __post_init__(self) -> None:
        if not (is_plain_name(self.trace) and self.trace.endswith(TRACE_ENDING)):
            raise ValueError("trace is not the name of a trace in the run's folder")


class _Log(msgspec.Struct):
    """What ends the reports of the pass with oneDNN's log."""

    name: str

    def __post_init__(self) -> None:
        if self.name != ONEDNN_LOG:
            raise ValueError(f"name is not {ONEDNN_LOG}")


class _Workload(msgspec.Struct):
    inputs: list[TensorShape]
    weights_sha256: str | None


class _Notes(msgspec.Struct):
    notes: Annotated[list[str], Meta(max_length=_MOST_NOTES)]


class _OneDnn(msgspec.Struct):
    trace: str
    warmup: Count
    steps: Count

    def __post_init__(self) -> None:
        if self.trace != ONEDNN_TRACE:
            raise ValueError(f"trace is not {ONEDNN_TRACE}")


class _Stage(msgspec.Struct):
    stage: str


class _Forward(msgspec.Struct):
    stage: str
    index: Count
    count: Count


class _Ready(msgspec.Struct):
    on_device: bool
    peak_memory_bytes: Bytes | None


class _Turn(msgspec.Struct):
    stage: str
    forward_ns: Nanoseconds
    peak_memory_bytes: Bytes | None


class _Slice(msgspec.Struct):
    """The requests that a process served in a slice of a load test, in order; times in ns after its start."""

    index: Annotated[list[Count], Meta(max_length=MOST_REQUESTS)]
    claimed_ns: Annotated[list[Nanoseconds], Meta(max_length=MOST_REQUESTS)]
    started_ns: Annotated[list[Nanoseconds], Meta(max_length=MOST_REQUESTS)]
    ended_ns: Annotated[list[Nanoseconds], Meta(max_length=MOST_REQUESTS)]
    peak_memory_bytes: Bytes | None

    def __post_init__(self) -> None:
        lengths = {len(self.started_ns), len(self.ended_ns)}
        if len(lengths | {len(self.index), len(self.claimed_ns)} - {0}) != 1 or len(self.index) != len(self.claimed_ns):
            raise ValueError("its lists differ in length")
        before = [0, *self.ended_ns[:-1]]
        if any(not a <= b <= c for a, b, c in zip(before, self.started_ns, self.ended_ns, strict=bool(self.ended_ns))):
            raise ValueError("its requests overlap")


class _Served(msgspec.Struct):
    """What ends the reports of a load test."""


class _Error(msgspec.Struct):
    message: str
    hint: str
    kind: str = ""


_FINAL: dict[str, type[msgspec.Struct]] = {"round": _Round, "log": _Log, "served": _Served}
_TYPES: dict[str, type[msgspec.Struct]] = {
    **_FINAL,
    "torch": Torch,
    "python": Python,
    "workload": _Workload,
    "notes": _Notes,
    "onednn": _OneDnn,
    "stage": _Stage,
    "forward": _Forward,
    "ready": _Ready,
    "turn": _Turn,
    "slice": _Slice,
    "error": _Error,
}
_TEXTS = ("message", "hint", "stage", "notes")  # may quote a text from outside: they are cut, not refused


@dataclass(slots=True)
class Reports:
    """The reports of one worker: the last one of each kind, by its name; ``invalid`` says what is wrong with one.

    ``final`` is the kind that ends its work: ``round`` or ``served``, which count only if the end was ordered
    (``is_finishing``), or ``log``.
    """

    final: Literal["round", "log", "served"]
    is_finishing: bool = False
    last: dict[str, Report] = field(default_factory=dict)
    stage: str = "starting"
    invalid: str | None = None
    _rest: bytes = b""

    @property
    def is_done(self) -> bool:
        """Whether the worker did its work and has nothing more to report."""
        return self.final in self.last

    @property
    def is_over(self) -> bool:
        """Whether no more reports are of use: the worker is done, or failed."""
        return self.is_done or self.invalid is not None or "error" in self.last

    @property
    def missing(self) -> str | None:
        """The name of a report that a finished worker owes, None if all are there."""
        owed = ("onednn",) if self.final == "log" else ("torch", "python", "workload", "notes")
        return next((name for name in owed if name not in self.last), None)

    def take(self, piece: bytes) -> Iterator[Report]:
        """Yield the reports that ``piece`` completes, up to the last one that counts or the first invalid one."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            try:
                report = _parse(line)
                self._require_expected(report["event"])
            except ValueError as error:
                self.invalid = shorten(f"sent {error} while {self.stage}", LONGEST_QUOTED)
                return
            self.last[report["event"]] = report
            self.stage = _stage(report, self.stage)
            yield report
            if self.is_over:
                return  # what follows does not count, whether it came in the same piece or not
        if len(self._rest) > MOST_REPORT:
            self.invalid = f"sent more than {MOST_REPORT >> 20} MiB at once while {self.stage}"

    def _require_expected(self, event: str) -> None:
        """Raise ValueError if a worker that carries out its orders does not send this now."""
        if event in _FINAL and (event != self.final or (event != "log" and not self.is_finishing)):
            raise ValueError(f"a {event} report that was not asked for")


def _parse(line: bytes) -> Report:
    """Return a report with its known fields. A worker runs other people's code, which may write anything.

    Raises ValueError in words.
    """
    try:
        value = json.loads(line, parse_constant=_refuse) if len(line) <= MOST_REPORT else None
        if b"\\ud" in line.lower():  # half a surrogate pair, as in a file name that is not UTF-8: no file can hold it
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        value = None
    report: dict[str, Any] = value if isinstance(value, dict) else {}
    event = report.get("event")
    if not isinstance(event, str) or event not in _TYPES:
        raise ValueError(f"something that is not a report ({line[:_SHOWN]!r})")
    kind = _TYPES[event]
    try:
        checked = msgspec.convert(report, type=kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"a {event} report that is not valid ({error})") from None
    known = {name: msgspec.to_builtins(getattr(checked, name)) for name in kind.__struct_fields__ if name in report}
    known |= {name: _shortened(known[name]) for name in _TEXTS if name in known}
    if _longest(known) > _MOST_FIELD:
        raise ValueError(f"a {event} report with a text of more than {_MOST_FIELD:,} characters")
    return {"event": event, **known}


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(constant)


def _shortened(value: Any) -> Any:
    """Return a text, or each of a list of texts, cut to what is shown and filed."""
    return (
        [shorten(text, LONGEST_QUOTED) for text in value] if isinstance(value, list) else shorten(value, LONGEST_QUOTED)
    )


def _longest(value: Any) -> int:
    """Return the length of the longest text in a checked report."""
    if isinstance(value, str):
        return len(value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max(map(_longest, inside), default=0)


def _stage(report: Report, before: str) -> str:
    if report["event"] == "stage":
        return str(report["stage"])
    if report["event"] == "forward":
        # the report comes after the forward that it names, so a crash is in the next one
        return shorten(
            f"in the {report['stage']} pass after forward {report['index']} of {report['count']}", LONGEST_QUOTED
        )
    return before
