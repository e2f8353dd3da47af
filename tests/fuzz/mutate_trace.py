"""Changes what a trace says: fields of events, phases, pairs of begin and end, order, nesting, lists of events."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.fuzz import hostile, mutate_json
from tests.fuzz.bases import events_of
from tests.fuzz.json_text import Members, Raw
from tests.fuzz.mutate_json import shown

PHASES = (*"XBEiInbeCMstfSTpNODPRcVvaA", "", "XX", "x", "\u202e")
FIELDS = ("ph", "name", "cat", "pid", "tid", "ts", "dur", "args", "id")
NUMERIC = ("ts", "dur", "pid", "tid", "id")
CATEGORIES = ("cpu_op", "Operator", "CPU_OP", "kernel", "gpu_memcpy", "cuda_runtime", "user_annotation", "", "mtia_ccp")
ARGUMENTS = ("Ev Idx", "Profiler Event Index", "External id", "correlation", "Input Dims", "Call stack", "Python id")
HEAD = ("deviceProperties", "distributedInfo", "baseTimeNanoseconds", "profkit", "host_name", "schemaVersion")
DEEPEST = 1_000  # nested events


def an_event(events: list[Any], chance: random.Random) -> Members | None:
    """Choose an event that is an object; one with a duration, if there is one, more often than not."""
    objects = [event for event in events if isinstance(event, Members)]
    spans = [event for event in objects if event.get("ph") == "X"]
    choice = spans if spans and chance.random() < 0.8 else objects
    return chance.choice(choice) if choice else None


def one_field(events: list[Any], document: Any, chance: random.Random) -> str:
    """Remove or replace a field of one event, or of all of them."""
    key = chance.choice(FIELDS)
    change = chance.choice(("remove", "null", "type", "number", "text", "as text", "twice", "rename"))
    chosen = [an_event(events, chance)] if chance.random() < 0.8 else list(events)
    value = hostile.value(chance) if change != "number" else hostile.number(chance)
    for event in chosen:
        if isinstance(event, Members):
            _change_field(event, key, change, value, chance)
    return f"{key} of {'one event' if len(chosen) == 1 else 'every event'}: {change} ({shown(value)})"


def _change_field(event: Members, key: str, change: str, value: object, chance: random.Random) -> None:
    match change:
        case "remove":
            event.remove_key(key)
        case "null":
            event.set(key, None)
        case "text":
            event.set(key, hostile.text(chance))
        case "as text":
            event.set(key, str(event.get(key)))
        case "twice":
            event.insert(chance.randrange(len(event) + 1), [key, value])
        case "rename":
            event[:] = [[key.upper() if name == key else name, item] for name, item in event]
        case _:
            event.set(key, value)


def argument(events: list[Any], document: Any, chance: random.Random) -> str:
    event = an_event(events, chance)
    if event is None:
        return "nothing"
    arguments = event.get("args")
    if not isinstance(arguments, Members):
        event.set("args", arguments := Members())
    key, value = chance.choice(ARGUMENTS), hostile.value(chance)
    arguments.set(key, value)
    return f"args.{key}: {shown(value)}"


def phase(events: list[Any], document: Any, chance: random.Random) -> str:
    new = chance.choice(PHASES)
    count = chance.choice((1, 1, 3, len(events)))
    for event in chance.sample(events, min(count, len(events))):
        if isinstance(event, Members):
            event.set("ph", new)
    return f"phase {shown(new)} in {count} events"


def category(events: list[Any], document: Any, chance: random.Random) -> str:
    event, new = an_event(events, chance), chance.choice(CATEGORIES)
    if event is not None:
        event.set("cat", new)
    return f"category {new!r}"


def begin_and_end(events: list[Any], document: Any, chance: random.Random) -> str:
    """Write spans as pairs of begin and end, of which some may be lost."""
    lost, pairs = chance.random() < 0.3, 0
    for place in sorted(chance.sample(range(len(events)), min(len(events), 8)), reverse=True):
        event = events[place]
        if not isinstance(event, Members) or event.get("ph") != "X":
            continue
        start, duration = decimal(event.get("ts")), decimal(event.get("dur"))
        if start is None or duration is None:
            continue
        begin, end = copy.deepcopy(event), Members([key, v] for key, v in event if key in ("pid", "tid"))
        begin.set("ph", "B")
        begin.remove_key("dur")
        end.set("ph", "E")
        end.set("ts", Raw(f"{start + duration:f}"))
        events[place : place + 1] = [begin] if lost and chance.random() < 0.5 else [begin, end]
        pairs += 1
    return f"{pairs} spans as begin and end{', some without an end' if lost else ''}"


def decimal(value: object) -> Decimal | None:
    """Return the number that a text of JSON is; None for anything else, and for one beyond reason."""
    try:
        found = Decimal(value) if isinstance(value, Raw) else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and abs(found.adjusted()) < 40 else None


def repeat(events: list[Any], document: Any, chance: random.Random) -> str:
    if not events:
        return "nothing"
    begin, count, times = chance.randrange(len(events)), chance.choice((1, 5, 60)), chance.choice((1, 2, 20))
    some = events[begin : begin + count]
    for _ in range(times):
        events[begin:begin] = copy.deepcopy(some)
    return f"{len(some)} events {times + 1} times"


def shuffle(events: list[Any], document: Any, chance: random.Random) -> str:
    begin = chance.randrange(len(events) + 1)
    part = events[begin : begin + chance.choice((2, 10, 1000))]
    chance.shuffle(part)
    events[begin : begin + len(part)] = part
    return f"{len(part)} events shuffled"


def moved_times(events: list[Any], document: Any, chance: random.Random) -> str:
    """Move or stretch spans a little or a lot, so that they cross, coincide, or leave their clock."""
    by = Decimal(chance.choice(("0.001", "0.5", "1", "-1", "7", "1000", "1e12", "-1e16", "1e19")))
    key, count = chance.choice(("ts", "dur")), chance.choice((1, 3, len(events)))
    for event in chance.sample(events, min(count, len(events))):
        value = decimal(event.get(key)) if isinstance(event, Members) else None
        if value is not None:
            event.set(key, Raw(f"{value + by:f}"))
    return f"{key} of {count} events moved by {by}"


def same_times(events: list[Any], document: Any, chance: random.Random) -> str:
    """Give several spans one start, and some of them no duration."""
    model = an_event(events, chance)
    chosen = chance.sample(events, min(len(events), 6))
    for event in chosen:
        if isinstance(event, Members) and model is not None:
            event.set("ts", model.get("ts"))
            if chance.random() < 0.5:
                event.set("dur", Raw("0"))
    return f"{len(chosen)} spans at one time"


def nested_events(events: list[Any], document: Any, chance: random.Random) -> str:
    """Put many calls inside one another, as a recursive model makes them."""
    depth, model = chance.choice((10, 200, DEEPEST)), an_event(events, chance)
    if model is None:
        return "nothing"
    start = decimal(model.get("ts")) or Decimal(0)
    for level in range(depth):
        inner = copy.deepcopy(model)
        inner.set("ts", Raw(f"{start + level:f}"))
        inner.set("dur", Raw(str(2 * (depth - level))))
        inner.set("name", f"aten::level{level % chance.choice((1, 7, depth))}")
        events.append(inner)
    return f"{depth} events inside one another"


def names(events: list[Any], document: Any, chance: random.Random) -> str:
    """Give operators hostile names: one of them, or each its own."""
    every = chance.random() < 0.3
    chosen = [e for e in events if isinstance(e, Members)] if every else [an_event(events, chance)]
    text = hostile.text(chance)
    for place, event in enumerate(chosen):
        if event is not None:
            event.set("name", f"{text[:200]}{place}" if every else text)
    return f"name {shown(text)} of {len(chosen)} events"


def tracks(events: list[Any], document: Any, chance: random.Random) -> str:
    for place, event in enumerate(events):
        if isinstance(event, Members):
            event.set(chance.choice(("pid", "tid")), Raw(str(place)))
    return "every event on a track of its own"


def lists(events: list[Any], document: Any, chance: random.Random) -> str:
    """Put a list inside the list of events, or a second list beside it."""
    some = copy.deepcopy(events[: chance.choice((1, 3, 100))])
    if isinstance(document, Members) and chance.random() < 0.5:
        place = chance.choice((0, len(document)))
        document.insert(place, ["traceEvents", some])
        return f"a second list of {len(some)} events {'behind' if place else 'before'} the first"
    events.insert(chance.randrange(len(events) + 1), some)
    return f"a list of {len(some)} events in the list"


def odd_event(events: list[Any], document: Any, chance: random.Random) -> str:
    value = hostile.value(chance)
    events.insert(chance.randrange(len(events) + 1), value)
    return f"{shown(value)} among the events"


def head(events: list[Any], document: Any, chance: random.Random) -> str:
    if not isinstance(document, Members):
        return "nothing"
    key = chance.choice(HEAD)
    member = [key, hostile.value(chance)]
    document.insert(chance.choice((0, len(document))), member)
    return f"{key}: {shown(member[1])}"


def generic(events: list[Any], document: Any, chance: random.Random) -> str:
    return mutate_json.mutate(document, chance)


CHANGES: tuple[Callable[[list[Any], Any, random.Random], str], ...] = (
    *(one_field, one_field, one_field, argument, phase, category, begin_and_end, repeat, shuffle, moved_times),
    *(same_times, nested_events, names, names, tracks, lists, odd_event, head, generic, generic, generic),
)


def mutate(document: Any, chance: random.Random) -> str:
    """Change a parsed trace in place; return what was done in words."""
    return chance.choice(CHANGES)(events_of(document), document, chance)
