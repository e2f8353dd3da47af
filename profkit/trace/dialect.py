"""What each PyTorch from 1.8 on writes differently, as data.

Categories are compared in lower case: their capitals flipped back and forth around 1.12.
"""

from __future__ import annotations

OPERATOR = frozenset({"cpu_op", "operator"})
ANNOTATION = frozenset({"user_annotation"})
PYTHON = frozenset({"python_function"})

FORWARD_ANNOTATION = "profkit.forward"  # around each forward that profkit captured
STEP_PREFIX = "ProfilerStep#"  # around each step of torch.profiler
SCRIPT_FORWARD = "forward"  # the operator that is a TorchScript module's whole call
MODULE_PREFIX = "nn.Module: "  # a Python frame that is a module's call

RESOLUTION_COARSE_NS = 1_000  # up to 2.3 the exporter writes whole microseconds
RESOLUTION_FINE_NS = 1  # from 2.4: microseconds with three decimals
