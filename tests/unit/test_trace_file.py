"""What profkit.load returns: tables of one trace file, errors in words; and the columns and head it is made of."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import profkit
from profkit.errors import InputError, UsageError
from profkit.trace.events import Events
from profkit.trace.file import TraceFile, load
from profkit.trace.operators import sum_operators
from profkit.trace.reading import reader
from profkit.trace.reading.reader import write_mended
from tests.conftest import ROOT, event

SOURCE = sorted((ROOT / "traces/2.0").rglob("*.pt.trace.json.gz"))[0]


@pytest.fixture(scope="module")
def loaded() -> TraceFile:
    return profkit.load(SOURCE)


def test_the_representation_is_short_and_says_what_the_file_is(loaded: TraceFile) -> None:
    calls = len(loaded.trace.operator_events)
    assert repr(loaded) == (
        f"<TraceFile {SOURCE.name!r}: PyTorch {loaded.torch_version}, {len(loaded.trace.events)} events, "
        f"{calls} operator calls, {len(loaded.forwards())} forwards (annotation)>"
    )
    assert str(loaded.torch_version).startswith("2.0")
    assert (loaded.dialect, loaded.resolution_ns, loaded.repairs) == ("2.0 to 2.3", 1000, {})
    assert loaded.metadata["torch"] == loaded.torch_version
    assert loaded.source == str(SOURCE)


def test_another_trace_is_represented_by_its_format(write_trace: Callable[..., Path]) -> None:
    found = profkit.load(write_trace([event("aten::relu", 1, 2, 0)]))
    assert repr(found) == (
        "<TraceFile 'trace.json': PyTorch 2.0 to 2.3 (by its format), "
        "1 events, 1 operator calls, 1 forwards (envelope)>"
    )


@pytest.mark.parametrize("by", ["name", "shape", "module", "stack"])
def test_operators_are_those_of_the_sums(loaded: TraceFile, by: Any) -> None:
    samples, table = sum_operators(loaded.trace, by=by), loaded.operators(by)
    assert table["self_host_ns"].tolist() == samples.self_ns[0].tolist()
    assert [(name,) for name in table["name"]] == [key[:1] for key in samples.keys]
    assert ("input_dims" in table.columns) == (by == "shape")
    per_forward = loaded.operators(by, per_forward=True)
    assert set(per_forward["forward"]) == set(range(len(loaded.forwards())))


def test_a_wrong_grouping_is_an_error(loaded: TraceFile) -> None:
    with pytest.raises(UsageError, match=r"cannot be grouped by 'shapes'.*name, shape, module, stack"):
        loaded.operators(cast(Any, "shapes"))


def test_a_folder_is_refused_with_a_trace_in_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder, not a trace file.*\.pt\.trace\.json\.gz"):
        load(ROOT / "traces/2.0")
    with pytest.raises(InputError, match=r"is a folder.*Pass a \.json or \.json\.gz trace file"):
        load(tmp_path)


def test_columns_that_were_not_read_take_no_memory() -> None:
    events = Events.of(start_ns=np.arange(4), track=np.zeros(4, dtype=np.int32))
    assert set(events.stored) == {"start_ns", "track"}
    taken = events.take(np.array([3, 1]))
    assert taken.start_ns.tolist() == [3, 1]
    assert taken.module.tolist() == [-1, -1]
    assert taken.module.strides == (0,)
    with pytest.raises(TypeError, match="no such column: tracks"):
        Events.of(start_ns=np.arange(4), tracks=np.arange(4))


@pytest.mark.parametrize("broken", [False, True])
def test_mending_reads_a_file_once_and_writes_a_sound_one_as_it_is(
    tmp_path: Path, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strictly, and once more piece by piece only if that fails."""
    text = gzip.decompress(SOURCE.read_bytes())
    path = tmp_path / "trace.json"
    path.write_bytes(text.replace(b'"aten::conv2d"', b'"aten::conv\n2d"', 1) if broken else text)
    windows: list[Path] = []
    original = reader.decode_damaged

    def counting(path: Path, *args: Any) -> Any:
        windows.append(path)
        return original(path, *args)

    monkeypatch.setattr(reader, "decode_damaged", counting)
    found = write_mended(path, tmp_path / "mended.json")
    assert windows == [path] * broken
    assert found == (({"raw newline in a string": 1} if broken else {}), {})
    assert broken or (tmp_path / "mended.json").read_bytes() == text
    expected = profkit.load(SOURCE).operators()
    names = [name.replace("\n", "") for name in profkit.load(tmp_path / "mended.json").operators()["name"]]
    assert set(names) == set(expected["name"])
