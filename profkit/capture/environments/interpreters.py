"""Finds a Python interpreter for an environment: from uv, else from pyenv or conda; asks interpreters for versions."""

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
    """Return an interpreter of the first of ``versions`` (``3.10``) that is available, or None.

    Each version is looked for in uv, then in pyenv and conda; only the first one is downloaded.
    """
    for position, version in enumerate(versions):
        found = uv.find_python(version) or (uv.download_python(version) if position == 0 else None)
        if found is not None or (found := _find_in_pyenv_and_conda(version)) is not None:
            return found
    return None


def _find_in_pyenv_and_conda(version: str) -> Path | None:
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
    """Return the minor version of an interpreter (``3.10``); None if it does not run."""
    version = full_python_version(python)
    return None if version is None else ".".join(version.split(".")[:2])


def full_python_version(python: Path) -> str | None:
    """Return the version of an interpreter (``3.10.13``); None if it does not run."""
    return _ask(python, "import platform; print(platform.python_version())", 30)


def torch_version(python: Path) -> str | None:
    """Return the version of an interpreter's torch without the wheel's suffix (``2.0.1``); None if it has no torch.

    It is read from the package's file, because importing torch takes seconds.
    """
    code = (
        "import importlib.util as u, re; s = u.find_spec('torch'); "
        "t = open(s.submodule_search_locations[0] + '/version.py').read(); "
        "print(re.search(r\"__version__ = '([^'+]+)\", t).group(1))"
    )
    return _ask(python, code, 120)


def _ask(python: Path, code: str, timeout_s: float) -> str | None:
    """Return what ``code`` prints under an interpreter; None if that fails."""
    # isolated: nothing in the current folder or in PYTHON* variables may answer in its place
    try:
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout.strip() or None) if done.returncode == 0 else None
