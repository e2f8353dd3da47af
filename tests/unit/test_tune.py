"""Tuning: the candidates, planted effects under a stub torch, and what is recommended."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from profkit.capture.environments.environments import Environments
from profkit.capture.plan import Configuration, EnvironmentRequest, matrix
from profkit.capture.variables import parse_variables
from profkit.capture.workloads import resolve
from profkit.comparison.records.tune import TuneResult
from profkit.errors import CaptureError
from profkit.experiments.load.levels import usable_cores
from profkit.experiments.tune.candidates import BASELINE, Candidate, Machine, candidates, combined, options_of
from profkit.experiments.tune.serving import measure_processes
from profkit.experiments.tune.session import TunePlan, Tuning
from profkit.report.kinds import kind_of
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.runs.manifest import Host
from profkit.runs.settings import Settings, declared
from profkit.trace.options import DEFAULT
from tests.unit.load_results import example as load_example
from tests.unit.stub import Heard, write_model
from tests.unit.test_cli import run
from tests.unit.tune_results import example

SHORT = Settings(rounds=4, steps=4, warmup=2, onednn=False, timeout_s=60.0)
X86 = Machine(8, "x86_64", {"jemalloc": "libjemalloc.so.2"})
BODY = """
if "CRASH" in os.environ:
    os.abort()
time.sleep(0.04 - 0.02 * ("SHORT" in os.environ) - 0.012 * ("SHORTER" in os.environ) - 0.03 * ("WRONG" in os.environ))
if "WRONG" in os.environ:
    return torch.Tensor(x.array * [1, -2])
"""


def configured(candidate: Candidate) -> Configuration:
    varied = {name: [value] for name, value in candidate.settings.items()}
    given = {name: [value] for name, value in candidate.variables.items()}
    request = EnvironmentRequest("2.15", None, "2.15")
    (found,) = matrix([resolve("linear-stack")], [request], varied, None, Settings(), given)
    return found


def test_every_candidate_can_be_captured() -> None:
    for machine in (X86, Machine(64, "aarch64", {}), Machine(1, "x86_64", {})):
        found = candidates(machine)
        assert len({candidate.name for candidate in found}) == len(found)
        for candidate in found:
            assert candidate.source.startswith("https://")
            assert candidate.settings or candidate.variables
            for name, value in candidate.settings.items():
                declared()[name].check(value)
            parse_variables([f"{name}={value}" for name, value in candidate.variables.items()])
            assert options_of(candidate)
        labels = {configured(candidate).label for candidate in (BASELINE, *found)}
        assert len(labels) == len(found) + 1  # each is a run of its own
        values = [(c.factor, *c.settings.items(), *c.variables.items()) for c in found]
        assert len(set(values)) == len(values)
        by_factor = [candidate.factor for candidate in found]
        changes = sum(a != b for a, b in pairwise(by_factor))
        assert changes == len(set(by_factor)) - 1  # the candidates of a factor stand together


def test_what_depends_on_the_machine() -> None:
    names = {c.name: c for c in candidates(X86)}
    assert names["jemalloc as allocator"].variables == {"LD_PRELOAD": "libjemalloc.so.2"}
    assert [name for name in names if "thread" in name] == [
        *("1 thread", "4 threads", "8 threads"),
        "threads bound to processors",
    ]
    assert not any("thread" in c.name for c in candidates(Machine(1, "x86_64", {})))
    assert any("TORCH_MKLDNN_MATMUL_MIN_DIM" in c.variables for c in candidates(Machine(2, "aarch64", {})))


def test_a_combination() -> None:
    found = combined(
        [Candidate("a", "one", "", {"mode": "frozen"}), Candidate("b", "two", "", {"fpmath": "bf16"}, {"X": "1 2"})]
    )
    assert found.name == "one + two"
    assert options_of(found) == "--mode frozen --fpmath bf16 --env 'X=1 2'"


def tune(python: Path, folder: Path, names: Sequence[str], heard: Heard) -> TuneResult:
    """Tune a model that reads the variables of candidates; each is a factor of its own."""
    model = write_model(folder / "m", BODY)

    def configure(candidate: Candidate) -> Configuration:
        request = EnvironmentRequest(None, python, "stub")
        given = {name: [value] for name, value in candidate.variables.items()}
        (found,) = matrix([resolve(f"{model}:make")], [request], {}, None, SHORT, given)
        return found

    plan = TunePlan(
        configure=configure,
        candidates=[Candidate(name, f"set {name}", "https://x.org", variables={name: "1"}) for name in names],
        command="profkit capture m.py:make",
        options=SHORT,
        logdir=folder / "logs",
        disk_bytes=10**18,
        least_cosine=0.999,
        margin=0.02,
        reading=DEFAULT,
    )
    return Tuning(plan, Environments(heard.message), heard, Host(cpu="stub", cores=2)).run()


def test_planted_effects(python: Path, tmp_path: Path) -> None:
    """Two settings help and add up, one has no effect, one crashes, one is fast and wrong."""
    heard = Heard()
    found = tune(python, tmp_path, ["SHORT", "NOTHING", "CRASH", "WRONG", "SHORTER"], heard)
    by_name = {tried.factor: tried for tried in found.tried}
    assert [name for name, tried in by_name.items() if tried.is_promising] == ["SHORT", "SHORTER"]
    assert by_name["CRASH"].point.reason
    assert (by_name["WRONG"].point.over_first.verdict, by_name["WRONG"].outputs_kept) == ("faster", False)
    assert by_name["NOTHING"].point.over_first.verdict not in ("faster", "slower")
    recipe = found.recipe
    assert recipe.names == ["set SHORT", "set SHORTER"]
    assert recipe.variables == {"SHORT": "1", "SHORTER": "1"}
    assert recipe.command == "profkit capture m.py:make --env SHORT=1 --env SHORTER=1"
    assert recipe.point.over_first.verdict == "faster"
    assert [part.beside.verdict for part in found.parts] == ["faster", "faster"]
    assert found.product is not None
    together = recipe.point.over_first.speedup
    assert together is not None
    assert together > found.product  # 40 ms → 20 or 28 ms alone, 8 ms together: 2.0 x 1.4 < 5
    text = render(kind_of("tune"), found, "text", Selection())
    assert "Recommended: set SHORT + set SHORTER:" in text
    assert "Environment variables: SHORT=1 SHORTER=1" in text
    for form in ("markdown", "csv", "json", "html"):
        assert "set WRONG" in render(kind_of("tune"), found, form, Selection())
    before = {path: path.read_bytes() for path in (tmp_path / "logs").rglob("profkit.json")}
    heard.messages.clear()
    assert tune(python, tmp_path, ["SHORT", "NOTHING", "CRASH", "WRONG", "SHORTER"], heard).recipe == recipe
    assert {path: path.read_bytes() for path in before} == before


def test_when_nothing_pays(python: Path, tmp_path: Path) -> None:
    found = tune(python, tmp_path, ["NOTHING", "WRONG"], Heard())
    assert (found.recipe.names, found.recipe.point) == ([], found.baseline)
    assert "No setting is shown to make" in render(kind_of("tune"), found, "text", Selection())


def test_a_baseline_that_fails(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRASH", "1")
    with pytest.raises(CaptureError, match="stub cannot be captured: died of SIGABRT"):
        tune(python, tmp_path, ["NOTHING"], Heard())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--env", "A=1", "--env", "A=2"), "A has several values"),
        (("--only", "colour"), "no factor 'colour'"),
        (("--only", "layout", "--without", "layout"), "no candidate left to try"),
        (("--only", "layout", "--channels-last"), "no candidate left to try"),
    ],
)
def test_wrong_command_lines(words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tune", "resnet50", "--torch", "2.0", *words) == 2
    assert said in capsys.readouterr().err


def test_how_many_processes_serve_best(python: Path, tmp_path: Path) -> None:
    """A model that waits: two processes answer twice as much as one."""
    model = write_model(tmp_path / "m", "time.sleep(0.02)")
    (configuration,) = matrix([resolve(f"{model}:make")], [EnvironmentRequest(None, python, "stub")], {}, None, SHORT)
    if usable_cores(None) < 2:
        pytest.skip("one processor")
    one, two, *_ = measure_processes(configuration, SHORT, Environments(print), Heard(), duration_s=1.5)
    assert (one.processes, two.processes, one.threads) == (1, 2, usable_cores(None))
    assert two.gain is not None
    assert two.gain.verdict == "faster"
    assert 1.5 < (two.gain.speedup or 0) < 2.5


def test_the_number_of_processes_in_words() -> None:
    found = example()
    closed = [point for point in load_example().points if point.arrivals == "closed"]
    assert len(closed) > 1
    text = render(kind_of("tune"), msgspec.structs.replace(found, serving=closed), "text", Selection())
    assert "How many processes serve the recipe" in text


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([(50, None), (90, "faster")], "2 processes of 1 thread answer 90 [88, 92] requests/s: 1.80x"),
        ([(50, None), (90, "faster"), (91, "inconclusive")], "2 processes of 1 thread answer 90"),
        ([(50, None), (90, "faster"), (91, "inconclusive")], "More processes are not shown to answer more."),
        ([(50, None), (51, "inconclusive"), (90, "faster")], "4 processes of 1 thread answer 90"),
        ([(50, None), (90, "faster"), (40, "slower"), (60, "faster")], "2 processes of 1 thread answer 90"),
        (
            [(50, None), (51, "inconclusive")],
            "more processes are not shown to answer more requests than the next fewer.",
        ),
        ([(50, None)], None),
    ],
)
def test_the_throughput_in_words(points: list[tuple[float, str | None]], said: str | None) -> None:
    """The sentence names a step that is shown, not the largest figure."""
    model = next(point for point in load_example().points if point.gain is not None)
    serving = []
    for step, (value, verdict) in enumerate(points):
        before = points[step - 1][0]
        gain = None if verdict is None else msgspec.structs.replace(model.gain, verdict=verdict, speedup=value / before)
        throughput = msgspec.structs.replace(model.throughput, value=value, low=value - 2, high=value + 2)
        kept = {"processes": 2**step, "threads": 1, "throughput": throughput, "gain": gain}
        serving.append(msgspec.structs.replace(model, **kept))
    text = render(kind_of("tune"), msgspec.structs.replace(example(), serving=serving), "text", Selection())
    text = " ".join(text.split())
    assert said is None or said in text
    assert ("Throughput:" in text) == (said is not None)
