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
def nothing_stays(tmp_path: Path) -> Iterator[None]:
    """See that no process of a test is left after it."""
    yield
    deadline = time.monotonic() + 30
    while (left := processes_of(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
