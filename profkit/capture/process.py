"""Starts one worker and survives it: its reports, its death, its hanging."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]
_LOG_TAIL = 4_000  # bytes of the worker's own words looked at for the place of a crash
_GRACE_S = 5.0  # between asking a worker to end and ending it


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a worker. ``reports`` holds the last report of each kind; ``failure`` is None when all is well."""

    reports: Mapping[str, Report]
    failure: str | None = None
    crashed: bool = False
    hint: str = ""


@dataclass(slots=True)
class _State:
    reports: dict[str, Report] = field(default_factory=dict)
    stage: str = "starting"


def run_worker(
    python: Path,
    orders: Mapping[str, Any],
    variables: Mapping[str, str],
    log: Path,
    timeout_s: float,
    listen: Callable[[Report], None],
) -> Outcome:
    """Run the worker under ``python`` with ``orders``; its output is appended to ``log``.

    The worker is its own process group, so that Ctrl-C reaches this process alone and ending the worker ends
    whatever it started.
    """
    state = _State()
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory(prefix="profkit-") as scratch, log.open("ab") as output:
        orders_path = Path(scratch, "orders.json")
        orders_path.write_text(json.dumps(orders), encoding="utf-8")
        try:
            process = subprocess.Popen(
                [python, Path(__file__).with_name("worker.py"), orders_path, str(writer)],
                env=_environment(variables),
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
        try:
            with os.fdopen(reader, "rb") as stream:
                in_time = _follow(stream.fileno(), state, time.monotonic() + timeout_s, listen)
        finally:
            status = _end(process)
    if not in_time:
        return Outcome(state.reports, f"hung for {timeout_s:.0f} s while {state.stage}", crashed=True)
    return _outcome(state, status, log)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with ``variables``, less what would disturb the worker."""
    disturbing = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "ONEDNN_VERBOSE", "DNNL_VERBOSE", "MKL_VERBOSE")
    kept = {name: value for name, value in os.environ.items() if name not in disturbing}
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1", **variables}


def _follow(descriptor: int, state: _State, deadline: float, listen: Callable[[Report], None]) -> bool:
    """Take reports until the worker closes its end; False when the deadline passes first."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return False
            piece = os.read(descriptor, 1 << 16)
            if not piece:
                return True
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                report = json.loads(line)
                state.reports[report["event"]] = report
                state.stage = _stage(report, state.stage)
                listen(report)


def _stage(report: Report, before: str) -> str:
    if report["event"] == "stage":
        return str(report["stage"])
    if report["event"] == "forward":
        # the report comes after the forward it names, so a crash is in the next one
        return f"in the {report['stage']} pass after forward {report['index']} of {report['count']}"
    return before


def _end(process: subprocess.Popen[bytes]) -> int:
    """Return the exit status, ending the worker's whole group if it is still there."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            # a worker that closed its reports is on its way out
            return process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
    return process.wait()


def _outcome(state: _State, status: int, log: Path) -> Outcome:
    if (error := state.reports.get("error")) is not None:
        return Outcome(state.reports, error["message"], hint=error["hint"])
    if status < 0:
        name = signal.Signals(-status).name
        return Outcome(state.reports, f"died of {name} {state.stage}{_place(log)}", crashed=True)
    if status or not state.reports.keys() & {"round", "onednn"}:
        return Outcome(state.reports, f"ended with status {status} while {state.stage}", crashed=True)
    return Outcome(state.reports)


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
