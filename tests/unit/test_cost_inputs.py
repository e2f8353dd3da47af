"""What profkit cost is given: prices, a recommender's file, the machine of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from profkit.capture.host import check_instance_type, describe_host, find_instance_type
from profkit.errors import InputError, ProfkitError, UsageError
from profkit.report.kinds import cost
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.runs import find_runs
from profkit.views.cost import view_cost
from profkit.views.prices import known_prices, parse_prices, read_prices
from profkit.views.recommender import read_recommendations
from tests.builders import add_run
from tests.unit.stub import write_model
from tests.unit.test_cli import Capsys, run

STEADY = (10.0, 10.01, 9.99)  # medians of three rounds (ms)


# Prices


def test_the_order_of_prices(tmp_path: Path) -> None:
    """--price by label, by type; the file by label, by type; the manifest; the table of profkit."""
    path = add_run(tmp_path, "mine", STEADY, instance_type="c7g.4xlarge", price_per_hour=0.4)
    prices = tmp_path / "prices.json"

    def found(*given: str, listed: dict[str, float] | None = None) -> tuple[float, str]:
        rows = [{"name": name, "usd_per_hour": usd} for name, usd in (listed or {}).items()]
        prices.write_text(json.dumps({"prices": rows}))
        price = view_cost([path], given, prices).runs[0].price
        return price.usd_per_hour, price.origin

    both = {"mine": 0.3, "c7g.4xlarge": 0.2, "another": 9}
    assert found("c7g.4xlarge=0.1", "mine=0.5", listed=both) == (0.5, "--price")
    assert found("c7g.4xlarge=0.1", listed=both) == (0.1, "--price")
    assert found(listed=both) == (0.3, "--prices")
    assert found(listed={"c7g.4xlarge": 0.2}) == (0.2, "--prices")
    assert found() == (0.4, "manifest")
    plain = add_run(tmp_path, "plain", STEADY, instance_type="c7g.4xlarge")
    assert view_cost([plain]).runs[0].price == known_prices()["c7g.4xlarge"]


def test_the_shipped_prices_are_dated_and_marked() -> None:
    prices = known_prices()
    assert {name: price.usd_per_hour for name, price in prices.items()} == {
        "c5.4xlarge": 0.68,
        "c6i.4xlarge": 0.68,
        "c6a.4xlarge": 0.612,
        "c6g.4xlarge": 0.544,
        "c7g.4xlarge": 0.58,
    }
    assert [name for name, price in prices.items() if price.verified] == ["c5.4xlarge"]
    assert all(price.date and price.source for price in prices.values())


def test_one_label_on_two_machines(tmp_path: Path) -> None:
    """The default label is the PyTorch version: two machines have the same."""
    for machine in ("c5.4xlarge", "c7g.4xlarge"):
        add_run(tmp_path / machine, "2.0", STEADY, instance_type=machine)
    report = view_cost([tmp_path / "c5.4xlarge", tmp_path / "c7g.4xlarge"], ["c5.4xlarge=1", "2.0 on c7g.4xlarge=0.5"])
    assert [found.label for found in report.runs] == ["2.0 on c5.4xlarge", "2.0 on c7g.4xlarge"]
    assert [found.price.usd_per_hour for found in report.runs] == [1, 0.5]
    text = render(cost.KIND, report, "text", Selection())
    assert "c7g.4xlarge is cheapest: $1.39 per million inferences, 50.0% cheaper than c5.4xlarge [" in text
    other = view_cost([tmp_path], baseline=tmp_path / "c7g.4xlarge")
    assert other.baseline == "2.0 on c7g.4xlarge"


def test_a_label_that_names_its_own_machine_is_clear(tmp_path: Path) -> None:
    path = add_run(tmp_path, "c7g.4xlarge", STEADY, instance_type="c7g.4xlarge")
    assert view_cost([path], ["c7g.4xlarge=0.5"]).runs[0].price.usd_per_hour == 0.5


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        (["c5"], "--price 'c5' is not NAME=USD. Write NAME=USD, in US dollars per hour"),
        (["=1"], "is not NAME=USD"),
        (["c5=cheap"], "--price 'c5=cheap': 'cheap' is not a number"),
        (["c5="], "'' is not a number"),
        (["c5=0"], "--price 'c5=0' is not a price: it must be above 0"),
        (["c5=-1"], "it must be above 0"),
        (["c5=nan"], "not finite"),
        (["c5=inf"], "not finite"),
        (["c5=1e9"], "it is above 1,000,000"),
        (["c5=1", "c5=2"], "--price: c5 has two prices: 1 and 2. Give one price for each name."),
        (["c6=1"], "--price c6: no run has this label or instance type. Labels: c5, other. Instance types: m7g.large."),
        ([], "no price is known for c5 (on an unknown machine), other (on m7g.large)"),
        ([], "Add --price c5=USD --price m7g.large=USD, in US dollars per hour"),
        (["c5=1"], "no price is known for other (on m7g.large). Add --price m7g.large=USD,"),
    ],
)
def test_wrong_prices_are_refused_in_words(tmp_path: Path, prices: list[str], words: str) -> None:
    runs = [add_run(tmp_path, "c5", STEADY), add_run(tmp_path, "other", STEADY, instance_type="m7g.large")]
    with pytest.raises(UsageError) as error:
        view_cost(runs, prices)
    assert words in str(error.value)


def test_a_label_and_another_machine_of_one_name(tmp_path: Path) -> None:
    runs = [
        add_run(tmp_path, "c5.4xlarge", STEADY, instance_type="c7g.4xlarge"),
        add_run(tmp_path, "two", STEADY, instance_type="c5.4xlarge"),
    ]
    words = r"'c5.4xlarge' is the label of a run and the instance type of others \(two\)"
    with pytest.raises(UsageError, match=words):
        view_cost(runs, ["c5.4xlarge=1"])
    listed = tmp_path / "prices.json"
    listed.write_text('{"prices": [{"name": "c5.4xlarge", "usd_per_hour": 1}]}')
    with pytest.raises(UsageError, match=words):
        view_cost(runs, price_file=listed)


def test_manifests_that_record_different_prices(tmp_path: Path) -> None:
    runs = [add_run(tmp_path, "a", STEADY, workload=name, price_per_hour=usd) for name, usd in (("x", 1.0), ("y", 2.0))]
    with pytest.raises(UsageError, match="the runs of a record different prices per hour: 1 and 2"):
        view_cost(runs)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no JSON", "is not a price file: "),
        ("[]", "is not a price file: Expected `object`"),
        ('{"prices": [{"name": "a"}]}', "missing required field `usd_per_hour` - at `$.prices[0]`"),
        ('{"prices": [{"name": "a", "usd_per_hour": 0}]}', "`$.prices[0].usd_per_hour`"),
        ('{"prices": [{"name": "a", "usd_per_hour": -1}]}', "`$.prices[0].usd_per_hour`"),
        ('{"prices": [{"name": "a", "usd_per_hour": "1"}]}', "`$.prices[0].usd_per_hour`"),
        ('{"prices": [{"name": "a", "usd_per_hour": 1, "date": "May"}]}', "`$.prices[0].date`"),
        ('{"prices": [{"name": "a", "usd_per_hour": 1, "verifed": false}]}', "unknown field `verifed`"),
        (
            '{"prices": [{"name": "a", "usd_per_hour": 1}, {"name": "a", "usd_per_hour": 2}]}',
            "a has two prices: 1 and 2",
        ),
        ("[" * 100_000, "is not a price file: "),
    ],
)
def test_price_files_that_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(ProfkitError) as error:
        read_prices(path)
    assert str(path) in str(error.value)
    assert words in str(error.value)


def test_a_price_file_says_where_a_price_is_from(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    row = {"name": "a", "usd_per_hour": 1.5, "date": "2026-01-31", "source": "a list", "verified": False}
    path.write_text(json.dumps({"prices": [row]}))
    price = read_prices(path)["a"]
    assert (price.usd_per_hour, price.origin, price.date, price.source) == (1.5, "--prices", "2026-01-31", "a list")
    assert not price.verified


def test_too_large_a_price_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_bytes(b" " * (5 << 20))
    with pytest.raises(InputError, match="larger than 4 MiB"):
        read_prices(path)
    with pytest.raises(InputError, match="larger than 4 MiB"):
        read_recommendations(path)


def test_a_name_may_hold_the_sign() -> None:
    assert parse_prices(["a=b=0.5"])["a=b"].usd_per_hour == 0.5


# The recommender's file


def job(*entries: dict[str, Any]) -> dict[str, Any]:
    """A made response, of the shape that the service publishes."""
    return {
        "JobName": "made-up",
        "JobType": "Default",
        "Status": "COMPLETED",
        "CreationTime": "2026-01-31T10:00:00+00:00",
        "InputConfig": {"ModelPackageVersionArn": "arn:aws:sagemaker:xx:000000000000:model-package/m/1"},
        "InferenceRecommendations": list(entries),
    }


def recommendation(name: str, **metrics: Any) -> dict[str, Any]:
    return {
        "RecommendationId": "made-up/1",
        "Metrics": metrics,
        "EndpointConfiguration": {
            "EndpointName": "e",
            "VariantName": "v",
            "InstanceType": name,
            "InitialInstanceCount": 1,
        },
        "ModelConfiguration": {"EnvironmentParameters": []},
    }


PUBLISHED = job(
    recommendation(
        "ml.c7g.4xlarge",
        CostPerHour=0.72,
        CostPerInference=1e-6,
        MaxInvocations=12_000,
        ModelLatency=20_000,
        CpuUtilization=98.5,
        MemoryUtilization=float("nan"),
    ),
    {
        "Metrics": {"CostPerHour": float("nan"), "CostPerInference": "NaN", "MaxInvocations": 600},
        "EndpointConfiguration": {
            "EndpointName": "e",
            "VariantName": "v",
            "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
        },
        "ModelConfiguration": {},
    },
)


def test_what_a_recommender_published(tmp_path: Path) -> None:
    """0.72 dollars an hour at 12,000 a minute are 200 a second at 0.0002 a second: a dollar per million."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps(PUBLISHED))
    assert "NaN" in path.read_text()
    first, second = read_recommendations(path)
    assert (first.name, first.instances, first.usd_per_hour) == ("ml.c7g.4xlarge", 1, 0.72)
    assert (first.per_second, first.latency_ns) == (200.0, 20e6)
    assert first.usd_per_million == pytest.approx(1.0)
    assert (second.name, second.usd_per_hour, second.usd_per_million) == ("serverless, 2048 MB", None, None)
    assert (second.per_second, second.latency_ns) == (10.0, None)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("no JSON", "is not a file of recommendations: Expecting value"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "holds no InferenceRecommendations"),
        ('{"Status": "FAILED"}', "holds no InferenceRecommendations (the status of the job is FAILED)"),
        ('{"InferenceRecommendations": 3}', "`$.InferenceRecommendations`"),
        ('{"InferenceRecommendations": [{}]}', "`EndpointConfiguration` - at `$.InferenceRecommendations[0]`"),
        (json.dumps(job(recommendation("a", CostPerHour=-1))), "at $.InferenceRecommendations[0].Metrics.CostPerHour"),
        (json.dumps(job(recommendation("a", ModelLatency=1e300))), "[0].Metrics.ModelLatency"),
        (json.dumps(job(recommendation("a", MaxInvocations="many"))), "[0].Metrics.MaxInvocations"),
        (json.dumps(job(recommendation("a", CostPerInference=[1]))), ".Metrics.CostPerInference`"),
        (json.dumps(job(recommendation("a" * 300))), "InstanceType"),
        ("[" * 100_000, "nested too deeply"),
        ('{"InferenceRecommendations": ' + "9" * 5000 + "}", "is not a file of recommendations"),
    ],
)
def test_recommendations_that_are_refused(tmp_path: Path, document: str, words: str) -> None:
    path = tmp_path / "job.json"
    path.write_text(document)
    with pytest.raises(InputError) as error:
        read_recommendations(path)
    assert str(path) in str(error.value)
    assert words in str(error.value)


def test_recommendations_are_about_one_workload(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(PUBLISHED))
    for name in "xy":
        add_run(tmp_path / "logs", "a", STEADY, workload=name)
    with pytest.raises(UsageError, match=r"the runs have 2 workloads, and .* is about one of them"):
        view_cost([tmp_path / "logs"], ["a=1"], recommender=path)


# The machine of a run


@pytest.mark.parametrize(
    ("vendor", "product", "found"),
    [
        ("Amazon EC2", "c7g.4xlarge", "c7g.4xlarge"),
        ("Amazon EC2", "c6g.metal", "c6g.metal"),
        ("Amazon EC2", "u-12tb1.112xlarge", "u-12tb1.112xlarge"),
        ("Xen", "HVM domU", None),
        ("Amazon EC2", "Not Specified", None),
        ("Amazon EC2", "", None),
        ("QEMU", "c7g.4xlarge", None),
        ("Google", "Google Compute Engine", None),
        (None, None, None),
    ],
)
def test_the_instance_type_in_the_firmware(tmp_path: Path, vendor: str | None, product: str | None, found: str) -> None:
    for name, text in (("sys_vendor", vendor), ("product_name", product)):
        if text is not None:
            (tmp_path / name).write_text(f"{text}\n")
    assert find_instance_type(tmp_path) == found


def test_an_instance_type_that_is_given_counts() -> None:
    assert describe_host(check_instance_type("n2-standard-16")).instance_type == "n2-standard-16"
    for name in ("", "a b", "a=b", "\x1b[31m", "a" * 101):
        with pytest.raises(UsageError, match="is not the name of an instance type"):
            check_instance_type(name)


def test_a_capture_records_the_instance_type_that_is_given(python: Path, tmp_path: Path, capsys: Capsys) -> None:
    """The real command and worker: continued without a name it stays, with another one it is refused."""
    model, logs = write_model(tmp_path), tmp_path / "logs"
    capture = ["capture", f"{model}:make", "--python", python, "--logdir", logs, "--label", "a", "--quiet"]
    capture += ["--rounds", "2", "--steps", "2", "--warmup", "1", "--no-onednn"]
    assert run(*capture) == 0
    (found,) = find_runs(logs)
    assert found.manifest is not None
    assert found.manifest.host.instance_type == find_instance_type()
    assert run(*capture, "--instance-type", "c7g.4xlarge") == 0  # known from now on
    assert run(*capture) == 0
    (found,) = find_runs(logs)
    assert found.manifest is not None
    assert (found.manifest.host.instance_type, len(found.manifest.rounds)) == ("c7g.4xlarge", 6)
    capsys.readouterr()
    assert run(*capture, "--instance-type", "m7g.4xlarge") == 2
    assert "host.instance_type was c7g.4xlarge, is m7g.4xlarge" in capsys.readouterr().err
    assert run(*capture, "--instance-type", "m7g.4xlarge", "--dry-run") == 2
    assert view_cost([logs]).runs[0].price == known_prices()["c7g.4xlarge"]
