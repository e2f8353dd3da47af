"""The notebook in examples/ runs, and shows what is stored in it; PROFKIT_RENEW_GOLDEN=1 stores its output again."""

from __future__ import annotations

import os
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples/notebook.ipynb"


def shown(notebook: Any) -> list[Any]:
    """Return the outputs of each cell."""
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook() -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(
        fresh, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    for cell in fresh.cells:
        cell.metadata.pop("execution", None)  # when it ran
    if os.environ.get("PROFKIT_RENEW_GOLDEN"):
        fresh.metadata.language_info = {"name": "python"}
        nbformat.write(fresh, NOTEBOOK)
        stored = fresh
    assert shown(fresh) == shown(stored)
    assert all(outputs for outputs in shown(stored))
