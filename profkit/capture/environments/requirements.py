"""The packages that a user asks for beside PyTorch, from options and files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from profkit.errors import UsageError
from profkit.files import read_bounded

# a name, extras, versions and a marker, as PEP 508 writes them; no option of the installer
_REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w, .-]*\])?\s*((===|[=<>!~]=|[<>])[^;#]*)?(;[^#]*)?")
_COMMENT = re.compile(r"(^|\s)#.*")
_TORCH = re.compile(r"torch\b(?![-.])", re.IGNORECASE)
_MOST_BYTES = 1 << 20  # of a file


def parse_requirements(packages: Sequence[str], files: Sequence[Path]) -> tuple[str, ...]:
    """Return the requirements of both, sorted.

    Raises UsageError for what is not a requirement by name, and for torch, which --torch chooses; InputError if a file
    cannot be read.
    """
    found = {requirement.strip() for requirement in packages}
    for requirement in found:
        _check(requirement, "--with")
    for path in files:
        for requirement in _lines(path):
            _check(requirement, str(path))
            found.add(requirement)
    return tuple(sorted(found))


def _lines(path: Path) -> Iterator[str]:
    text = read_bounded(path, _MOST_BYTES).data.decode("utf-8", "replace")
    for line in text.splitlines():
        requirement = _COMMENT.sub("", line).strip()
        if requirement:
            yield requirement


def _check(requirement: str, where: str) -> None:
    if not _REQUIREMENT.fullmatch(requirement):
        hint = "Write a package as NAME or NAME==VERSION. Options and addresses are not supported."
        raise UsageError(f"{requirement!r:.100} is not a package", where=where, hint=hint)
    if _TORCH.match(requirement):
        raise UsageError("torch itself is chosen by --torch", where=where, hint="Leave it out.")
