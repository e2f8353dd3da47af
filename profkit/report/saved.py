"""Saved results: reading them again, and the JSON Schemas that describe them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from profkit.errors import InputError
from profkit.files import read_bounded
from profkit.report.kinds import kind_of, kind_of_schema
from profkit.report.kinds.kind import Kind

SIZE_LIMIT = 512 << 20  # bytes of a saved result: 100 times the largest seen
_HINT = "It must be a file that --format json or --output FILE.json wrote."


class _Head(msgspec.Struct, frozen=True):
    schema: str


def load(path: Path) -> tuple[Kind, msgspec.Struct]:
    """Read a result that was saved as JSON, of any schema that is still readable.

    Raises InputError if the file cannot be read, is not such a result, or has a schema that is not known.
    """
    try:
        data = read_bounded(path, SIZE_LIMIT).data
        schema_name = msgspec.json.decode(data, type=_Head).schema
        kind = kind_of_schema(schema_name)
        if kind is None:
            raise InputError(f"has the schema {schema_name[:40]!r}, which is not known", where=path, hint=_HINT)
        if kind.upgrade is None:
            return kind, msgspec.json.decode(data, type=kind.record())
        return kind, msgspec.convert(kind.upgrade(msgspec.json.decode(data)), type=kind.record())
    except RecursionError:
        raise InputError("is nested too deeply", where=path, hint=_HINT) from None
    except (KeyError, TypeError, AttributeError):  # an older document that cannot be upgraded
        raise InputError("is not a saved result: fields are missing", where=path, hint=_HINT) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not a saved result: {error}", where=path, hint=_HINT) from None


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the result ``name``; raises UsageError for an unknown one."""
    kind = kind_of(name)
    described = msgspec.json.schema(kind.record())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind.schemas[0], **described}
