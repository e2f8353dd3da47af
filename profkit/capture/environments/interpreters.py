"""Finds a Python for an environment: one that uv knows or downloads, else one of pyenv's or conda's."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from profkit.capture.environments.uv import Uv

_PYENV_NAME = re.compile(r"(\d+\.\d+)\.\d+")
_CONDA_ROOTS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda", "/opt/conda")


def find_interpreter(uv: Uv, versions: Sequence[str]) -> Path | None:
    """Return an interpreter of the first of ``versions`` that can be had, or None.

    The first version may be downloaded; before an interpreter of another version is taken, those that pyenv and
    conda have of it are.
    """
    for position, version in enumerate(versions):
        found = uv.find_python(version) or (uv.download_python(version) if position == 0 else None)
        if found is not None or (found := _others(version)) is not None:
            return found
    return None


def _others(version: str) -> Path | None:
    for path in _candidates(version):
        if path.is_file() and python_version(path) == version:
            return path
    return None


def _candidates(version: str) -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    if pyenv.is_dir():
        matching = [p for p in pyenv.iterdir() if (m := _PYENV_NAME.fullmatch(p.name)) and m[1] == version]
        for folder in sorted(matching, key=lambda p: int(p.name.rpartition(".")[2]), reverse=True):
            yield folder / "bin" / "python"
    roots = [Path.home() / name for name in _CONDA_ROOTS]
    roots += [Path(p) for p in (os.environ.get("CONDA_PREFIX"), os.environ.get("MAMBA_ROOT_PREFIX")) if p]
    for root in roots:
        yield root / "bin" / "python"
        if (root / "envs").is_dir():
            yield from (folder / "bin" / "python" for folder in sorted((root / "envs").iterdir()))


def python_version(python: Path) -> str | None:
    """Return the ``3.10`` of an interpreter, None where it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def torch_version(python: Path) -> str | None:
    """Return the version of the torch an interpreter has, less its build; None where it has none.

    Reads it off the package's file: importing torch takes seconds.
    """
    code = (
        "import importlib.util as u, re; s = u.find_spec('torch'); "
        "t = open(s.submodule_search_locations[0] + '/version.py').read(); "
        "print(re.search(r\"__version__ = '([^'+]+)\", t).group(1))"
    )
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
