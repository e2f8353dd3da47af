"""Writes ``profkit/guides/schemas.md`` from the schemas of all results: every field, its type and its description."""

from __future__ import annotations

from typing import Any

from profkit.report.kinds import MODULES
from profkit.report.saved import schema

HEAD = """# Schemas of the results

What `--format json` writes, field by field; `profkit schema NAME` prints the same as JSON Schema. Times are integer
nanoseconds and named `…_ns`. Additions keep the number of a schema. A change of meaning gets a new number, and older
files stay readable. This page is generated from the schemas.
"""


def reference() -> str:
    """Return the whole page as Markdown."""
    return HEAD + "".join(_result(name) for name in MODULES)


def _result(name: str) -> str:
    document = schema(name)
    definitions = document["$defs"]
    root = document["$ref"].rpartition("/")[2]
    names = [root, *sorted(key for key in definitions if key != root)]
    tables = "".join(_table(key, definitions[key]) for key in names if definitions[key].get("properties"))
    return f"\n## {name}: `{document['title']}`\n{tables}"


def _table(name: str, definition: dict[str, Any]) -> str:
    """Return the fields of one record; its ``description`` is its docstring, whose first line says what it is."""
    first = definition.get("description", "").partition("\n\n")[0].replace("\n", " ")
    lines = [f"\n### {name}\n", first, "", "| field | type | meaning |", "| --- | --- | --- |"]
    for field, described in definition["properties"].items():
        meaning = " ".join(described.get("description", "").split())
        lines.append(f"| `{field}` | {_type(described)} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _type(described: dict[str, Any]) -> str:
    if "anyOf" in described:
        return " or ".join(_type(option) for option in described["anyOf"])
    if "$ref" in described:
        return described["$ref"].rpartition("/")[2]
    if "allOf" in described:
        return _type(described["allOf"][0])
    if "enum" in described:
        return " ".join(f"`{value}`" for value in described["enum"])
    if "const" in described:
        return f"`{described['const']}`"
    kind = described.get("type", "any")
    if kind == "array":
        items = described.get("items") or described.get("prefixItems", [{}])[0]
        return f"list of {_type(items)}" if isinstance(items, dict) else "list"
    if kind == "object" and isinstance(described.get("additionalProperties"), dict):
        return f"map of {_type(described['additionalProperties'])}"
    return {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}.get(kind, str(kind))
