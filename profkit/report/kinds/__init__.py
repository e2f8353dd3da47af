"""The kinds of results by schema name; a kind's file is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from profkit.errors import UsageError
from profkit.report.kinds.kind import Kind

# the name in "NAME/1" of a schema → the module of this package that defines KIND
MODULES = {
    "run": "run",
    "operators": "operators",
    "diff": "diff",
    "compare": "compare",
    "cost": "cost",
    "sweep": "sweep",
    "bisect": "bisect",
    "tune": "tune",
    "repro": "repro",
    "primitives": "primitives",
    "info": "information",
    "workloads": "workloads",
    "machine": "machine",
    "load": "load",
    "index": "index",
    "query": "query",
    "history": "history",
    "ranks": "ranks",
}


def kind_of(name: str) -> Kind:
    """Return the kind called ``name``; raises UsageError if there is none."""
    if name not in MODULES:
        raise UsageError(f"no schema {name!r}", hint=f"Schemas: {', '.join(MODULES)}.")
    kind: Kind = import_module(f"{__name__}.{MODULES[name]}").KIND
    return kind


def kind_of_schema(schema: str) -> Kind | None:
    """Return the kind that reads ``schema``, such as ``diff/1``; None if no kind does."""
    name = schema.partition("/")[0]
    kind = kind_of(name) if name in MODULES else None
    return kind if kind is not None and schema in kind.schemas else None
