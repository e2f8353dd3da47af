"""Which files of a folder are traces: told by their names and beginnings; the other JSON files are named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from profkit.errors import InputError
from profkit.files import open_regular
from profkit.shortening import LONGEST_NAME, shorten
from profkit.trace.dialect import other_program
from profkit.trace.reading.foreign import beginning_of, packed_by, recognise

_TENSORBOARD_NAMES = (".pt.trace.json", ".pt.trace.json.gz")
_JSON_NAMES = (".json", ".json.gz")
_MOST_FILES = 32  # of a folder without a trace that are looked at, to say what they are


class Candidates(NamedTuple):
    """The traces of a folder, by name, and a sentence about each JSON file beside them that is none."""

    traces: tuple[Path, ...]
    others: tuple[str, ...]


def traces_in(folder: Path, names: Iterable[str]) -> Candidates:
    """Sort the files of ``folder`` into traces and others.

    Traces are the files named as TensorBoard expects, else all JSON files, but for those whose beginning shows that
    they are something else. Files with other names are not looked at.
    """
    json_files = sorted(name for name in names if name.endswith(_JSON_NAMES))
    named = [name for name in json_files if name.endswith(_TENSORBOARD_NAMES)]
    traces: list[Path] = []
    others: list[str] = []
    for name in json_files:
        what = _instead_of_a_trace(folder / name, may_be_any_json=name not in named)
        if what is None and named and name not in named:
            what = "a trace whose name does not end in .pt.trace.json, as those of the others do"
        if what is None:
            traces.append(folder / name)
        else:
            others.append(f"{shorten(name, LONGEST_NAME)} is {what}")
    return Candidates(tuple(traces), tuple(others))


def _instead_of_a_trace(path: Path, *, may_be_any_json: bool) -> str | None:
    """Return what a JSON file is, if its beginning shows that it is no trace of torch.profiler; else None.

    A file that cannot be opened counts as a trace, so that reading it reports the error; so does one that is named as a
    trace and is not known to be something else.
    """
    try:
        open_regular(path).close()
    except (InputError, OSError):
        return None
    beginning = beginning_of(path)
    if (foreign := recognise(beginning)) is not None:
        return foreign.what
    if (program := other_program(beginning)) is not None:
        return f"a trace of {program.name}"
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_object = text.startswith(b"{") and b"\0" not in text[:4]  # with NUL bytes: UTF-16, which reading converts
    return "JSON without traceEvents" if may_be_any_json and is_object and b'"traceEvents"' not in text else None


def skipped_in_words(others: Sequence[str]) -> tuple[str, ...]:
    """Return the warning about files beside the traces, none if there are none."""
    if not others:
        return ()
    shown = "; ".join(others[:4]) + (f"; and {len(others) - 4} more" if len(others) > 4 else "")
    count = "1 file beside the traces is" if len(others) == 1 else f"{len(others)} files beside the traces are"
    return (f"{count} skipped: {shown}.",)


def no_trace(folder: Path) -> InputError:
    """Return the error for a folder without a trace, which says what its first files are."""
    hint = "Pass a folder of .json or .json.gz traces, such as profkit capture writes, or one trace file."
    for path in _first_files(folder):
        beginning = beginning_of(path)
        if (foreign := recognise(beginning)) is not None:
            name = path.relative_to(folder)
            return InputError(
                f"no trace in this folder: {name} is {foreign.what}, not a trace; {foreign.advice}", where=folder
            )
        if (packer := packed_by(beginning)) is not None:
            hint = f"{path.relative_to(folder)} is packed by {packer}: if it is a trace, name it instead of the folder."
            return InputError("no trace in this folder", where=folder, hint=hint)
    return InputError("no trace in this folder", where=folder, hint=hint)


def _first_files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for top, subfolders, names in os.walk(folder):
        subfolders.sort()
        found += [Path(top, name) for name in sorted(names)]
        if len(found) >= _MOST_FILES:
            break
    return found[:_MOST_FILES]
