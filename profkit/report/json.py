"""Records as JSON, and the schemas that describe it."""

from __future__ import annotations

from typing import Any

import msgspec

from profkit.compare.records import Comparison
from profkit.errors import UsageError
from profkit.runs.information import RunInformation
from profkit.runs.manifest import Manifest
from profkit.runs.operators_view import OperatorsView

DOCUMENTS: dict[str, type[msgspec.Struct]] = {
    "run": Manifest,
    "operators": OperatorsView,
    "diff": Comparison,
    "info": RunInformation,
}


def render_json(value: msgspec.Struct) -> str:
    """Render a record, indented, one trailing newline; file names that are no UTF-8 get a question mark."""
    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:
        text = msgspec.json.encode(_encodable(msgspec.to_builtins(value)))
    return msgspec.json.format(text, indent=2).decode() + "\n"


def _encodable(value: Any) -> Any:
    """Replace what is no Unicode, of a file's name, in every text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the document ``name``; raises UsageError for an unknown one."""
    if name not in DOCUMENTS:
        raise UsageError(f"no schema {name!r}", hint=f"There are: {', '.join(DOCUMENTS)}.")
    described = msgspec.json.schema(DOCUMENTS[name])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"{name}/1", **described}
