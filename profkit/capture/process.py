"""Starts one worker and handles its end: its reports, a crash, a hang, what it forked."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]

WORKER = Path(__file__).parent.parent / "worker" / "start.py"
MOST_TEXT = 2_000  # characters of a worker's message that are shown or filed
MOST_REPORT = 16 << 20  # bytes of one report: the times of 100,000 forwards take 2 MB
_LOG_TAIL = 4_000  # bytes of the worker's output in which the place of a crash is searched
_GRACE_S = 5.0  # for a worker to end by itself after its last report, and after SIGTERM
_POLL_S = 0.2  # between looks at whether a worker has ended whose children still hold the report descriptor
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
    "error": {"message": (str,), "hint": (str,)},
}
_FIELDS = {**_FINAL, **_DESCRIBED, **_PROGRESS}
# variables that change what a worker prints; PYTHON* ones could change what it runs
_REMOVED = ("VIRTUAL_ENV", "ONEDNN_VERBOSE", "DNNL_VERBOSE", "MKL_VERBOSE")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended. ``reports`` holds its last report of each kind; ``failure`` is None if it did its work.

    ``crashed`` says that trying again may help: it died, hung, or ended without a word.
    """

    reports: Mapping[str, Report]
    failure: str | None = None
    crashed: bool = False
    hint: str = ""


@dataclass(slots=True)
class _State:
    reports: dict[str, Report] = field(default_factory=dict)
    stage: str = "starting"
    invalid: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the worker has nothing more to report."""
        return self.invalid is not None or "error" in self.reports or bool(self.reports.keys() & _FINAL.keys())


def run_worker(
    python: Path,
    orders: Mapping[str, Any],
    variables: Mapping[str, str],
    log: Path,
    timeout_s: float,
    listen: Callable[[Report], None],
    environ: Mapping[str, str] | None = None,
) -> Outcome:
    """Run the worker under ``python`` with ``orders`` and ``variables``; its output is appended to ``log``.

    ``environ`` is the environment it inherits, this process's own if None.

    The worker has a process group of its own, so that Ctrl-C reaches this process only, and everything that it started
    ends with it. Its round counts as soon as it is reported, whatever its children do afterwards.
    """
    state = _State()
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory(prefix="profkit-") as scratch, log.open("ab") as output:
        orders_path = Path(scratch, "orders.json")
        orders_path.write_text(json.dumps(orders), encoding="utf-8")
        try:
            process = subprocess.Popen(
                [python, "-I", "-u", WORKER, orders_path, str(writer)],
                env=worker_environment(os.environ if environ is None else environ, variables),
                pass_fds=[writer],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            os.close(reader)
            return Outcome({}, f"{python} cannot be started ({error.strerror})")
        finally:
            os.close(writer)
        in_time = False  # an interrupt ends the worker at once, like the deadline
        try:
            with os.fdopen(reader, "rb") as stream:
                in_time = _follow(stream.fileno(), process, state, time.monotonic() + timeout_s, listen)
        finally:
            status = _end(process, wait=_GRACE_S if in_time else 0.0)
    if not in_time:
        return Outcome(state.reports, f"hung for {timeout_s:.0f} s while {state.stage}", crashed=True)
    return _outcome(state, status, log)


def worker_environment(environ: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` with ``variables``, less what would change what the worker runs or prints.

    PYTHON* variables are removed although ``-I`` ignores them, because what the model starts would obey them.
    """
    kept = {name: v for name, v in environ.items() if name not in _REMOVED and not name.startswith("PYTHON")}
    return {**kept, **variables}


def _follow(
    descriptor: int, process: subprocess.Popen[bytes], state: _State, deadline: float, listen: Callable[[Report], None]
) -> bool:
    """Take reports until the last one, or until the worker has ended; False if the deadline passes first."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not state.is_done:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            ended = process.poll() is not None  # asked before the select, so that its last report is not missed
            if not selector.select(min(left, _POLL_S)):
                if ended:
                    return True  # a child of its holds the descriptor open, and has nothing to report
                continue
            piece = os.read(descriptor, 1 << 16)
            if not piece:
                return True
            *lines, rest = (rest + piece).split(b"\n")
            for report in _reports(lines, rest, state):
                state.reports[report["event"]] = report
                state.stage = _stage(report, state.stage)
                listen(report)
    return True


def _reports(lines: list[bytes], rest: bytes, state: _State) -> Iterator[Report]:
    """Yield the reports of whole lines; the first invalid one ends it, and is named in ``state``."""
    for line in lines:
        try:
            report = _parse(line)
        except ValueError as error:
            state.invalid = f"sent {error} while {state.stage}"
            return
        yield report
    if len(rest) > MOST_REPORT:
        state.invalid = f"sent more than {MOST_REPORT >> 20} MiB at once while {state.stage}"


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


def _end(process: subprocess.Popen[bytes], wait: float) -> int:
    """Return the worker's exit status; end it if it does not end within ``wait`` s, and whatever it started.

    The group is signalled after the worker's end too, because processes that the model forked are still in it.
    """
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                process.wait(wait)
                break
            except subprocess.TimeoutExpired:
                _signal_group(process.pid, number)
                wait = _GRACE_S
        return process.wait()
    finally:
        _signal_group(process.pid, signal.SIGKILL)  # after a second Ctrl-C during the wait, too


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(group, number)


def _outcome(state: _State, status: int, log: Path) -> Outcome:
    if state.invalid is not None:
        return Outcome(state.reports, state.invalid)
    if (error := state.reports.get("error")) is not None:
        return Outcome(state.reports, str(error["message"])[:MOST_TEXT], hint=str(error["hint"])[:MOST_TEXT])
    if state.is_done:
        missing = _missing(state.reports)
        return Outcome(state.reports, f"did not report its {missing}" if missing else None)
    if status < 0:
        return Outcome(state.reports, f"died of {_signal_name(-status)} {state.stage}{_place(log)}", crashed=True)
    return Outcome(state.reports, f"ended with status {status} while {state.stage}", crashed=True)


def _missing(reports: Mapping[str, Report]) -> str | None:
    """Return the name of a report that a finished worker owes, None if all are there."""
    owed = ("onednn",) if "log" in reports else ("torch", "python", "workload", "notes")
    return next((name for name in owed if name not in reports), None)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _place(log: Path) -> str:
    """Return the innermost Python line of the crash, as faulthandler wrote it, or nothing."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _LOG_TAIL))
        text = stream.read().decode("utf-8", "replace")
    _, found, stack = text.rpartition("(most recent call first):\n")
    line = stack.split("\n", 1)[0].strip() if found else ""
    if not line.startswith("File "):
        return ""
    path, _, rest = line.removeprefix('File "').partition('"')
    return f", at {Path(path).name}{rest}"
