"""Models that profkit brings itself, from published measurements."""

from __future__ import annotations

from collections.abc import Iterator

from profkit.capture.workloads.order import Known, WorkloadOptions, WorkloadOrder
from profkit.errors import UsageError

# by name: what the worker's file of the same name builds
TASKS = {"linear-stack": "benchmark"}


def known() -> Iterator[Known]:
    """Yield the models."""
    return (Known(name, "builtin", task) for name, task in TASKS.items())


def resolve(word: str, options: WorkloadOptions) -> WorkloadOrder | None:
    """Return the model that ``word`` names, or None; raises UsageError for weights that nobody published."""
    if word not in TASKS:
        return None
    if options.weights != "random":
        raise UsageError(f"{word} has no pretrained weights", hint="Leave --weights out.")
    return WorkloadOrder(word, "builtin", TASKS[word], options.batch, options.weights, options.seed)
