"""The table ``[tool.profkit]`` of the nearest pyproject.toml."""

from __future__ import annotations

import sys
from pathlib import Path

from profkit.errors import InputError
from profkit.files import read_bounded

FAIL_IF = "fail-if"
_MOST = 16 << 20  # bytes of a pyproject.toml


def configured_rules(start: Path) -> list[str]:
    """Return ``fail-if`` of the pyproject.toml in ``start`` or the nearest folder above it; [] if there is none.

    Raises InputError if the file cannot be read, or its table has another key or another type.
    """
    path = next((p for folder in (start, *start.parents) if (p := folder / "pyproject.toml").is_file()), None)
    if path is None:
        return []
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        table = tomllib.loads(read_bounded(path, _MOST).data.decode()).get("tool", {}).get("profkit", {})
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"cannot be read: {error}", where=path) from None
    hint = f"[tool.profkit] may have {FAIL_IF} only, a list of rules such as ['latency > 3%']."
    rules = table.get(FAIL_IF, []) if isinstance(table, dict) else None
    if (
        rules is None
        or set(table) - {FAIL_IF}
        or not isinstance(rules, list)
        or not all(isinstance(r, str) for r in rules)
    ):
        raise InputError("has a [tool.profkit] table that is not valid", where=path, hint=hint)
    return rules
