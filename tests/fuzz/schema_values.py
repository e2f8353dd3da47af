"""Values that a JSON Schema allows: a document changed within its schema reaches the code behind the checks."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.fuzz import hostile
from tests.fuzz.mutate_json import shown

Node = dict[str, Any]
INTEGERS = (0, 1, 2, 7, -1, 100, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**25)
NUMBERS = (0.0, -0.0, 1.0, 0.5, -1.0, 5e-324, 1e-300, 1e-9, 3.0000000001, 1e15, 2.0**63, 1e300, 1.7976931348623157e308)
MOST_ITEMS = 400  # of a multiplied list
DEEPEST = 4  # levels of made-up records


class Spot(NamedTuple):
    """A value of a document: where it is, the schema of it, and whether it may be left out.

    ``path`` says so in words, without the positions in lists.
    """

    container: Any
    key: Any
    node: Node
    optional: bool
    path: str


class Schema:
    """The JSON Schema of a result, resolved."""

    def __init__(self, schema: Node) -> None:
        self._root = schema
        self._definitions: dict[str, Node] = schema.get("$defs", {})

    def variants(self, node: Node) -> list[Node]:
        """Return the alternatives of a schema, each without references."""
        if "$ref" in node:
            return self.variants(self._definitions[node["$ref"].rpartition("/")[2]])
        for word in ("anyOf", "oneOf", "allOf"):
            if word in node:
                return [variant for part in node[word] for variant in self.variants(part)]
        kinds = node.get("type")
        if isinstance(kinds, list):
            return [{**node, "type": kind} for kind in kinds]
        return [node]

    def fitting(self, node: Node, value: Any) -> Node | None:
        """Return the alternative that ``value`` is an instance of, by its type alone."""
        names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
        name = names.get(type(value), "null")
        found = [v for v in self.variants(node) if v.get("type") in (name, *(["number"] if name == "integer" else []))]
        return found[0] if found else None

    def spots(self, document: Any, node: Node | None = None, path: str = "$") -> Iterator[Spot]:
        """Yield every value below ``document`` with its schema."""
        fitting = self.fitting(self._root if node is None else node, document)
        if fitting is None:
            return
        if isinstance(document, dict):
            required = fitting.get("required", ())
            for key, value in document.items():
                below = fitting.get("properties", {}).get(key) or fitting.get("additionalProperties")
                if isinstance(below, dict):
                    yield Spot(document, key, below, key not in required, f"{path}.{key}"[:100])
                    yield from self.spots(value, below, f"{path}.{key}")
        elif isinstance(document, list) and isinstance(fitting.get("items"), dict):
            for position, value in enumerate(document):
                yield Spot(document, position, fitting["items"], False, f"{path}[]"[:100])
                yield from self.spots(value, fitting["items"], f"{path}[]")

    def make(self, node: Node, chance: random.Random, level: int = 0) -> Any:
        """Return a value that the schema allows."""
        chosen = chance.choice(self.variants(node))
        if "const" in chosen:
            return chosen["const"]
        if "enum" in chosen:
            return chance.choice(chosen["enum"])
        match chosen.get("type"):
            case "integer":
                return _bounded(chance.choice(INTEGERS), chosen)
            case "number":
                return _bounded(chance.choice((*NUMBERS, *INTEGERS[:8])), chosen)
            case "string":
                return hostile.text(chance) if "pattern" not in chosen else "1"
            case "boolean":
                return chance.random() < 0.5
            case "array":
                count = 0 if level >= DEEPEST else chance.choice((0, 1, 1, 3))
                return (
                    [self.make(chosen["items"], chance, level + 1) for _ in range(count)] if "items" in chosen else []
                )
            case "object":
                return self._make_object(chosen, chance, level)
        return None

    def _make_object(self, node: Node, chance: random.Random, level: int) -> dict[str, Any]:
        required = node.get("required", ())
        known = node.get("properties", {})
        made = {
            key: self.make(below, chance, level + 1)
            for key, below in known.items()
            if key in required or (level < DEEPEST and chance.random() < 0.5)
        }
        if isinstance(node.get("additionalProperties"), dict) and level < DEEPEST:
            for _ in range(chance.choice((0, 1, 3))):
                made[hostile.text(chance)[:200]] = self.make(node["additionalProperties"], chance, level + 1)
        return made

    def absent(self, document: Any) -> Iterator[tuple[dict[str, Any], str, Node]]:
        """Yield the optional members that records of the document lack: the record, the key, and its schema."""
        for value, node in [(document, self._root), *((s.container[s.key], s.node) for s in self.spots(document))]:
            fitting = self.fitting(node, value) if isinstance(value, dict) else None
            for key, below in (fitting or {}).get("properties", {}).items():
                if key not in value:
                    yield value, key, below

    def mutate(self, document: Any, chance: random.Random) -> str:
        """Change one value of ``document`` within the schema; return what was done in words."""
        if chance.random() < 0.1:
            missing = list(self.absent(document))
            if missing:
                record, key, node = chance.choice(missing)
                record[key] = self.make(node, chance)
                return f"{key} added: {shown(record[key])}"
        spot = self._choose(document, chance)
        if spot is None:
            return "nothing"
        value = spot.container[spot.key]
        if spot.optional and chance.random() < 0.2:
            del spot.container[spot.key]
            return f"{spot.path} left out"
        if isinstance(value, list) and chance.random() < 0.8:
            return f"{spot.path} {self._mutate_list(value, spot.node, chance)}"
        spot.container[spot.key] = self.make(spot.node, chance)
        return f"{spot.path}: {shown(spot.container[spot.key])}"

    def _choose(self, document: Any, chance: random.Random) -> Spot | None:
        """Choose a value: by its path first, so that long lists do not hide everything else."""
        groups: dict[str, list[Spot]] = {}
        for spot in self.spots(document):
            groups.setdefault(spot.path, []).append(spot)
        return chance.choice(groups[chance.choice(list(groups))]) if groups else None

    def _mutate_list(self, items: list[Any], node: Node, chance: random.Random) -> str:
        change = chance.choice(("emptied", "multiplied", "shuffled", "cut to one", "with one more"))
        match change:
            case "emptied":
                items.clear()
            case "multiplied":
                more = items[: max(1, MOST_ITEMS // chance.choice((2, 10, 100)))] * chance.choice((1, 2, 20))
                items.extend(copy.deepcopy(more)[:MOST_ITEMS])
            case "shuffled":
                chance.shuffle(items)
            case "cut to one":
                del items[1:]
            case _:
                fitting = self.fitting(node, items)
                if fitting is not None and "items" in fitting:
                    items.insert(chance.randrange(len(items) + 1), self.make(fitting["items"], chance))
        return f"{change} ({len(items)} items)"


def _bounded(value: float, node: Node) -> float:
    """Return the value moved to the nearest one that the schema allows."""
    low, high = node.get("minimum"), node.get("maximum")
    value = value if low is None or value >= low else low
    value = value if high is None or value <= high else high
    return int(value) if node.get("type") == "integer" else value
