"""What can be captured: a model and its input, by the name that a user types."""

from profkit.capture.workloads.order import Known, WorkloadOptions, WorkloadOrder
from profkit.capture.workloads.resolve import known_workloads, resolve

__all__ = ["Known", "WorkloadOptions", "WorkloadOrder", "known_workloads", "resolve"]
