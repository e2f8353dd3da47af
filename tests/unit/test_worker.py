"""The worker's files fit the oldest Python that a PyTorch of the study runs on, and import nothing of profkit."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from profkit.capture.variables import worker_environment
from profkit.shortening import LONGEST_QUOTED

WORKER = Path(__file__).parent.parent.parent / "profkit" / "worker"
FILES = sorted(WORKER.rglob("*.py"))
ALLOWED = {"numpy", "torch", "torchvision", "transformers", "torchbenchmark", "pkg_resources"}


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
    assert LONGEST_QUOTED <= 2000


def test_every_file_of_the_worker_is_there_and_in_git() -> None:
    """An ignore rule, as for build outputs, would leave a folder out of the repository and of the wheel."""
    assert {"workloads/__init__.py", "workloads/file.py", "workloads/module.py", "workloads/torchvision.py"} <= {
        str(path.relative_to(WORKER)) for path in FILES
    }
    repository = WORKER.parent.parent
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-C", repository, "check-ignore", "--no-index", *FILES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")  # 1: none is ignored


def test_a_real_python_3_7_compiles_it() -> None:
    versions = sorted((Path.home() / ".pyenv/versions").glob("3.7.*/bin/python"))
    if not versions:
        pytest.skip("no Python 3.7 on this machine")
    code = "import sys\nfor path in sys.argv[1:]: compile(open(path, encoding='utf-8').read(), path, 'exec')"
    done = subprocess.run([versions[0], "-I", "-c", code, *FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_line_does_not_load_the_worker() -> None:
    code = (
        "import sys, profkit, profkit.cli.main\n"
        "try: profkit.cli.main.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('profkit.worker')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert done.stderr.strip() == "[]"
