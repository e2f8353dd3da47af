"""From the name a user types to the worker's order: a torchvision model, or ``path/to/file.py:function``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from profkit.capture.workloads.torchvision import MODELS, image_size
from profkit.errors import InputError, UsageError
from profkit.files import open_regular

SEED = 0  # of the random weights and inputs; fixed, so that every PyTorch version gets the same ones
_AS_A_FILE = "path/to/file.py:function"
_FUNCTION = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class WorkloadOrder:
    """What the worker builds: model, input and weights.

    ``name`` is also the name of the run's folder. ``image_size`` (pixels per side) is for torchvision models; ``path``
    and ``function`` are for workloads in a file. ``batch`` counts samples per forward.
    """

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
    """Return the names of the workloads that need no file."""
    return MODELS


def resolve(word: str, *, batch: int = 1, weights: str = "random") -> WorkloadOrder:
    """Return the workload that ``word`` names; raises UsageError, with similar names, if there is none."""
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
        raise UsageError(
            f"{word} does not name a function", hint=f"Write {word}:make, where make() returns (model, inputs)."
        )
    near = difflib.get_close_matches(word.lower().replace("-", ""), MODELS, n=3)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise UsageError(
        f"no workload {word!r}", hint=f"{hint}profkit workloads lists the names; a workload in a file is file.py:make."
    )


def _file(path: Path, function: str, batch: int, weights: str) -> WorkloadOrder:
    try:
        open_regular(path).close()
    except InputError as error:
        raise UsageError(error.what, where=path, hint=f"Write a workload in a file as {_AS_A_FILE}.") from None
    if not _FUNCTION.fullmatch(function):
        raise UsageError(f"{function!r} is not a valid function name", where=path)
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
