"""One trace file, in memory: read it, nest it, find its forwards, sum its operators."""

from profkit.trace.forward import Forwards, find_forwards
from profkit.trace.operators import OperatorSamples, sum_operators
from profkit.trace.reader import ReadOptions, read
from profkit.trace.spans import Nesting, nest
from profkit.trace.table import Events, Trace

__all__ = [
    "Events",
    "Forwards",
    "Nesting",
    "OperatorSamples",
    "ReadOptions",
    "Trace",
    "find_forwards",
    "nest",
    "read",
    "sum_operators",
]
