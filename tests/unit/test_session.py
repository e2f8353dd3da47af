"""Captures under a stub torch: the real worker, really crashed, hung, interrupted and killed."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from profkit.errors import UsageError
from profkit.report.manifest_facts import manifest_facts
from profkit.runs import find_runs, read_manifest
from profkit.views.operators import view_operators
from tests.unit.stub import SHORT, Heard, capture, write_model

ROOT = Path(__file__).parent.parent.parent


pytestmark = pytest.mark.usefixtures("nothing_stays")


def test_a_complete_capture(python: Path, tmp_path: Path) -> None:
    (captured,) = capture(python, [write_model(tmp_path / "m")], tmp_path / "logs")
    assert captured.failure is None
    (run,) = find_runs(tmp_path / "logs")
    manifest = run.manifest
    assert manifest is not None
    assert (manifest.status, len(manifest.rounds), manifest.fallbacks) == ("complete", 2, [])
    assert manifest.torch is not None
    assert (manifest.torch.version, manifest.torch.wheel, manifest.torch.onednn) == ("9.9.1", "stub", "3.1.4")
    assert [len(r.latency_ns) for r in manifest.rounds] == [3, 3]
    assert len({r.outputs_sha256 for r in manifest.rounds}) == 1
    for round_ in manifest.rounds:
        counters = round_.counters
        assert [len(values) for values in (counters.cpu_ns, counters.minor_faults, counters.voluntary_switches)] == [
            3
        ] * 3
        assert min(counters.voluntary_switches) >= 1  # the model sleeps
        assert 0 <= max(counters.cpu_ns) < 1e9
        assert round_.peak_memory_bytes is not None
        assert 1e6 < round_.peak_memory_bytes < 1e10
    rows = dict(manifest_facts(manifest))
    assert "CPU time per forward" in rows
    assert rows["peak memory"].endswith("MiB")
    view = view_operators(run, per_forward=True)
    assert (view.forwards.count, view.forwards.rule) == (6, "annotation")
    assert {row.name: row.calls for row in view.operators} == {"aten::conv2d": 1.0, "aten::relu": 1.0}
    assert not list((tmp_path / "logs").rglob(".*"))
    assert not (run.path / "worker.log").exists()


def test_the_pass_with_the_log_of_onednn(python: Path, tmp_path: Path) -> None:
    """What the worker prints in that pass is the log, also what C libraries print."""
    body = "os.write(1, b'onednn_verbose,info\\n') if os.environ.get('ONEDNN_VERBOSE') else None"
    settings = SHORT.changed(onednn=True)
    (captured,) = capture(python, [write_model(tmp_path / "m", body)], tmp_path / "logs", settings=settings)
    assert captured.failure is None
    assert captured.manifest is not None
    assert not any("oneDNN" in text for text in captured.manifest.warnings)
    primitives = captured.manifest.primitives
    assert primitives is not None
    assert (primitives.log, primitives.trace) == ("onednn.log.gz", "onednn.trace.json.gz")
    # 2 that warm up, 1 that warms up the profiler, 3 that are traced
    assert (primitives.warmup, primitives.steps) == (3, 3)
    assert gzip.decompress((captured.folder / primitives.log).read_bytes()) == b"onednn_verbose,info\n" * 6
    assert (captured.folder / primitives.trace).is_file()


def test_the_same_command_adds_rounds(python: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m")
    for expected in (2, 4):
        capture(python, [model], tmp_path / "logs")
        assert len(read_manifest(tmp_path / "logs/stub/model").rounds) == expected
    with pytest.raises(UsageError, match=r"another configuration: settings\.steps was 3, is 4"):
        capture(python, [model], tmp_path / "logs", settings=SHORT.changed(steps=4))
    capture(python, [model], tmp_path / "logs", settings=SHORT.changed(steps=4), overwrite=True)
    assert len(read_manifest(tmp_path / "logs/stub/model").rounds) == 2


def test_a_crash_is_tried_again_without_stacks(python: Path, tmp_path: Path) -> None:
    flag = tmp_path / "crashed"
    body = f"if call > 6 and not os.path.exists({str(flag)!r}): open({str(flag)!r}, 'w'); os.kill(os.getpid(), 11)"
    heard = Heard()
    settings = SHORT.changed(with_stack=True)
    (captured,) = capture(python, [write_model(tmp_path / "m", body)], tmp_path / "logs", heard, settings=settings)
    assert captured.failure is None
    manifest = captured.manifest
    assert manifest is not None
    assert not manifest.settings.with_stack
    (fallback,) = manifest.fallbacks
    assert (fallback.round, fallback.instead) == (0, "run again without stacks")
    assert "died of SIGSEGV" in fallback.reason
    assert "at model.py, line" in fallback.reason
    assert any("run again without stacks" in text for text in heard.messages)
    assert (captured.folder / "worker.log").is_file()


def test_a_configuration_that_fails_does_not_stop_the_others(python: Path, tmp_path: Path) -> None:
    models = [
        write_model(tmp_path / "m", "os.kill(os.getpid(), signal.SIGSEGV)", name="crash"),
        write_model(tmp_path / "m", name="sound"),
    ]
    crash, sound = capture(python, models, tmp_path / "logs")
    assert sound.failure is None
    assert crash.failure is not None
    assert crash.failure.startswith("died of SIGSEGV in the warm-up pass, at crash.py, line 7")
    assert read_manifest(tmp_path / "logs/stub/crash").status == "failed"
    assert len(read_manifest(tmp_path / "logs/stub/sound").rounds) == 2


def test_an_exception_names_its_place(python: Path, tmp_path: Path) -> None:
    (captured,) = capture(python, [write_model(tmp_path / "m", make="raise KeyError('weights')")], tmp_path / "logs")
    assert captured.failure is not None
    assert "model.py:make failed at" in captured.failure
    assert "KeyError: 'weights'" in captured.failure


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ValueError('wrong shape')", r"in the warm-up pass, at \S+/model\.py:7: ValueError: wrong shape"),
        (
            "if call > 1: raise RuntimeError('Found no NVIDIA driver on your system')",
            r"in the warm-up pass after forward 1 of 2, at .*NVIDIA driver on your system. There is no GPU here: .*",
        ),
        ("import a_missing_package", r".*No module named 'a_missing_package'. Add the package with --with"),
        ("raise MemoryError", r".*MemoryError: no message. It needs more memory than there is: .*"),
    ],
)
def test_a_forward_that_raises(python: Path, tmp_path: Path, body: str, words: str) -> None:
    (captured,) = capture(python, [write_model(tmp_path / "m", body)], tmp_path / "logs")
    assert captured.failure is not None
    assert re.fullmatch(words, captured.failure)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("return model", "model.py:make returned function. It must return (model, inputs): "),
        ("return model, 1, 'x'", "model.py:make returned a tuple of 3: function, int, str. It must return"),
        ("return ()", "model.py:make returned (). It must"),
        ("return 3, model", "model.py:make returned a tuple of 2: int, function. It must"),
        ("sys.exit('no weights')", "model.py:make failed at "),
        ("torch.cuda.synchronize(1)", "TypeError"),
    ],
)
def test_a_function_that_makes_no_model(python: Path, tmp_path: Path, make: str, words: str) -> None:
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs")
    assert captured.failure is not None
    assert words in captured.failure


def test_outputs_that_are_not_finite_are_a_warning(python: Path, tmp_path: Path) -> None:
    body = "return torch.Tensor([float('nan'), 1.0, float('-inf'), float('nan')]), torch.Tensor([1, 2])"
    (captured,) = capture(python, [write_model(tmp_path / "m", body)], tmp_path / "logs")
    assert captured.manifest is not None
    warnings = [text for text in captured.manifest.warnings if "output" in text]
    assert warnings == ["of the 6 output values, 2 are NaN and 1 infinite"]


def test_a_hang_ends_in_words(python: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m", "if call > 1: time.sleep(600)")
    (captured,) = capture(python, [model], tmp_path / "logs", settings=SHORT.changed(timeout_s=1.0))
    assert captured.failure == "hung for 1 s while in the warm-up pass after forward 1 of 2"


def test_a_real_time_signal_has_no_name(python: Path, tmp_path: Path) -> None:
    (captured,) = capture(python, [write_model(tmp_path / "m", "os.kill(os.getpid(), 40)")], tmp_path / "logs")
    assert captured.failure is not None
    assert captured.failure.startswith("died of signal 40")


def test_a_forked_child_does_not_hold_up_the_round(python: Path, tmp_path: Path) -> None:
    """It keeps the report descriptor open and would outlive the worker."""
    make = "if not os.fork():\n    time.sleep(600)\n    os._exit(0)"
    began = time.monotonic()
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs")
    assert captured.failure is None
    assert len(read_manifest(captured.folder).rounds) == 2
    assert time.monotonic() - began < 300  # the child sleeps 600 s


def test_a_child_that_outlives_a_crash_ends_too(python: Path, tmp_path: Path) -> None:
    make = f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', {str(tmp_path)!r}])\nos._exit(3)"
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs")
    assert captured.failure == "ended with status 3 while building the model"


def test_an_interrupt_files_what_is_complete(python: Path, tmp_path: Path) -> None:
    class Interrupting(Heard):
        def report(self, who: str, report: dict[str, object]) -> None:
            super().report(who, report)
            rounds = sum(r["event"] == "round" for r in self.reports)
            if rounds == 1 and report["event"] == "forward":
                raise KeyboardInterrupt

    model = write_model(tmp_path / "m")
    with pytest.raises(KeyboardInterrupt):
        capture(python, [model], tmp_path / "logs", Interrupting())
    manifest = read_manifest(tmp_path / "logs/stub/model")
    assert (manifest.status, manifest.reason, len(manifest.rounds)) == ("failed", "interrupted", 1)
    first = manifest.rounds[0]
    (captured,) = capture(python, [model], tmp_path / "logs")  # the same command goes on
    assert captured.manifest is not None
    assert (captured.manifest.status, len(captured.manifest.rounds)) == ("complete", 2)
    assert captured.manifest.rounds[0] == first


def test_a_killed_session_loses_no_round(python: Path, tmp_path: Path) -> None:
    """The parent dies of SIGKILL in the second round: the first is there at the next start, and the worker ends."""
    model = write_model(tmp_path / "m", "time.sleep(0.02)")
    script = tmp_path / "session.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.unit.stub import Heard, capture\n"
        "class Killing(Heard):\n"
        "    def report(self, who, report):\n"
        "        super().report(who, report)\n"
        "        if any(r['event'] == 'round' for r in self.reports[:-1]) and report['event'] == 'forward':\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        f"capture(Path({str(python)!r}), [Path({str(model)!r})], Path({str(tmp_path / 'logs')!r}), Killing())\n"
    )
    done = subprocess.run([sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "logs/stub/model").exists()  # a run appears whole or not at all
    (captured,) = capture(python, [model], tmp_path / "logs")
    assert captured.manifest is not None
    assert (captured.manifest.status, len(captured.manifest.rounds)) == ("complete", 2)


def test_the_model_finds_nothing_of_profkits(python: Path, tmp_path: Path) -> None:
    """Module names of profkit's files are absent or the standard library's."""
    names = ("host", "uv", "plan", "process", "measure", "weights", "modes", "describe", "reports", "build", "profkit")
    make = "import importlib.util, profile\nassert profile.run\n" + "\n".join(
        f"assert importlib.util.find_spec({name!r}) is None, {name!r}" for name in names
    )
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs")
    assert captured.failure is None


def test_nothing_around_changes_what_runs(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the current folder nor PYTHON* variables, in the worker or in what it starts."""
    here = tmp_path / "here"
    (here / "torch").mkdir(parents=True)
    for name in ("re.py", "json.py", "numpy.py", "torch/__init__.py", "sitecustomize.py"):
        (here / name).write_text("raise SystemExit('the current folder was imported')")
    monkeypatch.chdir(here)
    for name in ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME"):
        monkeypatch.setenv(name, str(here))
    monkeypatch.setenv("PYTHONTRACEMALLOC", "25")
    make = (
        "assert sys.flags.isolated\n"
        "assert not [name for name in os.environ if name.startswith('PYTHON')]\n"
        "import tracemalloc\nassert not tracemalloc.is_tracing()"
    )
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs")
    assert captured.failure is None


def test_a_model_imports_what_lies_beside_it(python: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/sibling.py").write_text("import profile\nVALUE = 7")
    make = "import sibling\nassert sibling.VALUE == 7\nassert sys.path[0] == os.path.dirname(sibling.__file__)"
    body = "assert sys.path[-1] == os.path.dirname(__file__)\nimport sibling"
    (captured,) = capture(python, [write_model(tmp_path / "m", body, make=make)], tmp_path / "logs")
    assert captured.failure is None


def test_record_in_process(python: Path, tmp_path: Path) -> None:
    """profkit.record() uses the worker's own code, and its package can be imported beside it."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests/stub_torch')!r}]\n"
        "import profkit, torch\n"
        "import profkit.capture.session\n"
        "assert profkit.capture.session.run_session\n"
        "def net(x): return torch.Tensor(x.array + 1)\n"
        f"logdir = {str(tmp_path / 'logs')!r}\n"
        "print(profkit.record(net, torch.Tensor([1.0]), name='net', logdir=logdir, steps=2, warmup=2))\n"
    )
    for rounds in (1, 2):
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        manifest = read_manifest(Path(done.stdout.strip()))
        assert (manifest.workload.source, len(manifest.rounds)) == ("process", rounds)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_files_what_is_complete(python: Path, tmp_path: Path, number: signal.Signals, status: int) -> None:
    """The command ends with the signal's status; its complete rounds are there, and the worker ends."""
    model = write_model(tmp_path / "m", "time.sleep(0.02)")
    words = ["capture", f"{model}:make", "--python", python, "--label", "stub", "--logdir", tmp_path / "logs"]
    words += ["--rounds", 50, "--steps", 3, "--warmup", 2, "--no-onednn"]
    command = [sys.executable, "-m", "profkit.cli", *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as capturing:
        while not list((tmp_path / "logs").rglob("profkit.json")):
            assert capturing.poll() is None
            time.sleep(0.05)
        capturing.send_signal(number)
        said = capturing.communicate()[1]
    assert capturing.returncode == status, said
    assert number.name in said
    manifest = read_manifest(tmp_path / "logs/stub/model")
    assert (manifest.status, manifest.reason) == ("failed", "interrupted")
    assert 1 <= len(manifest.rounds) < 50


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin processes")
def test_workers_are_pinned(python: Path, tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    body = f"assert os.sched_getaffinity(0) == {{{cpu}}}"
    settings = SHORT.changed(cpus=str(cpu))
    (captured,) = capture(python, [write_model(tmp_path / "m", body)], tmp_path / "logs", settings=settings)
    assert captured.failure is None
    assert captured.manifest is not None
    assert captured.manifest.settings.cpus == str(cpu)
    settings = SHORT.changed(cpus="0-9999")
    (captured,) = capture(python, [write_model(tmp_path / "n")], tmp_path / "other", settings=settings)
    assert captured.failure is not None
    assert captured.failure.startswith("--cpus 0-9999 is not possible: the CPUs to choose from are ")


CHANGING = {
    "LD_PRELOAD": "",
    "LD_LIBRARY_PATH": "/opt/lib",
    "GLIBC_TUNABLES": "glibc.malloc.arena_max=1",
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TORCH_MKLDNN_MATMUL_MIN_DIM": "64",
    "PYTORCH_JIT": "0",
    "KMP_BLOCKTIME": "1",
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "0",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_PRIMITIVE_CACHE_CAPACITY": "7",
    "KMP_VERBOSE": "1",
    "CXX": "clang++",
}


def test_every_variable_that_changes_what_runs_reaches_the_worker_and_is_compared(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CHANGING.items():
        monkeypatch.setenv(name, value)
    make = f"for name, value in {CHANGING!r}.items(): assert os.environ[name] == value, name"
    model = write_model(tmp_path / "m", make=make)
    (captured,) = capture(python, [model], tmp_path / "logs", settings=SHORT.changed(rounds=1))
    assert captured.failure is None
    assert read_manifest(captured.folder).environment.items() >= CHANGING.items()
    for name in CHANGING:
        with monkeypatch.context() as patch:
            patch.delenv(name)
            with pytest.raises(UsageError, match=rf"environment\.{name} was"):
                capture(python, [model], tmp_path / "logs")
