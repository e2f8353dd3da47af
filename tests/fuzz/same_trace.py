"""Ways to write the same trace: another text, or another order, that must not change any number.

Each change returns what it did, in words.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.fuzz.bases import events_of
from tests.fuzz.json_text import STYLES, Members, Raw, Style, dump, encode, escaped_here_and_there
from tests.fuzz.mutate_trace import decimal

PADDING = 3_000  # characters of an unknown member: some hundred of them reach beyond one chunk of the reader
MANY = 400  # padded events: more than 1 MiB, the size of a chunk


def member_order(document: Any, chance: random.Random) -> str:
    for event in events_of(document):
        if isinstance(event, Members):
            chance.shuffle(event)
            if isinstance(event.get("args"), Members):
                chance.shuffle(event.get("args"))
    return "members of events in another order"


def head_order(document: Any, chance: random.Random) -> str:
    if isinstance(document, Members):
        chance.shuffle(document)
    return "members of the file in another order"


def unknown_members(document: Any, chance: random.Random) -> str:
    decoy = Members([["ph", "X"], ["cat", "cpu_op"], ["name", "aten::decoy"], ["ts", Raw("1")], ["dur", Raw("1")]])
    values = (Raw("1"), "text", [Raw("1"), [None]], decoy, [decoy, decoy], None)
    objects = [document, *events_of(document)]
    for value in objects:
        if isinstance(value, Members) and chance.random() < 0.5:
            value.insert(chance.randrange(len(value) + 1), [f"unknown{chance.randrange(9)}", chance.choice(values)])
            arguments = value.get("args")
            if isinstance(arguments, Members):
                arguments.append(["unknown", chance.choice(values)])
    return "unknown members"


def padding(document: Any, chance: random.Random) -> str:
    """Make the file longer than one chunk, with each event at another distance from the cut."""
    events = events_of(document)
    for _ in range(MANY):
        record = Members(
            [["ph", "M"], ["name", "process_name"], ["pid", Raw("1")], ["tid", Raw("1")], ["ts", Raw("0")]]
        )
        record.append(["args", Members([["name", "x" * chance.randrange(PADDING * 2)]])])
        events.insert(chance.randrange(len(events) + 1), record)
    return f"{MANY} long metadata records among the events"


def number_texts(document: Any, chance: random.Random) -> str:
    """Write times of the same value in other digits; whole microseconds stay whole, since they tell the clock."""
    spans = [e for e in events_of(document) if isinstance(e, Members) and e.get("ph") == "X"]
    times = [e.get(key) for e in spans for key in ("ts", "dur")]
    if not any(isinstance(t, Raw) and "." in t for t in times):
        return "nothing"
    for event in spans:
        for key in ("ts", "dur"):
            value = decimal(event.get(key))
            if value is not None and chance.random() < 0.5:
                event.set(key, Raw(_written(value, chance)))
    return "times in other digits"


def _written(value: Decimal, chance: random.Random) -> str:
    exponent = chance.choice((-3, -1, 2, 5))
    return chance.choice(
        (
            f"{value:f}" + ("00" if "." in f"{value:f}" else ".0"),
            f"{value.scaleb(-exponent):f}e{exponent}",
            f"{value.scaleb(-exponent):f}E{exponent:+d}",
        )
    )


def threads_interleaved(document: Any, chance: random.Random) -> str:
    """Write the events of several tracks in another mixture; those of one track keep their order."""
    events = events_of(document)
    queues: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for event in events:
        known = isinstance(event, Members)
        queues[(str(event.get("pid")), str(event.get("tid"))) if known else ("", "")].append(event)
    order = [track for track, queue in queues.items() for _ in queue]
    chance.shuffle(order)
    positions = dict.fromkeys(queues, 0)
    for place, track in enumerate(order):
        events[place] = queues[track][positions[track]]
        positions[track] += 1
    return f"{len(queues)} tracks interleaved in another way"


def shifted(document: Any, chance: random.Random) -> str:
    """Move every record by the same time."""
    by = Decimal(chance.choice((1, 1000, 86_400_000_000, -1 if _earliest(document) > 1 else 1)))
    for event in events_of(document):
        value = decimal(event.get("ts")) if isinstance(event, Members) else None
        if value is not None:
            event.set("ts", Raw(f"{value + by:f}"))
    return f"every time moved by {by} µs"


def _earliest(document: Any) -> Decimal:
    times = [decimal(e.get("ts")) for e in events_of(document) if isinstance(e, Members)]
    return min((t for t in times if t is not None), default=Decimal(0))


def other_process(document: Any, chance: random.Random) -> str:
    """Call one process, or one thread, by another number everywhere."""
    key = chance.choice(("pid", "tid"))
    renamed: dict[str, Raw] = {}
    for event in events_of(document):
        value = event.get(key) if isinstance(event, Members) else None
        if isinstance(value, Raw):
            event.set(key, renamed.setdefault(str(value), Raw(str(100_000 + len(renamed)))))
    return f"another {key} in every event"


Change = Callable[[Any, random.Random], str]
CHANGES: tuple[Change, ...] = (
    *(member_order, head_order, unknown_members, padding, number_texts, threads_interleaved, shifted, other_process),
)

# damage after which nothing is lost: the file is mended, and says so, and every number stays
HARMLESS = ("number as a text", "trailing comma", "byte order mark", "raw newline in a string", "space behind the end")


def written(document: Any, chance: random.Random) -> tuple[bytes, str]:
    """Return the trace as text in some style."""
    style, words = chance.choice(STYLES), ""
    if chance.random() < 0.3:
        escaped = escaped_here_and_there(chance)
        names = escaped if chance.random() < 0.2 else style.quote_key
        style = Style(style.comma, style.colon, style.between_events, escaped, names)
        words = f"escapes in texts{' and names of members' if names is escaped else ''}, "
    elif chance.random() < 0.3:
        spaces = [" " * chance.randrange(4) + "\n" * chance.randrange(2) + "\t" * chance.randrange(2) for _ in range(3)]
        style = Style(f"{spaces[0]},{spaces[1]}", f"{spaces[2]}:{spaces[0]}", f"{spaces[1]},{spaces[2]}", style.quote)
    return encode(
        dump(document, style)
    ), f"{words}separators {style.comma!r}, {style.colon!r}, {style.between_events!r}"


def harmless_damage(document: Any, chance: random.Random) -> tuple[bytes, str]:
    """Return the trace with damage that loses nothing, in the style that Python or PyTorch writes."""
    damage, style = chance.choice(HARMLESS), chance.choice(STYLES)
    if damage == "number as a text":
        return _number_as_text(document, chance, style)
    if damage == "raw newline in a string":
        events = events_of(document)
        record = Members(
            [["ph", "M"], ["name", "line\nline"], ["pid", Raw("1")], ["tid", Raw("1")], ["args", Members()]]
        )
        events.insert(chance.randrange(len(events) + 1), record)
        return encode(dump(document, style).replace("line\\nline", "line\nline")), damage
    text = dump(document, style)
    if damage == "trailing comma":
        end = text.rindex("]")
        text = f"{text[:end]},{text[end:]}"
    elif damage == "byte order mark":
        text = "\ufeff" + text
    else:
        text += "\n \n"
    return encode(text), damage


def _number_as_text(document: Any, chance: random.Random, style: Style) -> tuple[bytes, str]:
    """Write one number of one event as a text; pid and tid too, but then in all events, since 7 and "7" are two."""
    key = chance.choice(("ts", "dur", "pid", "tid"))
    spans = [e for e in events_of(document) if isinstance(e, Members) and isinstance(e.get(key), Raw)]
    chosen = spans if key in ("pid", "tid") else [chance.choice(spans)] if spans else []
    for event in chosen:
        event.set(key, str(event.get(key)))
    return encode(dump(document, style)), f"{key} of {len(chosen)} events as a text"
