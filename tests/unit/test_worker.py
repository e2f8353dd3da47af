"""The worker's files fit the oldest Python that a PyTorch of the study runs on, and import nothing of profkit."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from profkit.capture.process import MOST_TEXT, worker_environment

WORKER = Path(__file__).parent.parent.parent / "profkit" / "worker"
FILES = sorted(WORKER.rglob("*.py"))
ALLOWED = {"numpy", "torch", "torchvision", "pkg_resources"}


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(WORKER)) for path in FILES])
def test_python_3_7_and_nothing_installed(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 7))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert top in ALLOWED or top in sys.stdlib_module_names, name


def test_the_environment_of_a_worker() -> None:
    environ = {"HOME": "/h", "PYTHONPATH": "/x", "PYTHONMALLOC": "debug", "ONEDNN_VERBOSE": "2", "OMP_NUM_THREADS": "8"}
    found = worker_environment(environ, {"OMP_NUM_THREADS": "2"})
    assert found == {"HOME": "/h", "OMP_NUM_THREADS": "2"}
    assert worker_environment(environ, {"ONEDNN_VERBOSE": "1"})["ONEDNN_VERBOSE"] == "1"
    assert MOST_TEXT <= 2000
