"""Older forms of a saved comparison."""

from __future__ import annotations

from typing import Any


def upgrade(document: dict[str, Any]) -> dict[str, Any]:
    """Bring a decoded ``diff/1`` up to date.

    The first profkit to write this schema called oneDNN primitives kernels.
    """
    for workload in document.get("workloads") or ():
        if isinstance(workload, dict) and "kernels" in workload:
            workload.setdefault("primitives", workload.pop("kernels"))
    return document
