"""Saved results, mutated within their schema or beyond it, through ``profkit render`` in every format."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from tests.fuzz import mutate_bytes, mutate_json
from tests.fuzz.bases import DATA, SAVED
from tests.fuzz.check import Fault, check_html, check_text
from tests.fuzz.hostile import text as hostile_text
from tests.fuzz.invoke import REPOSITORY, described, invoke
from tests.fuzz.json_text import STYLES, Members, Raw, Style, dump, encode, escaped_here_and_there, parse
from tests.fuzz.runs import BASELINE, CANDIDATE, WORKLOAD, make_base
from tests.fuzz.schema_values import Schema
from tests.fuzz.trial import Trial

# what is saved on the spot: the command, with folders of runs in place of the labels
MADE = {
    "diff": ("diff", BASELINE, CANDIDATE),
    "diff by shape": ("diff", BASELINE, CANDIDATE, "--by", "shape", "--fail-if", "latency > 1000%"),
    "ops": ("ops", CANDIDATE),
    "ops with primitives": ("ops", CANDIDATE, "--with-primitives"),
    "compare": ("compare", BASELINE, CANDIDATE),
    "cost": ("cost", BASELINE, CANDIDATE, "--price", f"{BASELINE}=0.68", "--price", f"{CANDIDATE}=0.58"),
    "onednn": ("onednn", CANDIDATE),
    "onednn warm": ("onednn", CANDIDATE, "--warm", "--by", "kind"),
    "info": ("info", CANDIDATE),
    "run": ("render", f"{CANDIDATE}/profkit.json"),
}
GOLDEN = "golden diff"
KEPT = ("bisect-resnet50-frozen.json", "sweep-eager.json", "tune-distilbert.json")  # of real experiments
EXAMPLES = ("repro", "overview", "answer", "history", "ranks")
INVENTED = (
    *("machine", "load", "workloads", "operators", "primitives", "compare", "cost", "info", "diff", "run"),
    *("sweep", "bisect", "tune", "repro", "index", "query", "history", "ranks"),
)
WIDTHS = (1, 20, 40, 80, 200)


def document_text(scratch: Path, name: str) -> str:
    """Return the saved result called ``name``, one of ``MADE``, as JSON; it is made once per ``scratch``."""
    path = scratch / "saved" / f"{name}.json"
    if not path.exists():
        logs = make_base(scratch)
        words = [_in_place(word, logs) for word in MADE[name]]
        found = invoke([*words, "--format", "json"])
        if found.status not in (0, 1):
            raise RuntimeError(f"{name} cannot be made: {found.err}{found.error}")
        path.parent.mkdir(exist_ok=True)
        path.write_text(found.out, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _in_place(word: str, logs: Path) -> str:
    label, slash, rest = word.partition("/")
    return f"{logs / label / WORKLOAD}{slash}{rest}" if label in (BASELINE, CANDIDATE) else word


@cache
def _example(name: str) -> str:
    from tests.unit import fleet_results, repro_results

    made = repro_results.example if name == "repro" else getattr(fleet_results, name)
    return msgspec.json.encode(made()).decode()


@cache
def schema_of(name: str) -> Schema:
    """Return the schema of a kind of result."""
    from profkit.report.saved import schema

    return Schema(schema(name))


def mutated(trial: Trial) -> None:
    """Mutate a saved result: three in four stay within their schema."""
    chance = trial.chance
    trial.computed = False
    data = _mutant(trial)
    path = trial.write("mutant.json", data)
    main = trial.command("render", path, "--format", "json")
    if main.status == 0:
        _check_again(trial, main.out)
        for _ in range(2):
            _show(trial, path)
        if chance.random() < 0.5:
            _at_a_width(trial, path)
    else:
        trial.command("render", path, "--format", chance.choice(("text", "html")))


def _mutant(trial: Trial) -> bytes:
    chance = trial.chance
    match chance.choice(("within", "within", "within", "within", "invented", "beyond", "older", "bytes")):
        case "within":
            return mutated_within(trial, json.loads(_base(trial)))
        case "invented":
            trial.base = f"any {chance.choice(INVENTED)}"
            return _text(schema_of(trial.base.removeprefix("any ")).make(_root(trial.base), chance))
        case "beyond":
            return mutated_beyond(trial, parse(_base(trial)))
        case "older":
            trial.base = chance.choice(SAVED)
            return mutated_beyond(trial, parse((DATA / "saved" / trial.base).read_text(encoding="utf-8")))
        case _:
            data, words = mutate_bytes.mutate(_base(trial).encode(), chance)
            trial.changes.append(words)
            return data


def _root(name: str) -> dict[str, Any]:
    from profkit.report.saved import schema

    return schema(name.removeprefix("any "))


def mutated_within(trial: Trial, document: Any) -> bytes:
    """Return the text of ``document`` after some changes that its schema allows."""
    schema = schema_of(document["schema"].partition("/")[0])
    for _ in range(trial.chance.choice((1, 1, 2, 3, 8))):
        trial.changes.append(schema.mutate(document, trial.chance))
    return _text(document)


def mutated_beyond(trial: Trial, document: Any) -> bytes:
    """Return the text of a parsed document after some changes of its structure."""
    for _ in range(trial.chance.choice((1, 1, 2))):
        trial.changes.append(mutate_json.mutate(document, trial.chance))
    return encode(dump(document, trial.chance.choice(STYLES)))


def _text(document: Any) -> bytes:
    return json.dumps(document).encode()


def _base(trial: Trial) -> str:
    name = trial.chance.choice((*MADE, GOLDEN, *KEPT, *EXAMPLES))
    trial.base = name
    if name in KEPT:
        return (REPOSITORY / "examples/versions" / name).read_text(encoding="utf-8")
    if name in EXAMPLES:
        return _example(name)
    if name == GOLDEN:
        return (REPOSITORY / "tests/golden/diff.json").read_text(encoding="utf-8")
    return document_text(trial.folder.parent, name)


def _check_again(trial: Trial, first: str) -> None:
    """Render what was rendered once more: a saved result must stay as it is."""
    path = trial.write("again.json", first.encode("utf-8", "surrogateescape"))
    again = trial.command("render", path, "--format", "json", checked=False)
    if again.status != 0:
        trial.add([Fault("a result that is not read again", again.err[:300])], again)
    elif again.out != first:
        lines = zip(first.splitlines(), again.out.splitlines(), strict=False)
        trial.add(
            [Fault("a result that changes when it is read again", str(next((p for p in lines if p[0] != p[1]), "")))]
        )


def _show(trial: Trial, path: Path) -> None:
    """Show the document in some format or as a picture, all of it or a selection."""
    from profkit.report.saved import load

    chance = trial.chance
    kind, _ = load(path)
    words: list[object] = ["render", path]
    if kind.pictures and chance.random() < 0.4:
        target = trial.folder / "picture.html"
        words += ["--plot", chance.choice(list(kind.pictures)), "--output", target]
        done = trial.command(*words, checked=False)
        if done.status == 0:
            trial.add(check_html(target.read_text(encoding="utf-8")), done)
        return
    selection: list[object] = []
    if chance.random() < 0.3:
        selection += ["--sort", chance.choice(kind.orders)]
    if chance.random() < 0.2:
        selection += ["--top", chance.choice((0, 1, 3))]
    if chance.random() < 0.2:
        selection += [
            "--filter",
            chance.choice(("a", "conv", "*", "[", hostile_text(chance)[:20].replace("\x00", ""))) or "a",
        ]
    form = chance.choice(("text", "markdown", "csv", "html"))
    done = trial.command(*words, "--format", form, *selection)
    if done.status not in (0, None) and not selection:
        trial.add([Fault("shown as JSON, but not in another format", done.err[:300])], done)


def _at_a_width(trial: Trial, path: Path) -> None:
    """Show the document on a terminal of some width, which the command line does only on a terminal."""
    from profkit.errors import ProfkitError
    from profkit.report.kinds.kind import Selection
    from profkit.report.rendering import render
    from profkit.report.saved import load

    width = trial.chance.choice(WIDTHS)
    kind, value = load(path)
    try:
        text = render(kind, value, "text", Selection(top=20), width=width)
    except ProfkitError:
        return
    except Exception as error:
        words, origin = described(error)
        trial.add([Fault(f"exception: {origin}", f"at a width of {width} columns\n{words}")])
        return
    trial.add(check_text(text))


def same(trial: Trial) -> None:
    """Write a saved result in another way: what is shown must stay the same."""
    chance = trial.chance
    trial.computed = False
    original = trial.write("original.json", _base(trial).encode())
    document = parse(original.read_text(encoding="utf-8"))
    for change in chance.sample((_other_digits, _unknown, _other_order), chance.choice((1, 2))):
        trial.changes.append(change(document, chance))
    style = chance.choice(STYLES)
    if chance.random() < 0.5:
        escaped = escaped_here_and_there(chance)
        style = Style(f"\n{style.comma}", f"\t{style.colon}", style.between_events, escaped, escaped)
    data = encode(dump(document, style))
    if chance.random() < 0.3:
        data, words = mutate_bytes.packed_in_some_way(data, chance)
        trial.changes.append(words)
    path = trial.write("same.json", data)
    for form in ("json", chance.choice(("text", "markdown", "csv"))):
        wanted = trial.command("render", original, "--format", form)
        found = trial.command("render", path, "--format", form)
        if _comparable(wanted.out, form) != _comparable(found.out, form):
            trial.add([Fault("the same result is shown in another way", found.err[:300])], found)


def _comparable(text: str, form: str) -> Any:
    """Return the output without the order of members, and of the words that follow it."""
    try:
        return json.loads(text) if form == "json" else sorted(re.findall(r"\w+", text))
    except ValueError:
        return text


def _other_digits(document: Any, chance: random.Random) -> str:
    for place in mutate_json.places(document):
        if isinstance(place.value, Raw) and "." in place.value and "e" not in place.value and chance.random() < 0.5:
            place.put(Raw(place.value + chance.choice(("0", "000", "e0", "E+0"))))
    return "numbers in other digits"


def _unknown(document: Any, chance: random.Random) -> str:
    if isinstance(document, Members):
        _add_unknown(document, chance)
    return "unknown members"


def _add_unknown(record: Members, chance: random.Random) -> None:
    """Add members that no schema knows to records; not to tables by name, which have values of one type only."""
    for _, value in list(record):
        for item in value if isinstance(value, list) and not isinstance(value, Members) else [value]:
            if isinstance(item, Members) and item.get("name") is not None:
                _add_unknown(item, chance)
    record.append([f"unknown{chance.randrange(9)}", Raw("1") if chance.random() < 0.5 else [None, "x"]])


def _other_order(document: Any, chance: random.Random) -> str:
    for place in list(mutate_json.places(document)):
        if isinstance(place.value, Members):
            chance.shuffle(place.value)
    return "members in another order"
