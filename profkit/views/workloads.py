"""The workloads that can be captured by name (schema ``workloads/1``)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.capture.workloads import known_workloads
from profkit.comparison.records.parts import Record


class WorkloadEntry(Record, frozen=True, kw_only=True):
    """One workload."""

    name: Annotated[str, Meta(description="name to pass to profkit capture")]
    source: Annotated[str, Meta(description="source of the model")]
    task: Annotated[str, Meta(description="task of the model")]


class WorkloadList(Record, frozen=True, kw_only=True):
    """All workloads, sorted by name."""

    schema: Annotated[Literal["workloads/1"], Meta(description="schema of this document")] = "workloads/1"
    workloads: Annotated[list[WorkloadEntry], Meta(description="the workloads, sorted by name")]


def list_workloads() -> WorkloadList:
    """Return the workloads that profkit knows by name."""
    return WorkloadList(
        workloads=[WorkloadEntry(name=known.name, source=known.source, task=known.task) for known in known_workloads()]
    )
