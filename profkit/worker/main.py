"""Runs one round in one process: carries out the orders and reports every step."""

from __future__ import annotations

import faulthandler
import json
import os
import traceback

from .describe import describe_inputs, describe_python, describe_torch
from .measure import measure
from .modes import prepare, to_channels_last
from .onednn import ONEDNN_LOG, observe_onednn, printed_to
from .profile import compress
from .reports import Reporter, WorkerError
from .weights import randomize, weights_sha256
from .workloads import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Order = dict[str, Any]


MAX_MESSAGE = 2000  # characters; a longer error message is cut


def work(orders: Order, report: Reporter) -> None:
    """Carry out ``orders``; every step is reported as it starts, so that a crash can be located."""
    workload, settings = orders["workload"], orders["settings"]
    report("stage", stage="importing torch")
    import torch

    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    report("torch", **describe_torch())
    report("python", **describe_python())
    report("stage", stage="building the model")
    model, inputs = build(workload)
    if workload["weights"] == "random":
        randomize(model, inputs, workload["seed"])
    report("workload", inputs=describe_inputs(inputs), weights_sha256=weights_sha256(model))
    report("stage", stage="preparing --mode %s" % settings["mode"])
    if settings["channels_last"]:
        model, inputs = to_channels_last(model, inputs)
    call, notes = prepare(model, inputs, settings["mode"])
    report("notes", notes=notes)
    metadata = dict(orders["metadata"], torch=torch.__version__, threads=torch.get_num_threads())
    if orders["onednn"]:
        report("onednn", **observe_onednn(call, inputs, settings, orders["folder"], metadata, report))
    else:
        report("round", **measure(call, inputs, settings, orders["folder"], metadata, report, chdir=True))


def main(arguments: list[str]) -> int:
    """Carry out the orders in the file ``arguments[0]``, report to descriptor ``arguments[1]``; return the status."""
    faulthandler.enable()
    with open(arguments[0], encoding="utf-8") as stream:
        orders = json.load(stream)
    report = Reporter(int(arguments[1]))
    try:
        if orders["onednn"]:
            log = os.path.join(orders["folder"], ONEDNN_LOG)
            with printed_to(log):
                work(orders, report)
            report("log", name=compress(log))
        else:
            work(orders, report)
    except WorkerError as error:
        report("error", kind=error.kind, message=str(error)[:MAX_MESSAGE], hint=error.hint)
        return 1
    except Exception as error:  # the process ends here: the session shows the message, worker.log has the traceback
        traceback.print_exc()
        message = "%s: %s" % (type(error).__name__, str(error).strip() or "no message")
        report("error", kind="internal", message=message[:MAX_MESSAGE], hint="")
        return 1
    return 0
