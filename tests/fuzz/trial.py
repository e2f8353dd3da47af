"""One mutation under way: its random choices, the folder of its files, the commands it ran, the faults they showed."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.check import Fault, check_contract, check_output
from tests.fuzz.invoke import Outcome, invoke
from tests.fuzz.memory import peak_of

MEMORY_LIMIT = 128 << 20  # bytes: what every command is told to keep to
MOST_BYTES = MEMORY_LIMIT * 6 // 5  # what one may take
LARGEST = 6 << 20  # bytes of a mutant; a larger one is cut there
READING = ("--memory-limit", str(MEMORY_LIMIT / (1 << 30)))
UNCACHED = (*READING, "--no-cache")


@dataclass
class Trial:
    """The mutation ``number`` of ``kind``: everything random in it comes from ``chance``.

    ``folder`` is empty at first and keeps the input. ``changes`` say what was done, in words. ``main`` is the outcome
    that decides between answer and refusal: the first command's. ``used_bytes`` is the most that a command took.
    ``repeatable`` is false if the input is gone afterwards, so that a command cannot be run once more.
    """

    seed: int
    kind: str
    number: int
    folder: Path
    computed: bool = True
    repeatable: bool = True
    base: str = ""
    changes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    used_bytes: int | None = None
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed}/{self.kind}/{self.number}")

    def write(self, name: str, content: bytes) -> Path:
        """Write a file of the mutant and return its path; a name that the file system refuses is replaced."""
        if len(content) > LARGEST:
            self.changes.append(f"cut at {LARGEST} bytes")
        path = self.folder / name
        try:
            path.write_bytes(content[:LARGEST])
        except (OSError, ValueError):
            path = self.folder / f"refused-name{''.join(Path(name[-12:]).suffixes[-2:])}"
            path.write_bytes(content[:LARGEST])
        return path

    def command(self, *words: object, checked: bool = True) -> Outcome:
        """Run a command of profkit in this process, check its outcome, and keep it."""
        texts = [os.fspath(word) if isinstance(word, Path) else str(word) for word in words]
        found, used = peak_of(lambda: invoke(texts))
        self.outcomes.append(found)
        if used is not None:
            self.used_bytes = max(self.used_bytes or 0, used)
            if used > MOST_BYTES:
                self.add([Fault("memory beyond the limit", f"{used >> 20} MiB of {MEMORY_LIMIT >> 20}")], found)
        self.add(check_contract(found), found)
        if found.status == 0 and checked:
            self.add(check_output(found, computed=self.computed), found)
        return found

    def document(self, *words: object) -> dict[str, Any] | None:
        """Run a command with ``--format json`` and return what it printed; None if it refused, or printed no JSON."""
        found = self.command(*words, "--format", "json")
        if found.status != 0:
            return None
        try:
            document = json.loads(found.out)
        except (ValueError, RecursionError):  # noted by the check of the output
            return None
        return document if isinstance(document, dict) else None

    def add(self, faults: Iterable[Fault], found: Outcome | None = None) -> None:
        """Keep faults, each with the command that showed it; one of a sort is enough."""
        for fault in faults:
            if all(known.sort != fault.sort for known in self.faults):
                command = "" if found is None else f"profkit {' '.join(found.words)}\n"
                self.faults.append(Fault(fault.sort, f"{command}{fault.what}"))

    @property
    def main(self) -> Outcome | None:
        return self.outcomes[0] if self.outcomes else None


def differences(expected: object, found: object, ignored: Sequence[str] = (), path: str = "$") -> str:
    """Return the first difference of two decoded documents in words, empty if there is none.

    Members called as in ``ignored`` may differ.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in dict.fromkeys((*expected, *found)):
            if key in ignored:
                continue
            if key not in expected or key not in found:
                return f"{path}.{key} is on one side only: {str(expected.get(key, found.get(key)))[:100]}"
            if words := differences(expected[key], found[key], ignored, f"{path}.{key}"):
                return words
        return ""
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return f"{path} has {len(found)} items instead of {len(expected)}"
        for position, (a, b) in enumerate(zip(expected, found, strict=True)):
            if words := differences(a, b, ignored, f"{path}[{position}]"):
                return words
        return ""
    return "" if expected == found else f"{path} is {str(found)[:100]} instead of {str(expected)[:100]}"


def in_any_order(rows: Iterable[Any]) -> list[Any]:
    """Return rows in one order, whichever they were in."""
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
