"""The user's own models: ``path/to/file.py:function``, or ``package.module:function``.

What the code says is looked at, never executed: only the worker does that.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from profkit.capture.workloads.order import Known, WorkloadOptions, WorkloadOrder
from profkit.errors import InputError, UsageError
from profkit.files import read_bounded

_FUNCTION = re.compile(r"[^\W\d]\w*")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_MOST_BYTES = 16 << 20  # of a source file: nobody writes a larger one
_SHOWN = 8  # functions named in an error
_AS_A_FILE = "Write a workload in a file as path/to/file.py:make, where make() returns (model, inputs)."


def known() -> Iterator[Known]:
    """Yield nothing: these have no names of their own."""
    return iter(())


def resolve(word: str, options: WorkloadOptions) -> WorkloadOrder | None:
    """Return the function that ``word`` names, or None; raises UsageError if there is no such file or function."""
    where, colon, function = word.rpartition(":")
    if word.endswith(".py"):
        raise UsageError(
            f"{word} does not name a function", hint=f"Write {word}:make, where make() returns (model, inputs)."
        )
    if not colon:
        return None
    path: Path | None
    if where.endswith(".py"):
        path, module = Path(where), ""
    elif _MODULE.fullmatch(where):
        path, module = _find_module(where), where
    else:
        return None
    if not _FUNCTION.fullmatch(function):
        raise UsageError(f"{function!r} is not a valid function name", where=where)
    options.require_defaults(word)
    if path is not None:
        _require_function(path, function)
    stem = re.sub(r"[^\w.-]", "-", path.stem if not module and path is not None else where)
    name = stem if function == "make" else f"{stem}-{function}"
    if not module and path is not None:
        details = {"path": str(path.resolve()), "function": function}
        return WorkloadOrder(name, "file", "", 1, "own", details=details)
    folder = str(Path.cwd()) if path is not None else ""
    details = {"module": module, "folder": folder, "function": function}
    return WorkloadOrder(name, "module", "", 1, "own", details=details)


def _find_module(module: str) -> Path | None:
    """Return the file of a module below the current folder; None if it is not there, but perhaps in the environment."""
    path = Path(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _require_function(path: Path, function: str) -> None:
    """Raise UsageError if the file does not define ``function``, naming what it defines."""
    try:
        text = read_bounded(path, _MOST_BYTES).data
    except InputError as error:
        raise UsageError(error.what, where=path, hint=_AS_A_FILE) from None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # another Python may read it; the worker says what is wrong
    names = list(_defined(tree.body))
    if function in names or "*" in names:
        return
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    near = difflib.get_close_matches(function, functions, n=1)
    if near:
        hint = f"Did you mean {path}:{near[0]}?"
    elif functions:
        hint = f"It has {', '.join(functions[:_SHOWN])}{' and others' if len(functions) > _SHOWN else ''}."
    else:
        hint = "It defines no function. " + _AS_A_FILE
    raise UsageError(f"has no function {function!r}", where=path, hint=hint)


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements may define at the top of a module; ``*`` if they may be any."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        else:
            yield from (
                found.id if isinstance(found, ast.Name) else found.name
                for found in ast.walk(node)
                if (isinstance(found, ast.Name) and isinstance(found.ctx, ast.Store))
                or isinstance(found, ast.FunctionDef | ast.ClassDef)
            )
