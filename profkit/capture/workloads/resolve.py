"""A user's word → the order that the worker gets: a torchvision model, or ``path/to/file.py:function``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from profkit.capture.workloads.torchvision import MODELS, image_size
from profkit.errors import UsageError

SEED = 0
_FUNCTION = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class WorkloadOrder:
    """What the worker builds. ``name`` is the run's folder; ``function`` belongs to a file's workload."""

    name: str
    source: str
    task: str
    batch: int
    weights: str
    seed: int = SEED
    image_size: int = 0
    path: str = ""
    function: str = ""


def known_workloads() -> Sequence[str]:
    """Return the names that can be captured without a file."""
    return MODELS


def resolve(word: str, *, batch: int = 1, weights: str = "random") -> WorkloadOrder:
    """Return the workload that ``word`` names; raises UsageError, with near names, where it names none."""
    path, colon, function = word.rpartition(":")
    if colon and path.endswith(".py"):
        return _file(Path(path), function, batch, weights)
    if word in MODELS:
        return WorkloadOrder(
            name=word,
            source="torchvision",
            task="image-classification",
            batch=batch,
            weights=weights,
            image_size=image_size(word, weights),
        )
    if word.endswith(".py"):
        raise UsageError(f"{word} names no function", hint=f"Write {word}:make, where make() returns (model, inputs).")
    near = difflib.get_close_matches(word.lower().replace("-", ""), MODELS, n=3)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise UsageError(f"no workload {word!r}", hint=f"{hint}profkit workloads lists them; a file's is file.py:make.")


def _file(path: Path, function: str, batch: int, weights: str) -> WorkloadOrder:
    if not path.is_file():
        raise UsageError("no such file", where=path, hint="A file's workload is written path/to/file.py:function.")
    if not _FUNCTION.fullmatch(function):
        raise UsageError(f"{function!r} is no function's name", where=path)
    if batch != 1 or weights != "random":
        raise UsageError(f"{path}:{function} brings its own input and weights", hint="Leave --batch and --weights out.")
    stem = re.sub(r"[^\w.-]", "-", path.stem)
    return WorkloadOrder(
        name=stem if function == "make" else f"{stem}-{function}",
        source="file",
        task="",
        batch=1,
        weights="own",
        path=str(path.resolve()),
        function=function,
    )
