"""Explains exceptions that a model's code raises: where, what, and what to do about it."""

from __future__ import annotations

import os
import traceback

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
PACKAGES = os.sep + "site-packages" + os.sep


def described(error: BaseException) -> str:
    """Return where ``error`` was raised, its type and its text: ``at FILE:LINE: TYPE: TEXT``.

    The place is the innermost line outside of this program and of installed packages: a wrong shape is not the fault of
    the line in torch that finds it. Without such a line there is no place.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if PACKAGES not in frame[0] and not frame[0].startswith((HERE, "<"))]
    place = "at %s:%s: " % (own[-1][0], own[-1][1]) if own else ""
    return "%s%s: %s" % (place, type(error).__name__, str(error).strip() or "no message")


def advice(error: BaseException) -> str:
    """Return what to do about ``error``; empty if that is not known."""
    text = str(error).lower()
    if isinstance(error, ImportError):
        return "Add the package with --with."
    if ("cuda" in text or "nvidia" in text) and not _has_gpu():
        return "There is no GPU here: make the model on the CPU, and load its weights with map_location='cpu'."
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return "It needs more memory than there is: use a smaller model or a smaller --batch."
    return ""


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
