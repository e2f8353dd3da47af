"""What a worker reports: one JSON object per line. A worker runs other people's code, so every report is checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Report = Mapping[str, Any]

MOST_TEXT = 2_000  # characters of a worker's message that are shown or filed
MOST_REPORT = 16 << 20  # bytes of one report: the times of 100,000 forwards take 2 MB
# the last report of a worker that did its work, with the fields that the session uses and their JSON types
_FINAL: dict[str, dict[str, tuple[type, ...]]] = {
    "round": {
        "trace": (str,),
        "warmup_ns": (list,),
        "stable": (bool,),
        "latency_ns": (list,),
        "profiled_ns": (list,),
        "outputs_sha256": (str, type(None)),
    },
    "log": {"name": (str,)},
}
_DESCRIBED: dict[str, dict[str, tuple[type, ...]]] = {
    "torch": {"version": (str,)},
    "python": {"version": (str,)},
    "workload": {"inputs": (list,), "weights_sha256": (str, type(None))},
    "notes": {"notes": (list,)},
    "onednn": {"trace": (str,), "warmup": (int,), "steps": (int,)},
}
_PROGRESS: dict[str, dict[str, tuple[type, ...]]] = {
    "stage": {"stage": (str,)},
    "forward": {"stage": (str,), "index": (int,), "count": (int,)},
    "ready": {"on_device": (bool,), "peak_memory_bytes": (int, type(None))},
    "turn": {"stage": (str,), "forward_ns": (int,), "peak_memory_bytes": (int, type(None))},
    "error": {"message": (str,), "hint": (str,)},
}
_FIELDS = {**_FINAL, **_DESCRIBED, **_PROGRESS}


@dataclass(slots=True)
class Reports:
    """The reports of one worker: the last one of each kind, by its name; ``invalid`` says what is wrong with one."""

    last: dict[str, Report] = field(default_factory=dict)
    stage: str = "starting"
    invalid: str | None = None
    _rest: bytes = b""

    @property
    def is_done(self) -> bool:
        """Whether the worker did its work and has nothing more to report."""
        return bool(self.last.keys() & _FINAL.keys())

    @property
    def is_over(self) -> bool:
        """Whether no more reports are of use: the worker is done, or failed."""
        return self.is_done or self.invalid is not None or "error" in self.last

    @property
    def missing(self) -> str | None:
        """The name of a report that a finished worker owes, None if all are there."""
        owed = ("onednn",) if "log" in self.last else ("torch", "python", "workload", "notes")
        return next((name for name in owed if name not in self.last), None)

    def take(self, piece: bytes) -> Iterator[Report]:
        """Yield the reports that ``piece`` completes, up to the last one that counts or the first invalid one."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            try:
                report = _parse(line)
            except ValueError as error:
                self.invalid = f"sent {error} while {self.stage}"
                return
            self.last[report["event"]] = report
            self.stage = _stage(report, self.stage)
            yield report
            if self.is_over:
                return  # what follows does not count, whether it came in the same piece or not
        if len(self._rest) > MOST_REPORT:
            self.invalid = f"sent more than {MOST_REPORT >> 20} MiB at once while {self.stage}"


def _parse(line: bytes) -> Report:
    """Return a report. A worker runs other people's code, which may write anything: raises ValueError in words."""
    try:
        value = json.loads(line) if len(line) <= MOST_REPORT else None
    except (ValueError, RecursionError):
        value = None
    if b"\\ud" in line.lower():  # half a surrogate pair, as in a file name that is not UTF-8: no file could hold it
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    report: dict[str, Any] = value if isinstance(value, dict) else {}
    event = report.get("event")
    if not isinstance(event, str) or event not in _FIELDS:
        raise ValueError(f"something that is not a report ({line[:80]!r})")
    fields = _FIELDS[event]
    missing = [name for name in fields if name not in report]
    if missing:
        raise ValueError(f"a {event} report without {', '.join(missing)}")
    wrong = [name for name, types in fields.items() if not isinstance(report[name], types)]
    # a trace or log is a file of the run's own folder
    wrong += [n for n in ("trace", "name") if n in fields and n not in wrong and not _is_file_name(report[n])]
    if wrong:
        raise ValueError(f"a {event} report with an invalid {', '.join(wrong)}")
    return report


def _is_file_name(text: str) -> bool:
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text


def _stage(report: Report, before: str) -> str:
    if report["event"] == "stage":
        return str(report["stage"])[:MOST_TEXT]
    if report["event"] == "forward":
        # the report comes after the forward that it names, so a crash is in the next one
        return f"in the {report['stage']} pass after forward {report['index']} of {report['count']}"[:MOST_TEXT]
    return before
