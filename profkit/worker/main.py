"""Runs one round, or serves one load test, in one process: carries out the orders and reports every step.

Orders that are carried out by turns come one after the other on a pipe: the worker waits for each one. It ends when
the pipe is closed, so that no worker stays behind when the session was killed.
"""

from __future__ import annotations

import errno
import faulthandler
import json
import os
import sys
import traceback

from .convert import converted
from .counters import peak_memory_bytes
from .describe import describe_inputs, describe_python, describe_torch
from .explain import advice, described
from .forward import Forward
from .measure import Round
from .modes import prepare
from .onednn import ONEDNN_LOG, observe_onednn, printed_to
from .profile import compress
from .reports import MAX_MESSAGE, Reporter, WorkerError
from .serve import serve
from .weights import randomize, weights_sha256
from .workloads import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Order = dict[str, Any]


# as progress and messages name them: the worker died "in the warm-up pass"
STAGES = {
    "warm_up": "in the warm-up pass",
    "time": "in the latency pass",
    "profile": "in the profile pass",
    "finish": "saving the trace and the outputs",
}
# of an OSError: the file system takes no more, or nothing at all
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def work(orders: Order, turns: Iterator[str], report: Reporter) -> None:
    """Carry out ``orders``, then those in ``turns``; every step is reported as it starts, to locate a crash."""
    workload, settings = orders["workload"], orders["settings"]
    if settings["cpus"]:
        pin(settings["cpus"])  # before torch is imported, which counts the CPUs
    report("stage", stage="importing torch")
    import torch

    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    report("torch", **describe_torch())
    report("python", **describe_python())
    if not orders["onednn"]:
        wait_for_order(turns)
    report("stage", stage="building the model")
    model, inputs = build(workload)
    if workload["weights"] == "random":
        randomize(model, inputs, workload["seed"])
    report("workload", inputs=describe_inputs(inputs), weights_sha256=weights_sha256(model))
    report("stage", stage="preparing --mode %s" % settings["mode"])
    model, inputs = converted(model, inputs, settings)
    call, inputs, notes = prepare(model, inputs, settings)
    report("notes", notes=[note[:MAX_MESSAGE] for note in notes])
    metadata = dict(orders["metadata"], torch=torch.__version__, threads=torch.get_num_threads())
    if orders["onednn"]:
        report("onednn", **observe_onednn(call, inputs, settings, orders["folder"], metadata, report))
    elif orders.get("load"):
        forward = Forward(call, inputs, autocast=settings["autocast"])
        report("ready", on_device=forward.on_cuda, peak_memory_bytes=peak_memory_bytes())
        serve(forward, settings, turns, report)
    else:
        round_ = Round(call, inputs, settings, orders["folder"], metadata, report, chdir=True)
        report("ready", on_device=round_.on_device, peak_memory_bytes=peak_memory_bytes())
        take_turns(round_, turns, report)


def pin(cpus: str) -> None:
    """Keep this process on the CPUs of a list such as ``0-3,6``; raises WorkerError if that is not possible."""
    numbers: set[int] = set()
    for part in cpus.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    if not hasattr(os, "sched_setaffinity"):
        raise WorkerError("cpus", "--cpus is not possible on this system: it cannot pin processes", "Leave it out.")
    allowed = os.sched_getaffinity(0)
    if not numbers <= allowed:
        have = ",".join(str(number) for number in sorted(allowed))
        raise WorkerError("cpus", "--cpus %s is not possible: the CPUs to choose from are %s" % (cpus, have))
    os.sched_setaffinity(0, numbers)


def wait_for_order(turns: Iterator[str]) -> None:
    """Wait until the session orders the model; the process ends if the session has ended.

    Workers import torch at the same time, on one processor each, but prepare their models one after the other.
    """
    if next(turns, None) is None:
        os._exit(1)


def take_turns(round_: Round, turns: Iterator[str], report: Reporter) -> None:
    """Carry out the orders in ``turns`` (JSON objects) until the round is finished.

    The process ends if there are no more orders before that: the session has ended.
    """
    stages: dict[str, Callable[..., None]] = {"warm_up": round_.warm_up, "time": round_.time, "profile": round_.profile}
    before = None
    for line in turns:
        order = json.loads(line)
        stage = order.pop("stage")
        if stage != before:
            report("stage", stage=STAGES[stage])
            before = stage
        if stage == "finish":
            report("round", **round_.finish())
            return
        stages[stage](**order)
        report("turn", stage=stage, forward_ns=round_.forward_ns, peak_memory_bytes=peak_memory_bytes())
    os._exit(1)


def print_traceback(error: BaseException) -> None:
    """Print where ``error`` came from, as Python does; its text, of any length, is cut."""
    parts = traceback.format_exception(type(error), error, error.__traceback__)
    try:
        sys.stderr.write("".join(part.rstrip("\n")[:MAX_MESSAGE] + "\n" for part in parts))
        sys.stderr.flush()
    except OSError:  # the log is on the same full disk
        pass


def main(arguments: list[str]) -> int:
    """Take orders from the descriptor ``arguments[0]``, report to ``arguments[1]``; return the exit status.

    The first line has the orders of this worker; an order of one turn is on each of the others.
    """
    faulthandler.enable()
    lines = os.fdopen(int(arguments[0]), encoding="utf-8")
    orders = json.loads(lines.readline() or "null")
    report = Reporter(int(arguments[1]))
    if orders is None:
        return 1  # the session has ended
    try:
        if orders["onednn"]:
            log = os.path.join(orders["folder"], ONEDNN_LOG)
            with printed_to(log):
                work(orders, lines, report)
            report("log", name=compress(log))
        else:
            work(orders, lines, report)
    except WorkerError as error:
        report("error", kind=error.kind, message=str(error)[:MAX_MESSAGE], hint=error.hint)
        return 1
    except Exception as error:  # the process ends here: the session shows the message, worker.log has the traceback
        print_traceback(error)
        kind, message, hint = "internal", described(error), advice(error)
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            kind, hint = "output", "Free some space, or choose another --logdir."
        report("error", kind=kind, message=message[:MAX_MESSAGE], hint=hint)
        return 1
    return 0
