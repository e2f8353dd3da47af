"""What inference costs: prices, throughput, relative costs and p90 per machine, and a recommender's figures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest

from profkit.comparison.cost import cost_per_million, one_stream
from profkit.comparison.records.cost import Throughput
from profkit.comparison.records.parts import Latency, TimeInterval
from profkit.errors import UsageError
from profkit.report.kinds import cost
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import make_page, make_picture, render
from profkit.report.saved import schema
from profkit.runs import find_runs
from profkit.views.cost import view_cost
from profkit.views.many import compare_many
from tests.builders import add_run
from tests.conftest import ROOT
from tests.unit.test_cli import Capsys, run
from tests.unit.test_cost_inputs import PUBLISHED, STEADY


@pytest.fixture
def machines(tmp_path: Path) -> list[Path]:
    """A c5 that takes about 10 ms and a c7g that takes about 5 ms, with enough forwards for p90."""
    return [
        add_run(tmp_path, "c5", STEADY, forwards=40, instance_type="c5.4xlarge", name="one"),
        add_run(tmp_path, "c7g", (5.0, 5.005, 4.995), forwards=40, instance_type="c7g.4xlarge", name="two"),
    ]


def test_a_price_over_a_throughput() -> None:
    """0.36 dollars an hour are 0.0001 a second; 10 ms are 100 inferences a second: a dollar per million."""
    wall = Latency(p50_ns=10e6, p90_ns=None, p99_ns=None, mean_ns=10e6, n=1)
    assert one_stream(wall, 1).per_second == 100.0
    assert cost_per_million(0.36, one_stream(wall, 1)).usd == pytest.approx(1.0, rel=1e-12)
    assert cost_per_million(0.36, one_stream(wall, 8)).usd == pytest.approx(0.125, rel=1e-12)


def test_the_interval_of_a_cost_is_that_of_the_time() -> None:
    interval = TimeInterval(low_ns=8e6, high_ns=12.5e6)
    wall = Latency(p50_ns=10e6, p90_ns=None, p99_ns=None, mean_ns=10e6, n=9, p50_interval=interval)
    throughput = one_stream(wall, 1)
    assert (throughput.low, throughput.high) == (80.0, 125.0)
    amount = cost_per_million(0.36, throughput)
    assert (amount.low, amount.high) == (pytest.approx(0.8), pytest.approx(1.25))


def test_a_throughput_that_is_not_one_over_a_latency() -> None:
    """Many streams: 1,000 a second on a machine of 3.60 dollars are a dollar per million."""
    amount = cost_per_million(3.6, Throughput(per_second=1000.0, low=500.0, high=2000.0))
    assert (amount.usd, amount.low, amount.high) == (pytest.approx(1.0), pytest.approx(0.5), pytest.approx(2.0))
    assert cost_per_million(3.6, Throughput(per_second=None)).usd is None


def test_costs_by_hand(machines: list[Path]) -> None:
    """10 ms at 0.36 cost 1 dollar; 5 ms at 0.54 cost 0.75: a quarter less."""
    report = view_cost(machines, ["c5.4xlarge=0.36", "c7g.4xlarge=0.54"])
    (first,), (second,) = (found.entries for found in report.runs)
    assert first.amount.usd == pytest.approx(1.0, rel=1e-4)
    assert second.amount.usd == pytest.approx(0.75, rel=1e-4)
    assert second.cost.relative == pytest.approx(0.75, rel=1e-4)
    assert second.cost.verdict == "cheaper"
    assert second.cost.low is not None
    assert second.cost.high is not None
    assert second.cost.low < 0.75 < second.cost.high < 1
    assert first.cost.relative == 1.0
    assert first.cost.verdict is None
    assert report.cheapest == ["c7g"]


def test_with_equal_prices_it_is_compare(machines: list[Path]) -> None:
    report = view_cost(machines, ["c5=0.5", "c7g=0.5"])
    overview = compare_many(machines)
    (entry,), (judged,) = report.runs[1].entries, overview.runs[1].entries
    assert judged.speedup is not None
    assert judged.low is not None
    assert judged.high is not None
    assert entry.cost.relative == 1 / judged.speedup
    assert (entry.cost.low, entry.cost.high) == (1 / judged.high, 1 / judged.low)
    assert (entry.cost.p_value, entry.cost.q_value) == (judged.p_value, judged.q_value)
    assert (judged.verdict, entry.cost.verdict) == ("faster", "cheaper")
    assert entry.wall == judged.wall


def test_twice_the_price_is_twice_the_cost_and_the_interval(machines: list[Path]) -> None:
    one, two = (view_cost(machines, ["c5=0.5", f"c7g={usd}"]).runs[1].entries[0].cost for usd in (0.5, 1.0))
    for field in ("relative", "low", "high"):
        assert getattr(two, field) == pytest.approx(2 * getattr(one, field))
    assert two.verdict == "the same"  # half the time at twice the price, within 2%


@pytest.mark.parametrize(
    ("usd", "rounds", "verdict"),
    [
        (0.9, STEADY, "cheaper"),
        (1.0, STEADY, "the same"),
        (1.2, STEADY, "more expensive"),
        (1.0, (8.0, 10.0, 12.5), "cannot tell"),
    ],
)
def test_verdicts(tmp_path: Path, usd: float, rounds: Sequence[float], verdict: str) -> None:
    runs = [add_run(tmp_path, "a", STEADY), add_run(tmp_path, "b", rounds)]
    assert view_cost(runs, ["a=1", f"b={usd}"]).runs[1].entries[0].cost.verdict == verdict


def test_the_margin(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, label, STEADY) for label in "ab"]
    verdicts = [view_cost(runs, ["a=1", "b=1.04"], margin=m).runs[1].entries[0].cost.verdict for m in (0.02, 0.05)]
    assert verdicts == ["more expensive", "the same"]


def test_a_single_round_decides_nothing(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, "a", [10.0]), add_run(tmp_path, "b", [5.0])]
    report = view_cost(runs, ["a=1", "b=1"])
    found = report.runs[1].entries[0]
    assert (found.cost.verdict, found.cost.low, found.amount.low) == ("cannot tell", None, None)
    assert found.cost.relative == pytest.approx(0.5)
    assert report.cheapest == ["b", "a"]


def test_a_batch_is_several_inferences(tmp_path: Path) -> None:
    """Ten at a time in 50 ms are 5 ms each: half the cost of 10 ms each; the latency is five times as long."""
    runs = [
        add_run(tmp_path, "one", STEADY, forwards=40),
        add_run(tmp_path, "ten", [5 * ms for ms in STEADY], forwards=40, batch=10),
    ]
    report = view_cost(runs, ["one=0.36", "ten=0.36"])
    (entry,) = report.runs[1].entries
    assert entry.throughput.per_second == pytest.approx(200, rel=1e-3)
    assert entry.cost.relative == pytest.approx(0.5)
    assert entry.p90 is not None
    assert entry.p90.relative == pytest.approx(5.0)
    assert any("the batch sizes differ (one 1, ten 10)" in text for text in report.warnings)


def test_p90_relative_to_the_baseline(machines: list[Path]) -> None:
    report = view_cost(machines)
    (first,), (second,) = (found.entries for found in report.runs)
    assert first.p90 is not None
    assert second.p90 is not None
    assert (first.p90.relative, first.p90.verdict) == (1.0, None)
    assert second.p90.relative == pytest.approx(0.5)
    assert second.p90.verdict == "faster"
    assert report.p90_missing is None


def test_p90_with_too_few_forwards(tmp_path: Path) -> None:
    report = view_cost([add_run(tmp_path, "a", STEADY), add_run(tmp_path, "b", STEADY)], ["a=1", "b=1"])
    assert [entry.p90 for found in report.runs for entry in found.entries] == [None, None]
    assert report.p90_missing is not None
    assert "too few forwards for p90" in report.p90_missing
    assert report.p90_missing in render(cost.KIND, report, "text", Selection())
    with pytest.raises(UsageError, match="no p90 to draw: too few forwards"):
        make_picture(cost.KIND, report, "p90")
    assert len(make_page(cost.KIND, report).sections[0].blocks) == 1  # the picture of the costs alone


def test_the_geometric_mean_is_over_what_all_runs_have(tmp_path: Path) -> None:
    """Half and an eighth are together a quarter; a workload that one run lacks is not in it."""
    for label, factor in (("a", {"x": 1, "y": 1, "z": 1}), ("b", {"x": 0.5, "y": 0.125}), ("c", {"x": 1, "y": 1})):
        for name, share in factor.items():
            add_run(tmp_path, label, [ms * share for ms in STEADY], workload=name)
    report = view_cost([tmp_path], ["a=1", "b=1", "c=1"])
    assert report.shared == ["x", "y"]
    assert report.runs[1].mean.relative == pytest.approx(0.25)
    assert report.runs[1].mean.verdict == "cheaper"
    assert report.cheapest == ["b"]
    text = render(cost.KIND, report, "text", Selection())
    assert "b is cheapest: 75.0% cheaper than a [" in text
    assert "] over 2 workloads." in text
    assert "not captured" in text
    assert "Geometric mean of relative costs" in text


def test_no_workload_in_common(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, "a", STEADY, workload="x"), add_run(tmp_path, "b", STEADY, workload="y")]
    report = view_cost(runs, ["a=1", "b=2"])
    assert (report.shared, report.cheapest) == ([], [])
    assert report.runs[1].entries[0].amount.usd == pytest.approx(2 * (report.runs[0].entries[0].amount.usd or 0))
    assert report.runs[1].mean.relative is None
    for form in ("text", "markdown", "csv", "html"):
        assert render(cost.KIND, report, form, Selection())
    assert "no workload in common" in render(cost.KIND, report, "text", Selection())


def test_a_slow_model_has_a_throughput(tmp_path: Path) -> None:
    """24 s a forward are 0.0417 a second; at 0.36 dollars an hour a million cost 2,400."""
    report = view_cost([add_run(tmp_path, "a", [24_000.0, 24_000.0])], ["a=0.36"])
    text = render(cost.KIND, report, "text", Selection())
    assert " 0.0417 " in text
    assert "$2,400.00 per million inferences" in text


def test_one_run_has_a_cost_too(tmp_path: Path) -> None:
    report = view_cost([add_run(tmp_path, "a", STEADY)], ["a=0.36"])
    assert "a: $1.00 per million inferences." in render(cost.KIND, report, "text", Selection())


def test_an_unverified_price_is_marked_wherever_it_is_shown(machines: list[Path]) -> None:
    report = view_cost(machines)
    assert [found.price.verified for found in report.runs] == [True, False]
    for form in ("text", "markdown"):
        lines = render(cost.KIND, report, form, Selection()).splitlines()
        shown = [line for line in lines if "0.58" in line and "Warning" not in line]
        assert len(shown) >= 3  # the answer, the costs, the prices
        assert all("unverified" in line for line in shown)
    (warning,) = report.warnings
    assert warning.startswith("unverified prices per hour (from memory: ")
    assert "2026-11-26): c7g.4xlarge $0.58; --price" in warning
    rows = list(csv.DictReader(io.StringIO(render(cost.KIND, report, "csv", Selection()))))
    assert [row["price_verified"] for row in rows] == ["True", "False"]
    figure = make_picture(cost.KIND, report, "cost").figure
    marks = figure.draw(1000).marks
    assert ">c5.4xlarge</text>" in marks
    assert ">* c7g.4xlarge</text>" in marks
    assert "* unverified price" in marks
    assert "unverified" in render(cost.KIND, report, "html", Selection())
    given = view_cost(machines, ["c7g.4xlarge=0.58"])
    assert "unverified" not in render(cost.KIND, given, "text", Selection())


def test_published_costs_are_beside_the_runs_and_marked(tmp_path: Path, machines: list[Path]) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(PUBLISHED))
    report = view_cost(machines, ["c5=0.72", "c7g=0.72"], recommender=path)
    assert [entry.relative for entry in report.published] == [pytest.approx(0.5, rel=1e-3), None]
    text = render(cost.KIND, report, "text", Selection())
    rows = [line for line in text.splitlines() if "recommender" in line and "published" in line]
    assert len(rows) == 4  # two entries, in the table of costs and in that of latencies
    assert any("ml.c7g.4xlarge" in row and "$0.72" in row and "200.0" in row and "$1.00" in row for row in rows)
    assert "published: by Amazon SageMaker Inference Recommender, not measured here" in text
    table = list(csv.DictReader(io.StringIO(render(cost.KIND, report, "csv", Selection()))))
    assert [row["published"] for row in table] == ["", "", "recommender", "recommender"]
    assert table[2]["model_latency_ns"] == "20000000"
    picture = make_picture(cost.KIND, report, "cost")
    assert ">ml.c7g.4xlarge, published</text>" in picture.figure.draw(1000).marks
    assert "ml.c7g.4xlarge, published: 0.50;" in f"{picture.figure.description};"  # without an interval
    only = cost.KIND.select(report, Selection(pattern="serverless"))
    assert ([entry.name for entry in only.published], only.runs) == (["serverless, 2048 MB"], [])
    for form in ("text", "markdown", "csv", "json", "html"):
        assert render(cost.KIND, report, form, Selection(pattern="serverless"))


def test_json_fits_its_schema(machines: list[Path], capsys: Capsys) -> None:
    assert run("cost", *machines, "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema("cost"))
    assert document == json.loads(render(cost.KIND, view_cost(machines), "json", Selection()))


def test_the_command(machines: list[Path], tmp_path: Path, capsys: Capsys) -> None:
    assert run("cost", *machines, "--price", "c5=0.36", "--price", "c7g.4xlarge=0.54") == 0
    out = capsys.readouterr().out
    assert "c7g.4xlarge is cheapest: $0.75 per million inferences, 25.0% cheaper than c5.4xlarge [" in out
    assert "one request at a time" in out
    assert run("cost", *machines, "--sort", "cost", "--top", "1", "--format", "csv") == 0
    assert [row["run"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == ["c7g"]
    assert run("cost", *machines, "--filter", "c5.4x", "--format", "csv") == 0
    assert [row["run"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == ["c5"]
    assert run("cost", *machines, "--filter", "zzz") == 2
    assert run("cost", *machines, "--price", "c5=x") == 2
    assert run("cost", *machines, "--prices", tmp_path / "nowhere") == 3
    assert run("cost", *machines, "--recommender", tmp_path / "nowhere") == 3
    saved = tmp_path / "cost.json"
    assert run("cost", *machines, "--output", saved, "--quiet") == 0
    capsys.readouterr()
    assert run("render", saved) == 0
    again = capsys.readouterr().out
    assert run("cost", *machines) == 0
    assert capsys.readouterr().out == again


def test_a_narrow_text(machines: list[Path]) -> None:
    from profkit.report.formats.text import render_text

    text = render_text(cost.document(view_cost(machines), Selection()), width=80)
    assert max(map(len, text.splitlines())) <= 80


def test_a_trace_without_a_manifest_is_a_batch_of_one(tmp_path: Path) -> None:
    path = add_run(tmp_path, "a", STEADY)
    (path / "profkit.json").unlink()
    (found,) = find_runs(path)
    report = view_cost([path], [f"{found.label}=0.36"])
    assert report.runs[0].entries[0].batch == 1
    assert any("a batch of 1 is assumed" in text for text in report.warnings)
    assert any("includes the profiler's time" in text for text in report.warnings)


def test_the_repository_s_runs() -> None:
    """The cost of each is its latency in compare times the price."""
    paths = [ROOT / "traces/1.13", ROOT / "traces/2.0-frozen"]
    report = view_cost(paths, ["1.13=0.36", "2.0-frozen=0.36"])
    for found in report.runs:
        (entry,) = found.entries
        assert entry.amount.usd == pytest.approx(0.36 / 3600 * entry.wall.p50_ns / 1e9 * 1e6)
    (entry,), (judged,) = report.runs[1].entries, compare_many(paths).runs[1].entries
    assert judged.speedup is not None
    assert entry.cost.relative == 1 / judged.speedup
