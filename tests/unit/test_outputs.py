"""Is the answer still right?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from profkit.compare.outputs import compare_outputs as compare_contents
from profkit.compare.records.diff import OutputsChange
from profkit.errors import InputError
from profkit.runs import Run
from profkit.runs.contents import RunContents
from tests.builders import manifest


def compare_outputs(baseline: Run, candidate: Run) -> OutputsChange | None:
    return compare_contents(RunContents(baseline).read(), RunContents(candidate).read())


def run(folder: Path, weights: str = "abc", **arrays: np.ndarray) -> Run:
    folder.mkdir()
    described = manifest("2.0", 1, 1)
    described = msgspec.structs.replace(
        described, workload=msgspec.structs.replace(described.workload, weights_sha256=weights)
    )
    np.savez(folder / "outputs.npz", **arrays)  # type: ignore[arg-type]  # its stub has no keyword arrays
    return Run(folder, (), described)


def test_moved_outputs(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.array([3.0, 4.0], dtype=np.float32))
    b = run(tmp_path / "b", output=np.array([4.0, 3.0], dtype=np.float32))
    found = compare_outputs(a, b)
    assert found is not None
    assert found.comparable
    assert found.cosine_similarity == pytest.approx(24 / 25)
    assert found.max_abs_error == 1.0


def test_other_weights_or_shapes_do_not_compare(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.ones(2))
    for i, other in enumerate(
        (
            run(tmp_path / "b", "xyz", output=np.ones(2)),
            run(tmp_path / "c", output=np.ones(3)),
            run(tmp_path / "d", other=np.ones(2)),
            run(tmp_path / "e", output=np.array([1.0, np.nan])),
        )
    ):
        found = compare_outputs(a, other)
        assert found is not None, i
        assert not found.comparable, i


def test_complex_outputs_count_their_imaginary_half(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.array([1 + 1j]))
    b = run(tmp_path / "b", output=np.array([1 - 1j]))
    found = compare_outputs(a, b)
    assert found is not None
    assert found.cosine_similarity == 0.0
    assert found.max_abs_error == 2.0


def test_outputs_that_are_no_numbers_any_more_are_said_so(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.array([1.0, 2.0]))
    b = run(tmp_path / "b", output=np.array([1.0, np.nan]))
    found = compare_outputs(a, b)
    assert found is not None
    assert not found.finite


def test_no_outputs(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.ones(2))
    assert compare_outputs(a, Run(tmp_path, ())) is None


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    a = run(tmp_path / "a", output=np.ones(2))
    b = run(tmp_path / "b", output=np.array([{"run": "me"}], dtype=object))
    with pytest.raises(InputError, match="saved outputs cannot be read"):
        compare_outputs(a, b)
    (tmp_path / "b/outputs.npz").write_bytes(b"PK damaged")
    with pytest.raises(InputError, match="saved outputs cannot be read"):
        compare_outputs(a, b)
