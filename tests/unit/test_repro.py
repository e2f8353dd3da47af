"""Repro: recorded calls, the script, benchdnn's commands, and the comparison of an operator alone with the model."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from profkit.capture.environments.environments import Environment, Environments
from profkit.errors import InputError
from profkit.experiments.repro import session
from profkit.experiments.repro.calls import Call, calls_of, choose_call
from profkit.experiments.repro.primitives import commands_of
from profkit.experiments.repro.script import script_of
from profkit.experiments.repro.session import outcome_of
from profkit.onednn.benchdnn import benchdnn
from profkit.runs.store import one_run
from profkit.stats.judged import Judged
from profkit.trace.options import DEFAULT
from tests.conftest import ROOT
from tests.unit.test_cli import run

OLD, NEW = ROOT / "traces/2.0", ROOT / "traces/2.15"
FIRST = "[1,3,224,224], [64,3,7,7]"
FASTER, SLOWER = Judged(verdict="faster"), Judged(verdict="slower")
SAME, OPEN = Judged(verdict="same"), Judged(verdict="inconclusive")


def test_recorded_calls() -> None:
    old, new = (calls_of(one_run(path), "aten::conv2d", DEFAULT) for path in (OLD, NEW))
    assert set(old) == set(new)
    assert len(new) > 10
    call = new[FIRST]
    assert call.dims[:2] == [[1, 3, 224, 224], [64, 3, 7, 7]]
    assert call.types[:2] == ["float", "float"]
    assert (call.values or [])[3:] == ["[2, 2]", "[3, 3]", "[1, 1]", "1"]
    assert not call.lacks_values()
    assert old[FIRST].lacks_values()  # PyTorch 2.0 records no values


def test_the_costliest_call_is_chosen_of_the_side_that_records_values() -> None:
    sides = [calls_of(one_run(path), "aten::conv2d", DEFAULT) for path in (OLD, NEW)]
    costs = {FIRST: 2.0, next(shape for shape in sides[0] if shape != FIRST): 1.0}
    assert choose_call(sides, costs, None) == sides[1][FIRST]
    assert choose_call(sides[::-1], costs, None) == sides[1][FIRST]
    assert choose_call(sides, {}, "[64, 3, 7, 7]") == sides[1][FIRST]
    with pytest.raises(InputError, match=r"no call with the shape '\[9\]'"):
        choose_call(sides, costs, "[9]")
    with pytest.raises(InputError, match="do not record the values of the arguments of aten::conv2d"):
        choose_call([sides[0], sides[0]], costs, None)


def test_what_is_not_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="records no call of aten::nothing"):
        calls_of(one_run(OLD), "aten::nothing", DEFAULT)
    path = tmp_path / "t.json"
    events = [
        {"ph": "X", "name": "aten::add", "args": args}
        for args in (None, [], {"Input Dims": 1}, {"Input Dims": [[1]], "Input type": []}, {"Input Dims": [[1]]})
    ]
    path.write_text(json.dumps({"traceEvents": events}))
    with pytest.raises(InputError, match="records no call of aten::add"):
        calls_of(one_run(path), "aten::add", DEFAULT)
    path.write_text('{"traceEvents": [{"ph"')
    with pytest.raises(InputError, match="is not a whole trace"):
        calls_of(one_run(path), "aten::add", DEFAULT)


@pytest.mark.parametrize("text", ["1", "\\", '"""', "\n", "\u2028", "r'", "@SPEC@", "{}"])
def test_the_script_holds_any_text_as_data(text: str) -> None:
    call = Call("aten::add", [[1], [1], []], ["float", "float", "Scalar"], None, ["", "", text])
    tree = ast.parse(script_of(call, 2))
    (spec,) = [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.args[0] if node.args else None, ast.Constant)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "loads"
    ]
    found = json.loads(spec)
    assert (found["values"][2], found["threads"], found["dims"]) == (text, 2, [[1], [1], []])


def test_commands_of_benchdnn() -> None:
    types = {"src": "f32", "wei": "f32", "dst": "f32"}
    assert benchdnn("convolution", "mb1_ic3", types, "bf16") == (
        "benchdnn --mode=P --conv --dir=FWD_I --dt=f32 --attr-fpmath=bf16 mb1_ic3"
    )
    assert benchdnn("matmul", "1x512:512x8", {**types, "src": "bf16"}, "fp32") == (
        "benchdnn --mode=P --matmul --dt=bf16:f32:f32 1x512:512x8"
    )
    assert benchdnn("reorder", "64x3x7x7", types, "fp32") is None
    dims = "[[1, 3, 224, 224], [64, 3, 7, 7], [], [], [], [], []]"
    found = [commands_of(one_run(path), "aten::conv2d", dims, DEFAULT) for path in (OLD, NEW)]
    problem = "mb1_ic3oc64_ih224oh112kh7sh2dh0ph3_iw224ow112kw7sw2dw0pw3"
    assert found == [[f"benchdnn --mode=P --conv --dir=FWD_I --dt=f32 {problem}"]] * 2
    assert commands_of(one_run(OLD), "aten::conv2d", "[]", DEFAULT) == []
    assert commands_of(one_run(OLD / "resnet50" / one_run(OLD).traces[0].name), "aten::conv2d", dims, DEFAULT) == []


def test_outcomes() -> None:
    expected = {
        (SLOWER, SLOWER): "reproduces",
        (FASTER, FASTER): "reproduces",
        (SLOWER, SAME): "only in context",
        (SLOWER, FASTER): "only in context",
        (SLOWER, OPEN): "inconclusive",
        (OPEN, SLOWER): "inconclusive",
        (SAME, SAME): "no change",
        (OPEN, OPEN): "inconclusive",
    }
    assert {pair: outcome_of(*pair) for pair in expected} == expected


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, python: Path) -> Path:
    """A folder in which the script is one that needs no PyTorch: it takes 1 ms under 2.0, and 2 ms under 2.15."""

    def ensure(self: Environments, request: str | None, extra: Sequence[str] = ()) -> Environment:
        folder = tmp_path / (request or "")
        if not folder.exists():
            shutil.copytree(python.parent.parent, folder, symlinks=True)
        return Environment(name=request or "", torch=request or "", python_version="3", folder=str(folder))

    script = (
        "import json, os, sys, time\n"
        "noise = 1 + (time.time_ns() % 97) / 1e4\n"
        "print(json.dumps({'ns': (2e6 if '2.15' in sys.prefix else 1e6) * noise, 'calls': 5}))\n"
        "assert os.environ['LRU_CACHE_CAPACITY'] == '1024'\n"
    )
    monkeypatch.setattr(Environments, "ensure", ensure)
    monkeypatch.setattr(session, "script_of", lambda call, threads: script)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_change_that_reproduces(timed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("repro", OLD, NEW, "--operator", "aten::conv2d", "--rounds", 5)
    assert run(*words, "--output", "found.json") == 0
    found = json.loads((timed / "found.json").read_text())
    assert found["outcome"] == "reproduces"
    assert found["alone"]["speedup"] == pytest.approx(0.5, rel=0.02)
    assert [side["torch"] for side in found["sides"]] == ["2.0.1", "2.15.0"]
    assert [round(side["alone_ns"] / 1e6) for side in found["sides"]] == [1, 2]
    assert all(side["context_ns"] > 1e5 for side in found["sides"])
    report = (timed / "repro/report.md").read_text()
    for text in ("aten::conv2d reproduces in isolation", "% slower", "2.15.0", "benchdnn --mode=P --conv", "LRU_CACHE"):
        assert text in report.replace("\\", "")
    capsys.readouterr()
    assert run("diff", OLD, NEW, "--output", "diff.json") == 0
    assert run("repro", "diff.json", "--operator", "aten::conv2d", "--shape", "[64,3,7,7]", "--rounds", 3) == 0
    assert FIRST in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((OLD, "--operator", "aten::conv2d"), 2, "name two runs, or one saved diff"),
        ((OLD, NEW, "--operator", "conv2d"), 2, "'conv2d' is not the name of an operator"),
        ((OLD, NEW, "--operator", "aten::nothing"), 3, "records no call of aten::nothing"),
        ((ROOT / "README.md", "--operator", "aten::conv2d"), 3, "is not a saved result"),
    ],
)
def test_wrong_command_lines(
    words: Sequence[object], status: int, said: str, timed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("repro", *words) == status
    assert said in capsys.readouterr().err


def test_a_script_that_fails_is_said(
    timed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "script_of", lambda call, threads: "import sys\nsys.exit('this PyTorch has none')")
    assert run("repro", OLD, NEW, "--operator", "aten::conv2d") == 4
    assert "the script failed under 2.0: this PyTorch has none" in capsys.readouterr().err
    monkeypatch.setattr(session, "script_of", lambda call, threads: "import time\ntime.sleep(60)")
    assert run("repro", OLD, NEW, "--operator", "aten::conv2d", "--timeout", "1") == 4
    assert "took longer than 1 s" in capsys.readouterr().err
