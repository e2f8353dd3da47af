"""What the captures under a stub torch share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.stub import make_interpreter, processes_of


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the stub torch."""
    return make_interpreter(tmp_path_factory.mktemp("stub"))


@pytest.fixture
def nothing_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """See that no process of a test is left after it; the interpreter of the stub is in a folder of its own."""
    base = tmp_path_factory.getbasetemp()
    yield
    deadline = time.monotonic() + 30
    while (left := processes_of(base)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
