"""Changes the structure of a parsed JSON document, whatever it describes."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.fuzz import hostile
from tests.fuzz.json_text import Members, Raw


class Place(NamedTuple):
    """A value inside a document: its container, its position there, and the path to it in words.

    The container is a ``Members``, whose items are ``[key, value]``, or a list.
    """

    container: Any
    position: int
    path: str

    @property
    def value(self) -> Any:
        item = self.container[self.position]
        return item[1] if isinstance(self.container, Members) else item

    def put(self, value: Any) -> None:
        if isinstance(self.container, Members):
            self.container[self.position] = [self.container[self.position][0], value]
        else:
            self.container[self.position] = value


def places(value: Any, path: str = "$") -> Iterator[Place]:
    """Yield every value below ``value``, from the top down."""
    if not isinstance(value, list):
        return
    for position, item in enumerate(value):
        if isinstance(value, Members):
            here = f"{path}.{item[0][:40]}"
            yield Place(value, position, here)
            yield from places(item[1], here)
        else:
            here = f"{path}[{position}]"
            yield Place(value, position, here)
            yield from places(item, here)


def random_place(document: Any, chance: random.Random) -> Place | None:
    """Choose a value of the document: often among all, sometimes by going down step by step, which favours the top."""
    if chance.random() < 0.5:
        every = list(places(document))
        return chance.choice(every) if every else None
    found, value = None, document
    while isinstance(value, list) and value and (found is None or chance.random() < 0.8):
        position = chance.randrange(len(value))
        path = "$" if found is None else found.path
        name = f".{value[position][0][:40]}" if isinstance(value, Members) else f"[{position}]"
        found = Place(value, position, path + name)
        value = found.value
    return found


def remove(place: Place, document: Any, chance: random.Random) -> str:
    del place.container[place.position]
    return f"removed {place.path}"


def null(place: Place, document: Any, chance: random.Random) -> str:
    place.put(None)
    return f"null at {place.path}"


def other_type(place: Place, document: Any, chance: random.Random) -> str:
    value = hostile.value(chance)
    place.put(value)
    return f"{shown(value)} at {place.path}"


def as_text(place: Place, document: Any, chance: random.Random) -> str:
    value = place.value
    if isinstance(value, Raw):
        place.put(str(value))
        return f"the number at {place.path} as a text"
    if isinstance(value, str) and value.removeprefix("-").isdigit():
        place.put(Raw(value))
        return f"the text at {place.path} as a number"
    place.put([value])
    return f"a list around {place.path}"


def number(place: Place, document: Any, chance: random.Random) -> str:
    value = hostile.number(chance)
    place.put(value)
    return f"{shown(value)} at {place.path}"


def text(place: Place, document: Any, chance: random.Random) -> str:
    value = hostile.text(chance)
    place.put(value)
    return f"{shown(value)} at {place.path}"


def duplicate(place: Place, document: Any, chance: random.Random) -> str:
    """Repeat a member, with the same value or another one, or an item."""
    times = chance.choice((1, 1, 2, 50))
    item = place.container[place.position]
    for _ in range(times):
        again = copy.deepcopy(item)
        if isinstance(place.container, Members) and chance.random() < 0.5:
            again[1] = hostile.value(chance)
        place.container.insert(chance.randrange(len(place.container) + 1), again)
    return f"{place.path} {times + 1} times"


def swap(place: Place, document: Any, chance: random.Random) -> str:
    other = chance.randrange(len(place.container))
    items = place.container
    items[place.position], items[other] = items[other], items[place.position]
    return f"{place.path} and its neighbour {other} swapped"


def copied(place: Place, document: Any, chance: random.Random) -> str:
    source = random_place(document, chance)
    if source is None:
        return "nothing"
    place.put(copy.deepcopy(source.value))
    return f"{source.path} also at {place.path}"


def empty(place: Place, document: Any, chance: random.Random) -> str:
    place.put(Members() if isinstance(place.value, Members) else [] if isinstance(place.value, list) else "")
    return f"{place.path} emptied"


def deep(place: Place, document: Any, chance: random.Random) -> str:
    value = hostile.nested(chance)
    place.put(value)
    return f"{shown(value)} at {place.path}"


def rename(place: Place, document: Any, chance: random.Random) -> str:
    if not isinstance(place.container, Members):
        return swap(place, document, chance)
    key = place.container[place.position][0]
    new = chance.choice((key.upper(), key + " ", hostile.text(chance)))
    place.container[place.position] = [new, place.value]
    return f"{place.path} renamed to {shown(new)}"


Change = Callable[[Place, Any, random.Random], str]
CHANGES: tuple[Change, ...] = (
    *(remove, null, other_type, as_text, number, text, duplicate, swap, copied, empty, deep, rename),
    *(remove, null, other_type, as_text, number, text),  # the likely ones twice
)


def mutate(document: Any, chance: random.Random) -> str:
    """Change one place of ``document``, which must be a list or ``Members``; return what was done in words."""
    place = random_place(document, chance)
    return "nothing" if place is None else chance.choice(CHANGES)(place, document, chance)


def shown(value: object) -> str:
    """Return a value in a few printable characters, for the description of a mutation."""
    words = str(value) if isinstance(value, Raw) else repr(value)
    words = words.encode("ascii", "backslashreplace").decode()
    return words if len(words) <= 40 else f"{words[:30]}… ({len(words)} characters)"
