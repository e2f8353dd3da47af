"""The command line: exit statuses, words, and what goes where."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from profkit.cli.main import COMMANDS, group, main
from tests.conftest import ROOT, event

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("NO_COLOR", "1")


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["diff", "traces/1.13", "traces/2.0"], 0, ""),
        (["diff", "traces/1.13"], 2, "there is no candidate"),
        (["dif"], 2, "Did you mean diff?"),
        (["diff", "traces/1.13", "nowhere"], 3, "nowhere: no such file or folder"),
        (["diff", "traces/1.13", "tests/unit"], 3, "no trace in this folder"),
        (["ops", "traces"], 2, "holds 10 runs"),
        (["ops", "traces/2.0", "--filter", "zzz"], 2, "no operator matches"),
        (["ops", "LICENSE"], 3, "is not valid JSON"),
        (["info", "traces/2.0", "--output", "/nowhere/x.txt"], 5, "cannot write"),
        (["compare", "traces", "--filter", "zzz"], 2, "no run matches"),
        (["info", "traces/2.0", "--filter", "zzz"], 2, "no trace matches"),
        (["onednn", "traces/2.0", "--filter", "zzz", "--format", "json"], 2, "no primitive matches"),
        (["render", "tests/golden/diff.json", "--filter", "zzz"], 2, "no operator matches"),
        (["render", "tests/golden/diff.json", "--sort", "time"], 2, "Orders: change, speedup, self,"),
        (["diff", "traces/1.13", "traces/2.0", "-o", "x.png"], 2, "a picture needs --plot"),
        (["diff", "traces/1.13", "traces/2.0", "-o", "x.xyz"], 2, "is not that of a known format"),
        (["diff", "traces/1.13", "traces/2.0", "--plot", "icicle"], 2, "needs a file to go to"),
        (["diff", "traces/1.13", "traces/2.0", "--plot", "icicle", "-o", "x.json"], 2, "is written as .png"),
        (
            ["render", "tests/golden/diff.json", "--plot", "heatmap", "-o", "x.svg"],
            2,
            "diff/2 has no picture 'heatmap'",
        ),
        (["ops", "traces/2.0", "-o", "x.svg"], 2, "a picture needs --plot"),
        (["compare", "traces/2.0"], 2, "only one run"),
        (["cost", "traces/1.13", "traces/2.0"], 2, "no price is known for 1.13 (on an unknown machine), 2.0 (on an"),
        (["cost", "traces/2.0", "--price", "2.0=free"], 2, "'free' is not a number"),
        (["cost", "traces/2.0", "--price", "2.0=1", "--prices", "LICENSE"], 3, "LICENSE: is not a price file: "),
        (["cost", "traces/2.0", "--price", "2.0=1", "--recommender", "LICENSE"], 3, "is not a file of recommendations"),
        (["cost", "traces/2.0", "--price", "2.0=1"], 0, ""),
        (["onednn", "traces"], 2, "holds 10 runs"),
        (["lanes", "traces/1.13", "traces/2.0", "-o", "/nowhere/x.json.gz"], 5, "/nowhere/x.json.gz: cannot write"),
        (["onednn", "traces/2.0", "--merge", "/nowhere/x.json.gz"], 5, "/nowhere/x.json.gz: cannot write"),
        (["workloads", "zzz"], 2, "no workload matches 'zzz'"),
        (["lanes", "traces", "traces/2.0"], 2, "holds 10 runs"),
        (["capture", "resnet5O", "--torch", "2.0"], 2, "Did you mean resnet50"),
        (["capture", "resnet50", "--torch", "newest"], 2, "is not a PyTorch version"),
        (["capture", "resnet50", "--instance-type", "a b"], 2, "'a b' is not the name of an instance type"),
        (["capture"], 2, "Missing argument 'WORKLOAD...'"),
        (["envs", "remove", "nothing"], 2, "no environment 'nothing'"),
        (["envs", "remove", "../envs"], 2, "no environment"),
        (["schema", "diff"], 0, ""),
        (["workloads", "vit"], 0, ""),
    ],
)
def test_exit_status_and_one_short_paragraph(words: list[str], status: int, complaint: str, capsys: Capsys) -> None:
    assert run(*words) == status
    out, err = capsys.readouterr()
    assert complaint in err
    assert "Traceback" not in err
    assert len(err) < 600
    assert bool(out) == (status == 0)


def test_output_is_written_whole_and_by_its_name(tmp_path: Path, capsys: Capsys) -> None:
    for suffix, start in ((".json", "{"), (".md", "## "), (".csv", "workload,"), (".txt", "1.13 → 2.0")):
        path = tmp_path / f"diff{suffix}"
        assert run("diff", "traces/1.13", "traces/2.0", "-o", path) == 0
        assert path.read_text().startswith(start)
    assert capsys.readouterr().out == ""
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".csv", ".json", ".md", ".txt"]


def test_debug_shows_the_traceback() -> None:
    command = [sys.executable, "-m", "profkit.cli", "diff", "nowhere", "nowhere", "--debug"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr


def test_columns_counts_in_a_pipe(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, fits in (("70", True), ("", False), ("none", False)):
        monkeypatch.setenv("COLUMNS", columns)
        assert run("diff", "traces/2.0-frozen", "traces/2.15-frozen", "--by", "shape") == 0
        assert (max(map(len, capsys.readouterr().out.splitlines())) <= 70) is fits


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m profkit.cli ops traces/2.0 --top 0 --by shape | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_odd_places_to_write_and_read(tmp_path: Path) -> None:
    """Whatever the reason, one paragraph: a file for a folder, a full pipe, an encoding without µ, odd file names."""
    command = f"{sys.executable} -m profkit.cli"
    (tmp_path / "file").write_text("")
    odd = os.fsencode(tmp_path) + b"/od\xff d.json"
    Path(os.fsdecode(odd)).write_text('{"traceEvents": [{"ph": "X", "cat": "cpu_op", "name": "a", "dur": 1}]}')
    for line, status in (
        (f"{command} ops traces/2.0 -o {tmp_path}/file/x.txt", 5),
        (f"{command} ops traces/2.0 > /dev/full", 5),
        (f"PYTHONIOENCODING=ascii {command} ops traces/2.0", 0),
        (f"{command} ops {tmp_path}/od*.json --format json", 0),
    ):
        done = subprocess.run(["bash", "-c", line], capture_output=True, check=False)
        assert done.returncode == status, line
        assert b"Traceback" not in done.stderr, line


def test_a_filter_counts_in_every_format(capsys: Capsys) -> None:
    assert run("ops", "traces/2.0", "--filter", "conv2d", "--format", "json") == 0
    assert [o["name"] for o in json.loads(capsys.readouterr().out)["operators"]] == ["aten::conv2d"]
    assert run("diff", "traces/1.13", "traces/2.0", "--top", 2, "--format", "json") == 0
    assert len(json.loads(capsys.readouterr().out)["workloads"][0]["operators"]) == 2
    assert run("diff", "traces/1.13", "traces/2.0", "--filter", "zzz", "--format", "csv") == 2


def number_options() -> list[tuple[str, str, bool]]:
    """Every option that takes a number: its command, its name, and whether the number is whole."""
    found = []
    for name, command in all_commands():
        for parameter in command.params:
            if isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType):
                found.append((name, parameter.opts[0], isinstance(parameter.type, click.types.IntParamType)))
    return found


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "1e400", "-1", "1e300", "9" * 30, "x", "1_0e", ""])
def test_numbers_that_are_none_are_status_2(value: str, capsys: Capsys) -> None:
    checked = 0
    for name, option, whole in number_options():
        if option in ("--top", "--port") and value == "9" * 30:
            continue  # a number of rows may be of any size; a port is checked below
        context = click.Context(group)
        command = group.get_command(context, name.split()[0])
        assert command is not None
        words = [name, *["x"] * sum(isinstance(p, click.Argument) for p in command.params), f"{option}={value}"]
        assert run(*words) == 2, (words, whole)
        said = capsys.readouterr().err
        assert option in said
        assert "Traceback" not in said
        checked += 1
    assert checked >= 20
    assert run("view", "x", "--port", "65536") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["capture", "resnet50", "--timeout", "inf"], "must be a finite number, not inf"),
        (["capture", "resnet50", "--until", "nan"], "must be a finite number, not nan"),
        (["capture", "resnet50", "--steps", "3000000000"], "must be at most 2147483647"),
        (["diff", "a", "b", "--margin", "nan"], "'nan' is not a finite number"),
        (["ops", "a", "--memory-limit", "inf"], "inf is not in the range"),
        (["diff", "traces/1.13", "traces/2.0", "--fail-if", "latency > nan%"], "is not a gate rule"),
        (["diff", "traces/1.13", "traces/2.0", "--fail-if", "latency > inf ms"], "is not a gate rule"),
        (["diff", "traces/1.13", "traces/2.0", "--fail-if", f"latency > {'9' * 400}ms"], "the limit is too large"),
    ],
)
def test_what_is_wrong_with_a_number(words: list[str], said: str, capsys: Capsys) -> None:
    assert run(*words) == 2
    assert said in capsys.readouterr().err


def all_commands() -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", c) for sub, c in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), all_commands())
def test_every_command_helps_with_an_example(name: str, command: click.Command, capsys: Capsys) -> None:
    assert run(*name.split(), "--help") == 0
    shown = capsys.readouterr().out
    assert command.help
    if " " not in name:
        assert f"profkit {name}" in shown.partition("Example")[2]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts} says nothing"


def test_tab_completion() -> None:
    def complete(*words: str) -> str:
        variables = {"_PROFKIT_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words)}
        variables |= {"COMP_CWORD": str(len(words) - 1)}
        script = Path(sys.executable).with_name("profkit")
        return subprocess.run(
            [script], env={**os.environ, **variables}, capture_output=True, text=True, check=True
        ).stdout

    assert "plain,diff" in complete("profkit", "d")
    assert "plain,resnet50" in complete("profkit", "capture", "resnet5")
    assert "plain,2.0" in complete("profkit", "capture", "resnet50", "--torch", "2.0")
    assert "plain,c7g.4xlarge=0.58" in complete("profkit", "cost", "logs", "--price", "c7")
    assert "plain,c7g.4xlarge" in complete("profkit", "capture", "resnet50", "--instance-type", "c7")
    assert "plain,--per-forward" in complete("profkit", "ops", "--per")


def test_nothing_heavy_is_imported_for_help() -> None:
    code = "import sys; from profkit.cli.main import group; print([m for m in sys.modules if m in sys.argv])"
    heavy = ["numpy", "pandas", "rich", "msgspec", "torch"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_needs_no_pandas_and_no_torch() -> None:
    code = (
        "import sys; from profkit.cli.main import main\n"
        "try: main(['diff', 'traces/1.13', 'traces/2.0', '--format', 'json'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('pandas', 'torch', 'resvg_py', 'jinja2') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["schema"] == "diff/2"
    assert done.stderr.strip() == "[]"


def test_the_interface_for_programs() -> None:
    import profkit

    (path,) = sorted(Path("traces/2.0").rglob("*.pt.trace.json.gz"))[:1]
    assert len(profkit.load(path).trace.operator_events) > 1000
    assert profkit.diff("traces/1.13", "traces/2.0").record.workloads[0].name == "resnet50"
    for name in profkit.__all__:
        assert inspect.getdoc(getattr(profkit, name)), name


def test_workloads_as_any_other_result(tmp_path: Path, capsys: Capsys) -> None:
    saved = tmp_path / "workloads.json"
    assert run("workloads", "vit_b_*", "--output", saved) == 0
    found = json.loads(saved.read_text())
    assert (found["schema"], [w["name"] for w in found["workloads"]]) == ("workloads/1", ["vit_b_16", "vit_b_32"])
    capsys.readouterr()
    assert run("render", saved, "--format", "csv", "--filter", "32") == 0
    assert capsys.readouterr().out == "name,source,task\nvit_b_32,torchvision,image-classification\n"
    assert run("workloads", "--output", tmp_path / "page.html", "-q") == 0
    assert "wide_resnet50_2" in (tmp_path / "page.html").read_text()


def test_a_path_is_shown_without_control_characters(write_trace: Callable[..., Path], capsys: Capsys) -> None:
    path = write_trace([event("aten::mm", 10, 5, 1)], name="\u202egnp.json")
    assert run("export", path, "--parquet", path.parent / "tables") == 0
    assert run("repair", path, path.with_name("\u202emended.json")) == 0
    out = capsys.readouterr().out
    assert "\u202e" not in out
    assert out.count(r"\u202e") == 5  # four tables, and the trace that was repaired
