"""What can be captured: a model and its input, by the name that a user types."""

from profkit.capture.workloads.resolve import WorkloadOrder, known_workloads, resolve

__all__ = ["WorkloadOrder", "known_workloads", "resolve"]
