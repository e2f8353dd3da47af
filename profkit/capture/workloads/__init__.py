"""What can be captured: a model and its input, by the word a user types for it."""

from profkit.capture.workloads.resolve import WorkloadOrder, known_workloads, resolve

__all__ = ["WorkloadOrder", "known_workloads", "resolve"]
