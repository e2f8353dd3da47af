"""Records as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from profkit.report.formats.rounding import rounded


def render_json(value: msgspec.Struct) -> str:
    """Render a record, indented, with a newline at the end; floats have 12 significant digits.

    File names that are not UTF-8 get a question mark for each byte that cannot be decoded.
    """
    return msgspec.json.format(msgspec.json.encode(_portable(msgspec.to_builtins(value))), indent=2).decode() + "\n"


def _portable(value: Any) -> Any:
    """Return decoded JSON with rounded floats and without lone surrogates."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, dict):
        return {_portable(key): _portable(item) for key, item in value.items()}
    return [_portable(item) for item in value] if isinstance(value, list | tuple) else value
