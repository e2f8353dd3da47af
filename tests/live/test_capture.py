"""Capturing for real: environments, workers, crashes, interruptions, and what is left on disk."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from profkit.capture.environments.environments import Environment
from profkit.report.saved import schema
from profkit.runs import find_runs
from profkit.trace.forward import find_forwards
from profkit.trace.operators import sum_operators
from profkit.trace.reading.reader import read
from tests.live.conftest import TINY, Profkit, profkit_command
from tests.live.processes import run_while_it_progresses, started, wait_while_it_progresses

Made = dict[str, Environment]
QUICK = ("--warmup", 2, "--steps", 3, "--no-onednn")
"""A capture without the pass that records oneDNN's log, which has tests of its own."""


def manifest(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "profkit.json").read_text())
    jsonschema.validate(loaded, schema("run"))
    return loaded


def traces(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pt.trace.json.gz"))


def test_the_main_job(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    words = ("capture", f"{TINY}:make", "--torch", "1.13", "--torch", "2.0", "--torch", "2.15", *QUICK)
    done = profkit(*words, "--rounds", 2)
    assert "profkit diff logs/1.13 logs/2.0" in done.stdout
    for label, version in (("1.13", "1.13.1"), ("2.0", "2.0.1"), ("2.15", "2.15.0")):
        folder = tmp_path / "logs" / label / "tiny"
        found = manifest(folder)
        assert found["status"] == "complete"
        assert found["torch"]["version"] == version
        assert [r["index"] for r in found["rounds"]] == list(range(len(found["rounds"])))
        assert len(found["rounds"]) >= 2  # a round that other work disturbs is measured again
        assert sorted(r["trace"] for r in found["rounds"]) == traces(folder)
        assert all(len(r["latency_ns"]) == len(r["profiled_ns"]) == 3 for r in found["rounds"])
        trace = read(folder / found["rounds"][0]["trace"])
        forwards = find_forwards(trace)
        assert (forwards.rule, len(forwards)) == ("annotation", 3)
        # the forwards before those that count, in each turn, are not in the trace
        every = sum_operators(trace)
        assert every.calls[0, every.keys.index(("aten::conv2d", None))] == 3
        steps = sorted(name for name in trace.names if name.startswith("ProfilerStep"))
        assert steps == ["ProfilerStep#1", "ProfilerStep#2", "ProfilerStep#3"]
        assert trace.torch_version is not None
        assert trace.torch_version.startswith(version)
        assert str(tmp_path) not in (folder / "profkit.json").read_text()
        # The annotation is around the worker's own clock, so it is never shorter, but for 1 µs of resolution at each
        # end and 0.1% between the two clocks. How much longer depends on when the machine runs something else.
        for annotation_ns, worker_ns in zip(forwards.wall_ns, found["rounds"][0]["profiled_ns"], strict=True):
            assert int(annotation_ns) >= worker_ns * 0.999 - 2_000
    rounds = [manifest(tmp_path / "logs" / v / "tiny")["rounds"] for v in ("1.13", "2.0", "2.15")]
    assert len({tuple((r["session"], r["block"]) for r in of_run) for of_run in rounds}) == 1  # by turns

    diff = json.loads(profkit("diff", "logs/1.13", "logs/2.0", "--format", "json").stdout)
    jsonschema.validate(diff, schema("diff"))
    (workload,) = diff["workloads"]
    assert workload["outputs"]["comparable"]
    assert workload["outputs"]["cosine_similarity"] > 0.999999
    assert diff["paired"]
    assert {d["field"] for d in diff["differences"] if d["expected"]} >= {"torch.version", "torch.onednn"}
    names = {o["name"] for o in workload["operators"]}
    assert {"aten::conv2d", "aten::linear", "aten::relu", "aten::mean"} <= names

    # the same again adds rounds; another configuration is refused and nothing is lost
    profkit(*words, "--rounds", 1)
    assert len(manifest(tmp_path / "logs/1.13/tiny")["rounds"]) >= 3
    before = traces(tmp_path / "logs/1.13/tiny")
    refused = profkit("capture", f"{TINY}:make", "--torch", "1.13", "--steps", 4, status=2)
    assert "settings.steps was 3, is 4" in refused.stderr
    assert traces(tmp_path / "logs/1.13/tiny") == before
    profkit("capture", f"{TINY}:make", "--torch", "1.13", "--warmup", 2, "--steps", 4, "--rounds", 1, "--overwrite")
    assert len(manifest(tmp_path / "logs/1.13/tiny")["rounds"]) <= 2


def test_the_configuration_is_real(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    workload = tmp_path / "looks.py"
    workload.write_text(
        "import os, torch\n"
        "def make():\n"
        "    names = ['DNNL_DEFAULT_FPMATH_MODE', 'ONEDNN_DEFAULT_FPMATH_MODE']\n"
        "    names += ['LRU_CACHE_CAPACITY', 'OMP_NUM_THREADS']\n"
        "    text = ' '.join(os.environ[n] for n in names) + ' %d' % torch.get_num_threads()\n"
        "    return (lambda x: torch.tensor(list(text.encode()))), torch.ones(1)\n"
    )
    profkit(
        *("capture", "looks.py:make", "--torch", "2.0", "--fpmath", "bf16", "--threads", 1),
        *("--lru-cache-capacity", 7, "--rounds", 1, *QUICK),
    )
    import numpy as np

    with np.load(tmp_path / "logs/2.0-bf16-threads1-lru7/looks/outputs.npz") as outputs:
        assert bytes(outputs["output"].astype(np.uint8)).decode() == "BF16 BF16 7 1 1"


def test_a_worker_that_dies_is_run_again_without_stacks(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    """Frozen TorchScript with stacks segfaults in 2.0.1 (pytorch#83585); the other configuration goes on."""
    done = profkit(
        *("capture", "resnet18", "--torch", "2.0", "--mode", "frozen", "--mode", "script", "--with-stack"),
        *("--rounds", 2, *QUICK),
    )
    assert "died of SIGSEGV in the profile pass" in done.stderr
    frozen = manifest(tmp_path / "logs/2.0-frozen/resnet18")
    assert frozen["status"] == "complete"
    assert len(frozen["rounds"]) >= 2
    (fallback,) = frozen["fallbacks"]  # the second round knew better
    assert fallback["instead"] == "run again without stacks"
    assert frozen["settings"]["with_stack"] is False
    script = manifest(tmp_path / "logs/2.0-script/resnet18")
    assert script["fallbacks"] == []
    assert script["settings"]["with_stack"] is True
    shown = profkit("diff", "logs/2.0-script", "logs/2.0-frozen").stdout
    assert "died of SIGSEGV" in shown
    assert "settings.with_stack" in shown


def test_one_that_keeps_dying_fails_and_the_rest_goes_on(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    words = ("capture", f"{TINY}:dying", f"{TINY}:broken", f"{TINY}:make", "--torch", "2.0", "--rounds", 1, *QUICK)
    done = profkit(*words, status=4)
    assert "2 of 3 configurations failed" in done.stderr
    assert "SIGSEGV" in done.stderr
    assert "tiny.py:broken failed at" in done.stderr
    assert "ValueError: no such weights" in done.stderr
    assert manifest(tmp_path / "logs/2.0/tiny-dying")["status"] == "failed"
    assert "Segmentation fault" in (tmp_path / "logs/2.0/tiny-dying/worker.log").read_text()
    assert manifest(tmp_path / "logs/2.0/tiny")["status"] == "complete"


def test_a_hung_worker_is_ended(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    done = profkit(*("capture", f"{TINY}:hanging", "--torch", "2.0", "--rounds", 1, "--timeout", 12, *QUICK), status=4)
    assert "hung for 12 s" in done.stderr
    assert manifest(tmp_path / "logs/2.0/tiny-hanging")["status"] == "failed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_interrupted_and_resumed(profkit: Profkit, tmp_path: Path, environments: Made, number: signal.Signals) -> None:
    words = ("capture", f"{TINY}:slow", "--torch", "2.0", "--rounds", 3, *QUICK)
    with (tmp_path / "errors").open("w+") as errors:
        with started(profkit_command(*words), tmp_path, stderr=errors) as capture:
            # a manifest is written when the first round is done, first beside the run's own folder
            wait_while_it_progresses(capture, lambda: any((tmp_path / "logs").rglob("profkit.json")))
            os.kill(capture.pid, number)
            wait_while_it_progresses(capture, lambda: capture.poll() is not None)
        errors.seek(0)
        said = errors.read()
    folder = tmp_path / "logs/2.0/tiny-slow"
    if number != signal.SIGKILL:
        assert capture.returncode == 128 + number
        assert ("interrupted" if number == signal.SIGINT else number.name) in said
        assert [path.name for path in folder.parent.iterdir()] == ["tiny-slow"]
        left = manifest(folder)
        assert (left["status"], left["reason"]) == ("failed", "interrupted")
        assert len(left["rounds"]) >= 1
    else:
        assert not folder.exists()  # nothing that is half done is believed
    profkit(*words)
    found = manifest(folder)
    assert found["status"] == "complete"
    assert len(found["rounds"]) >= 3
    assert sorted(r["trace"] for r in found["rounds"]) == traces(folder)
    assert not list(folder.parent.glob(".*"))


def test_a_version_that_does_not_exist(profkit: Profkit, tmp_path: Path) -> None:
    done = profkit("capture", "resnet50", "--torch", "9.9", status=4)
    assert "PyTorch 9.9 is not available" in done.stderr
    assert "2.15" in done.stderr
    assert not (tmp_path / "logs").exists()


def test_no_network(profkit: Profkit, tmp_path: Path) -> None:
    done = profkit(
        *("capture", "resnet50", "--torch", "2.15"),
        status=4,
        **dict.fromkeys(("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9"),  # nobody listens there
        NO_PROXY="",
        UV_HTTP_RETRIES="0",
        UV_CACHE_DIR=str(tmp_path / "uv"),
        PROFKIT_CACHE_DIR=str(tmp_path / "cache"),
    )
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(r"profkit: PyTorch 2\.15\S* cannot be downloaded: the package index cannot be reached\. ", last)
    assert "--python PATH" in last
    assert len(last) < 600
    assert not list((tmp_path / "cache" / "envs").glob("torch-*/"))


def test_a_folder_that_cannot_be_written(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    (tmp_path / "file").write_text("")
    done = profkit("capture", f"{TINY}:make", "--torch", "2.0", "--logdir", "file/logs", status=5)
    assert "cannot be written" in done.stderr


def test_a_full_disk(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", full], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        done = profkit("capture", "resnet18", "--torch", "2.0", "--logdir", full, "--rounds", 1, status=5)
        assert "No space left on device" in done.stderr
    finally:
        subprocess.run(["umount", full], check=True)


def test_compile_without_a_compiler_says_so(profkit: Profkit, environments: Made) -> None:
    words = ("capture", f"{TINY}:make", "--torch", "2.0", "--mode", "compile", "--rounds", 1, *QUICK)
    done = profkit(*words, status=4, CXX="no-such-compiler")
    assert "--mode compile needs a C++ compiler" in done.stderr
    done = profkit("capture", f"{TINY}:make", "--torch", "1.13", "--mode", "compile", "--rounds", 1, status=4)
    assert "has no torch.compile" in done.stderr


def test_compile(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    profkit(*("capture", f"{TINY}:make", "--torch", "2.15", "--mode", "compile", "--rounds", 1, *QUICK))
    assert manifest(tmp_path / "logs/2.15-compile/tiny")["status"] == "complete"


def test_an_interpreter_of_ones_own(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    python = environments["2.0"].python
    profkit(*("capture", f"{TINY}:make", "--python", python, "--rounds", 1, "--label", "mine", *QUICK))
    assert manifest(tmp_path / "logs/mine/tiny")["torch"]["version"] == "2.0.1"
    done = profkit("capture", f"{TINY}:make", "--python", tmp_path / "nothing", status=2)
    assert "is not a working Python interpreter" in done.stderr


def test_in_the_users_own_process(tmp_path: Path, environments: Made) -> None:
    """profkit.record in a script, under an interpreter that has torch; its profkit is this checkout."""
    import msgspec

    import profkit as package

    script = tmp_path / "script.py"
    script.write_text(
        "import sys, profkit\n"
        f"sys.path.insert(0, {str(TINY.parent)!r})\n"
        "import tiny\n"
        "print(profkit.record(*tiny.make(), label='mine', steps=3, warmup=2))\n"
    )
    python = environments["2.0"].python
    target = tmp_path / "site"
    version = f"msgspec=={msgspec.__version__}"
    installer = [*("uv", "pip", "install", "-q", "--python", str(python), "--target", str(target))]
    wanted = [version, "numpy<2", "filelock", "platformdirs"]
    installed = run_while_it_progresses([*installer, *wanted], tmp_path, {"PATH": bin_path()})
    assert installed.returncode == 0, installed.stderr
    paths = f"{Path(package.__file__).parent.parent}{os.pathsep}{target}"
    for rounds in (1, 2):
        done = run_while_it_progresses([python, script], tmp_path, {"PYTHONPATH": paths})
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().endswith("logs/mine/tiny")
        assert len(manifest(tmp_path / "logs/mine/tiny")["rounds"]) == rounds


def bin_path() -> str:
    import sys

    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def test_the_pass_with_onednns_log(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    # the wheel of 1.13.1 for aarch64 has no oneDNN
    old, its_onednn = ("2.0", "2.7.3") if platform.machine() == "aarch64" else ("1.13", "2.6.0")
    words = ("capture", f"{TINY}:make", "--torch", old, "--torch", "2.15", "--fpmath", "bf16", "--mode", "frozen")
    short = ("--rounds", 1, "--steps", 2, "--warmup", 2)
    profkit(*words, *short)
    for label, onednn in ((f"{old}-bf16-frozen", its_onednn), ("2.15-bf16-frozen", "3.")):
        (run,) = find_runs(tmp_path / "logs" / label)
        assert run.manifest is not None
        assert run.manifest.primitives is not None
        assert len(run.traces) == 1  # the pass's own trace is none of those that are timed
        assert not any("VERBOSE" in name for name in run.manifest.environment)
        assert run.onednn_log is not None
        before = run.onednn_log.read_bytes()
        view = json.loads(profkit("onednn", f"logs/{label}/tiny", "--warm", "--format", "json").stdout)
        assert view["onednn"].startswith(onednn)
        assert view["forwards"] == run.manifest.primitives.steps == 2
        assert view["matched"] == view["warm_records"] > 0
        assert {row["fpmath"] for row in view["primitives"]} == {"bf16"}
        text = profkit("ops", f"logs/{label}/tiny", "--with-primitives").stdout
        assert "→ convolution" in text
        profkit(*words[:2], "--torch", label.partition("-")[0], *words[6:], *short)  # more rounds: one pass is enough
        assert run.onednn_log.read_bytes() == before
        assert len(find_runs(tmp_path / "logs" / label)[0].traces) == 2
    profkit("capture", f"{TINY}:make", "--torch", "2.15", *short, "--no-onednn", "--label", "without")
    (run,) = find_runs(tmp_path / "logs/without")
    assert run.onednn_log is None
    assert "has no oneDNN log" in profkit("onednn", "logs/without/tiny", status=3).stderr


def test_a_pass_that_dies_costs_no_round(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    profkit("capture", f"{TINY}:dying_under_the_log", "--torch", "2.0", "--rounds", 1, "--steps", 2, "--warmup", 2)
    (run,) = find_runs(tmp_path / "logs/2.0")
    assert run.manifest is not None
    assert run.manifest.status == "complete"
    assert run.manifest.primitives is None
    assert any("the pass with oneDNN's log died of SIGSEGV" in text for text in run.manifest.warnings)
    assert "Fatal Python error: Segmentation fault" in (run.path / "worker.log").read_text()
    assert {path.name for path in run.path.iterdir()} == {
        "profkit.json",
        "outputs.npz",
        "worker.log",
        *(path.name for path in run.traces),
    }


def test_a_capture_that_was_killed_in_the_pass_goes_on_with_it(
    profkit: Profkit, tmp_path: Path, environments: Made
) -> None:
    words = ("capture", f"{TINY}:make", "--torch", "2.0", "--rounds", 2, "--steps", 2, "--warmup", 2)
    profkit(*words, "--no-onednn")
    folder = tmp_path / "logs/2.0/tiny"
    before = manifest(folder)
    (folder / "profkit.json").write_text(json.dumps({**before, "status": "failed", "reason": "the capture was killed"}))
    profkit(*words)
    found = manifest(folder)
    assert found["status"] == "complete"
    assert found["rounds"] == before["rounds"]
    assert found["primitives"] is not None
    assert traces(folder) == sorted(r["trace"] for r in before["rounds"])


def test_variables_that_change_what_runs_are_kept(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    for capacity in (1024, 0):
        words = ("capture", f"{TINY}:make", "--torch", "2.0", "--mode", "frozen", "--rounds", 1, "--steps", 2)
        profkit(*words, "--warmup", 2, "--label", f"c{capacity}", ONEDNN_PRIMITIVE_CACHE_CAPACITY=str(capacity))
    found = json.loads(profkit("diff", "logs/c1024", "logs/c0", "--format", "json").stdout)
    (difference,) = [d for d in found["differences"] if d["field"] == "environment.ONEDNN_PRIMITIVE_CACHE_CAPACITY"]
    assert difference["candidate"] == "0"
    primitives = found["workloads"][0]["primitives"]
    assert (primitives["baseline"]["hit_rate"], primitives["candidate"]["hit_rate"]) == (1.0, 0.0)


def test_channels_last_reaches_the_model(profkit: Profkit, tmp_path: Path, environments: Made) -> None:
    words = ("capture", f"{TINY}:channels_last", "--torch", "2.0", "--rounds", 1, "--steps", 2, "--warmup", 2)
    profkit(*words, "--no-onednn", "--channels-last")
    found = manifest(tmp_path / "logs/2.0-channels-last/tiny-channels_last")
    assert found["settings"]["channels_last"] is True
    assert found["status"] == "complete"
    assert "AssertionError" in profkit(*words, "--no-onednn", status=4).stderr
