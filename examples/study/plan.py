"""What the study captures: commands of ``profkit capture``, in the order of the figures that use them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

MODELS = ("resnet50", "distilbert-sentiment", "roberta-fill-mask", "roberta-sentiment")
OLD, NEW, NEWEST = "1.13", "2.0", "2.15"
SEQUEL_TORCH = "2.3.1"  # of the sequel and of the tutorial
BATCHES = (256, 32, 10)  # of the tutorial

MODELS_PART, THREADS_PART, SEQUEL_PART, TUTORIAL_PART = "models", "threads", "sequel", "tutorial"


class Capture(NamedTuple):
    """One command: the ``part`` of the study that needs it is also its folder, and ``words`` are its arguments."""

    part: str
    words: tuple[str, ...]


class Plan(NamedTuple):
    """The captures, and what the figures call their runs.

    ``models`` are workloads, ``labels`` those of the first part in the order old, old BF16, new, new
    BF16 and so on, ``threads`` numbers of threads, smallest first, ``batches`` those of the tutorial.
    """

    captures: tuple[Capture, ...]
    models: tuple[str, ...]
    torches: tuple[str, ...]
    threads: tuple[int, ...]
    batches: tuple[int, ...]


def full() -> Plan:
    """Return the whole study: about 45 minutes on two cores."""
    return _plan(
        models=MODELS,
        torches=(OLD, NEW, NEWEST),
        priced=MODELS[:2],
        sequel=("t5-small", "bert"),
        sequel_torch=SEQUEL_TORCH,
        batches=BATCHES,
        size=("--rounds", "5", "--steps", "20", "--warmup", "5"),  # 100 forwards, which p90 takes
        short=("--rounds", "5", "--steps", "5", "--warmup", "3"),
    )


def quick() -> Plan:
    """Return a small variant with every part: a few minutes. Its rounds are too few for narrow intervals."""
    return _plan(
        models=("resnet18",),
        torches=(OLD, NEW),
        priced=("resnet18",),
        sequel=("resnet18",),
        sequel_torch=NEWEST,
        batches=(32,),
        size=("--rounds", "2", "--steps", "2", "--warmup", "2"),
        short=("--rounds", "2", "--steps", "2", "--warmup", "2"),
    )


def _plan(
    models: Sequence[str],
    torches: Sequence[str],
    priced: Sequence[str],
    sequel: Sequence[str],
    sequel_torch: str,
    batches: Sequence[int],
    size: Sequence[str],
    short: Sequence[str],
) -> Plan:
    threads = sorted({1, *(n for n in (_cores() // 2, _cores()) if n > 1)})
    both = ("--fpmath", "fp32", "--fpmath", "bf16")
    captures = [
        Capture(MODELS_PART, (*models, *_each("--torch", torches), *both, "--mode", "frozen", *short)),
        Capture(
            THREADS_PART,
            (*priced, "--torch", NEW, "--mode", "frozen", *_each("--threads", threads), *size, "--no-onednn"),
        ),
        Capture(
            SEQUEL_PART,
            (
                *(*sequel, "--torch", sequel_torch, "--mode", "eager", "--mode", "compile", "--freezing"),
                *("--fpmath", "bf16", "--env", "THP_MEM_ALLOC_ENABLE=1", *short, "--no-onednn"),
            ),
        ),
    ]
    for batch in batches:
        name = "THP_MEM_ALLOC_ENABLE" if batch == max(BATCHES) else "TORCH_MKLDNN_MATMUL_MIN_DIM"
        values = ("0", "1") if batch == max(BATCHES) else ("0", "64")
        words: tuple[str, ...] = ("linear-stack", "--torch", sequel_torch, "--batch", str(batch), *both)
        words += (*_each("--env", [f"{name}={value}" for value in values]), *short, "--no-onednn")
        captures.append(Capture(TUTORIAL_PART, words))
    return Plan(tuple(captures), tuple(models), tuple(torches), tuple(threads), tuple(batches))


def _each(option: str, values: Sequence[object]) -> tuple[str, ...]:
    return tuple(word for value in values for word in (option, str(value)))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
