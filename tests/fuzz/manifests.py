"""Mutated manifests of runs, through every command that reads a run."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.fuzz import mutate_bytes
from tests.fuzz.bases import TRACES
from tests.fuzz.json_text import parse
from tests.fuzz.runs import BASELINE, CANDIDATE, REFERENCE, WORKLOAD, Pair
from tests.fuzz.saved import mutated_beyond, mutated_within
from tests.fuzz.trial import UNCACHED, Trial

HTML = ("--format", "html")


def mutated(trial: Trial) -> None:
    """Mutate the manifest of a run: three in four stay within its schema; give the run to three commands."""
    chance, pair = trial.chance, Pair(trial.folder)
    path = pair.candidate / "profkit.json"
    data = path.read_bytes()
    trial.base = CANDIDATE
    match chance.choice(("within", "within", "within", "within", "within", "beyond", "older", "bytes")):
        case "within":
            changed = mutated_within(trial, json.loads(data))
        case "beyond":
            changed = mutated_beyond(trial, parse(data))
        case "older":
            trial.base = f"{CANDIDATE}, run/1"
            changed = mutated_beyond(trial, parse((TRACES / CANDIDATE / WORKLOAD / path.name).read_bytes()))
        case _:
            changed, words = mutate_bytes.mutate(data, chance)
            trial.changes.append(words)
    pair.replace(path, changed)
    trial.command("info", pair.candidate, *UNCACHED, "--format", "json")
    for further in chance.sample(FURTHER, 2):
        further(trial, pair)


def _information(trial: Trial, pair: Pair) -> None:
    form = trial.chance.choice((("--format", "text"), ("--format", "markdown"), HTML))
    trial.command("info", pair.candidate, *UNCACHED, *form)


def _operators(trial: Trial, pair: Pair) -> None:
    trial.command("ops", pair.candidate, *UNCACHED, "--per-forward", "--format", "json")


def _difference(trial: Trial, pair: Pair) -> None:
    sides = [pair.baseline, pair.candidate]
    trial.chance.shuffle(sides)
    form = trial.chance.choice((("--format", "json"), ("--format", "json"), ("--format", "text"), HTML))
    trial.command("diff", *sides, *UNCACHED, *form)


def _comparison(trial: Trial, pair: Pair) -> None:
    form = trial.chance.choice((("--format", "json"), ("--format", "text"), HTML))
    trial.command("compare", pair.logs, *UNCACHED, *form)


def _cost(trial: Trial, pair: Pair) -> None:
    form = trial.chance.choice((("--format", "json"), ("--format", "text"), HTML))
    prices = [word for label in (BASELINE, REFERENCE, CANDIDATE) for word in ("--price", f"{label}=0.58")]
    trial.command("cost", pair.logs, *prices, *UNCACHED, *form)


def _primitives(trial: Trial, pair: Pair) -> None:
    trial.command("onednn", pair.candidate, *UNCACHED, "--warm", "--format", trial.chance.choice(("json", "text")))


def _lanes(trial: Trial, pair: Pair) -> None:
    target = trial.folder / "lanes.json"
    trial.command("lanes", pair.baseline, pair.candidate, "--output", target, *UNCACHED, checked=False)


def _manifest(trial: Trial, pair: Pair) -> None:
    form = trial.chance.choice((("--format", "json"), ("--format", "csv"), ("--format", "text"), HTML))
    trial.command("render", pair.candidate / "profkit.json", *form)


FURTHER: tuple[Callable[[Trial, Pair], None], ...] = (
    *(
        _information,
        _operators,
        _difference,
        _difference,
        _difference,
        _comparison,
        _cost,
        _primitives,
        _lanes,
        _manifest,
    ),
)
