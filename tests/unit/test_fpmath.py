"""Whether an fpmath mode had an effect: what the log, the outputs and the latency may say of it."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from profkit.comparison.fpmath import judge_fpmath
from profkit.report.sentences import answers
from profkit.runs import find_runs
from profkit.runs.contents import RunContents
from profkit.views.diff import compare_runs
from tests.conftest import ROOT
from tests.unit.test_cli import Capsys, run
from tests.unit.test_onednn import captured


def test_whether_bf16_was_real() -> None:
    """This CPU has no AMX: the mode is accepted, and nothing comes of it."""
    for label in ("1.13-bf16", "2.0-bf16", "2.0-bf16-frozen"):
        strict = label.replace("-bf16", "")
        (verdict,) = compare_runs(captured(strict), captured(label)).workloads[0].fpmath
        assert (verdict.mode, verdict.outcome) == ("bf16", "accepted without effect")
        assert verdict.marked_executions
        assert verdict.outputs is not None
        assert verdict.outputs.max_abs_error == 0


def test_the_fp32_twin_is_found(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert run("onednn", "traces/2.0-bf16", "--by", "kind") == 0
    assert "bf16 is accepted without effect: 4431 of 4431 oneDNN executions are marked bf16" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.fixture
def fpmath_pair(tmp_path: Path) -> tuple[Path, Path]:
    """An FP32 run and its BF16 twin, to be changed."""
    for label in ("2.0", "2.0-bf16"):
        shutil.copytree(captured(label), tmp_path / label / "resnet50")
    return tmp_path / "2.0/resnet50", tmp_path / "2.0-bf16/resnet50"


def outcome(strict: Path, run_: Path) -> tuple[str, str]:
    (found,), (twin,) = find_runs(run_), find_runs(strict)
    verdict = judge_fpmath(RunContents(twin).read(), RunContents(found).read())
    assert verdict is not None
    return verdict.outcome, "; ".join(verdict.evidence)


def test_outputs_that_moved_show_the_mode_in_effect(fpmath_pair: tuple[Path, Path]) -> None:
    path = fpmath_pair[1] / "outputs.npz"
    with np.load(path) as arrays:
        moved = {name: arrays[name] * np.float32(1.004) for name in arrays.files}
    np.savez(path, **moved)
    verdict, evidence = outcome(*fpmath_pair)
    assert verdict == "in effect"
    assert "outputs differ from FP32 (" in evidence


def test_a_log_without_the_mode_shows_it_not_accepted(fpmath_pair: tuple[Path, Path]) -> None:
    path = fpmath_pair[1] / "onednn.log.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"attr-fpmath:bf16", b"")))
    assert outcome(*fpmath_pair)[0] == "not accepted"
    assert "faster" not in outcome(*fpmath_pair)[1]


def test_the_clock_alone_shows_no_mode_where_the_outputs_are_identical(fpmath_pair: tuple[Path, Path]) -> None:
    path = fpmath_pair[1] / "profkit.json"
    described = json.loads(path.read_text())
    for round_ in described["rounds"]:
        round_["latency_ns"] = [ns // 2 for ns in round_["latency_ns"]]
    path.write_text(json.dumps(described))
    verdict, evidence = outcome(*fpmath_pair)
    assert verdict == "accepted without effect"
    assert "faster" not in evidence
    assert evidence.endswith("for another reason")
    assert "the latency differs by 2.0" in evidence
    (fpmath_pair[1] / "onednn.log.gz").rename(fpmath_pair[1] / "kept")
    assert "faster" not in outcome(*fpmath_pair)[1]
    (fpmath_pair[1] / "kept").rename(fpmath_pair[1] / "onednn.log.gz")
    (headline_, warning, *_) = answers(compare_runs(*fpmath_pair))
    assert "faster" in headline_
    assert warning.startswith("Warning: bf16 had no effect in 2.0-bf16")
    (fpmath_pair[1] / "outputs.npz").unlink()  # without outputs to compare the clock may tell
    assert outcome(*fpmath_pair)[0] == "in effect"


def test_without_a_log_nothing_is_known(fpmath_pair: tuple[Path, Path]) -> None:
    (fpmath_pair[1] / "onednn.log.gz").unlink()
    assert outcome(*fpmath_pair)[0] == "unknown"
