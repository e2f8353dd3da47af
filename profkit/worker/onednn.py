"""The pass with oneDNN's verbose log, which runs in a separate process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

from .forward import Forward
from .profile import Profiling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .inputs import Inputs
    from .reports import Reporter

    Order = dict[str, Any]

ONEDNN_LOG = "onednn.log"
ONEDNN_TRACE = "onednn.trace.json.gz"  # TensorBoard must not list it: the log slows its forwards


def observe_onednn(
    call: Any, inputs: Inputs, settings: Order, folder: str, metadata: Order, report: Reporter
) -> dict[str, Any]:
    """Run forwards with oneDNN's verbose log on and trace the last of them; log and trace use the same clock.

    The log is the output of the process since it started. Printing slows the forwards, so no timing uses this pass.
    """
    import torch

    with torch.no_grad():
        forward = Forward(call, inputs, autocast=settings["autocast"])
        for index in range(settings["warmup"]):
            forward()
            report("forward", stage="onednn", index=index + 1, count=settings["warmup"])
        profiling = Profiling(forward, settings, folder, metadata, report, chdir=True)
        profiling.run(settings["steps"])
        trace = profiling.save_trace()
    os.replace(os.path.join(folder, trace), os.path.join(folder, ONEDNN_TRACE))
    return {
        "trace": ONEDNN_TRACE,
        "warmup": settings["warmup"] + 1,  # plus the forward that warms up the profiler
        "steps": settings["steps"],
    }


@contextlib.contextmanager
def printed_to(path: str) -> Iterator[None]:
    """Redirect standard output, that of C++ libraries included, to the file while the context is active."""
    sys.stdout.flush()
    standard_output = os.dup(1)
    with open(path, "wb") as target:
        os.dup2(target.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)  # C's own output buffer
        os.dup2(standard_output, 1)
        os.close(standard_output)
