"""Records as JSON, and the schemas that describe it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from profkit.compare.records.diff import Comparison
from profkit.compare.records.many import Overview
from profkit.errors import InputError, UsageError
from profkit.runs.manifest import Manifest
from profkit.views.information import RunInformation
from profkit.views.operators import OperatorsView
from profkit.views.primitives import PrimitivesView

DOCUMENTS: dict[str, type[msgspec.Struct]] = {
    "run": Manifest,
    "operators": OperatorsView,
    "diff": Comparison,
    "compare": Overview,
    "primitives": PrimitivesView,
    "info": RunInformation,
}


Result = Comparison | Overview | OperatorsView | PrimitivesView
SIZE_LIMIT = 512 << 20  # bytes of a saved result


def load(path: Path) -> Result:
    """Read a result that was saved as JSON; raises InputError where it is none."""
    hint = "It reads what --output FILE.json of diff, compare, ops and onednn writes."
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise InputError(f"is larger than {SIZE_LIMIT >> 20} MiB", where=path, hint=hint)
        data = path.read_bytes()
        schema_of = msgspec.json.decode(data, type=_Head).schema
        kind = _RENDERED.get(schema_of)
        if kind is None:
            raise InputError(f"holds {schema_of!r}, which cannot be rendered", where=path, hint=hint)
        result: Result = msgspec.json.decode(data, type=kind)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is no saved result: {error}", where=path, hint=hint) from None
    return result


_RENDERED: dict[str, type[Result]] = {
    "diff/1": Comparison,
    "compare/1": Overview,
    "operators/1": OperatorsView,
    "primitives/1": PrimitivesView,
}


class _Head(msgspec.Struct, frozen=True):
    schema: str


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
