"""Every kind of result behaves alike: the same formats, the same selection, the same errors."""

from __future__ import annotations

import csv
import io
import json
import pkgutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from profkit.capture.machine import inspect_machine
from profkit.errors import InputError, UsageError
from profkit.report import kinds
from profkit.report.kinds import MODULES, kind_of, kind_of_schema
from profkit.report.kinds.kind import Kind, Selection, header_of
from profkit.report.rendering import FORMATS, make_picture, render
from profkit.report.saved import load, schema
from profkit.runs import find_runs
from profkit.runs.contents import RunContents
from profkit.views.cost import view_cost
from profkit.views.diff import compare_runs
from profkit.views.information import describe_run
from profkit.views.many import compare_many
from profkit.views.operators import view_operators
from profkit.views.primitives import view_primitives
from profkit.views.sweep import view_sweep
from profkit.views.workloads import list_workloads
from tests.builders import add_run
from tests.conftest import ROOT
from tests.unit import fleet_results
from tests.unit.bisect_results import example as bisect_example
from tests.unit.load_results import example as load_example
from tests.unit.repro_results import example as repro_example
from tests.unit.tune_results import example as tune_example

TRACES = ROOT / "traces"
OLD = ROOT / "tests/data/saved/diff-1-with-kernels.json"


@dataclass
class Example:
    """A result of a kind; ``rows`` returns the names of its rows, ``part`` is in some of these names only."""

    kind: Kind
    value: Any
    rows: Callable[[Any], Sequence[str]]
    part: str


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Example]:
    (run,) = find_runs(TRACES / "2.0")
    (bf16,) = find_runs(TRACES / "2.0-bf16")
    assert run.manifest is not None
    manifest = run.manifest
    some = manifest.rounds[0].trace
    logs = tmp_path_factory.mktemp("logs")
    for label in ("1.13", "2.0", "2.0-frozen"):  # with enough forwards for the picture of p90
        add_run(logs, label, (10.0, 10.1, 9.9), forwards=40)
    comparison = compare_runs(TRACES / "1.13", TRACES / "2.0")
    found = [
        Example(kind_of("run"), manifest, lambda v: [r.trace for r in v.rounds], some),
        Example(kind_of("operators"), view_operators(run), lambda v: [o.name for o in v.operators], "conv"),
        Example(kind_of("diff"), comparison, lambda v: [o.name for o in v.workloads[0].operators], "conv"),
        Example(kind_of("compare"), compare_many([TRACES]), lambda v: [r.label for r in v.runs], "frozen"),
        Example(
            kind_of("cost"),
            view_cost([logs], ["1.13=0.58", "2.0=0.58", "2.0-frozen=0.58"]),
            lambda v: [r.label for r in v.runs],
            "frozen",
        ),
        Example(
            kind_of("primitives"),
            view_primitives(RunContents(bf16)),
            lambda v: [f"{p.kind} {p.problem}" for p in v.primitives],
            "convolution",
        ),
        Example(kind_of("info"), describe_run(run), lambda v: [t.file for t in v.traces], some),
        Example(kind_of("workloads"), list_workloads(), lambda v: [w.name for w in v.workloads], "vit"),
        Example(
            kind_of("sweep"),
            view_sweep(TRACES, ["1.13", "2.0-frozen", "2.15-frozen"], ["resnet50"]),
            lambda v: [p.label for w in v.workloads for p in w.points],
            "frozen",
        ),
        Example(kind_of("bisect"), bisect_example(), lambda v: [t.label for t in v.tests], "2.1"),
        Example(kind_of("tune"), tune_example(), lambda v: [t.name for t in v.tried], "frozen"),
        Example(kind_of("repro"), repro_example(), lambda v: [s.label for s in v.sides], "2.8"),
        Example(kind_of("load"), load_example(), lambda v: [p.name for p in v.points], "/s"),
        Example(kind_of("index"), fleet_results.overview(), lambda v: [e.label for e in v.entries], "frozen"),
        Example(kind_of("query"), fleet_results.answer(), lambda v: [r[0] for r in v.rows], "frozen"),
        Example(kind_of("history"), fleet_results.history(), lambda v: [s.name for s in v.series], "resnet"),
        Example(kind_of("ranks"), fleet_results.ranks(), lambda v: [j.workload for j in v.jobs], "resnet"),
        Example(kind_of("machine"), inspect_machine("host", "cpu"), lambda v: [f.name for f in v.findings], "other"),
    ]
    return {example.kind.name: example for example in found}


@pytest.fixture(params=MODULES)
def example(request: pytest.FixtureRequest, examples: dict[str, Example]) -> Example:
    return examples[request.param]


def test_every_file_of_the_package_is_registered() -> None:
    files = {module.name for module in pkgutil.iter_modules(kinds.__path__)} - {"kind"}
    assert files == set(MODULES.values())


def test_every_format_shows_every_kind(example: Example) -> None:
    texts = {form: render(example.kind, example.value, form, Selection()) for form in FORMATS}
    names = example.rows(example.value)
    assert len(names) > 1
    assert texts["html"].startswith("<!doctype html>")
    document = json.loads(texts["json"])
    assert document["schema"] == example.kind.schemas[0]
    jsonschema.validate(document, schema(example.kind.name))
    header, *rows = csv.reader(io.StringIO(texts["csv"]))
    assert tuple(header) == header_of(example.kind, example.value)
    assert len(rows) == len(names)
    assert {len(row) for row in rows} == {len(header)}
    for form in ("text", "markdown"):
        assert names[-1].split()[-1].replace("_", "") in texts[form].replace("\\", "").replace("_", "")


def test_a_saved_result_is_shown_as_it_was(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(render(example.kind, example.value, "json", Selection()))
    kind, value = load(path)
    assert kind is example.kind
    for form in ("text", "markdown", "csv", "json"):
        assert render(kind, value, form, Selection()) == render(example.kind, example.value, form, Selection())


def test_a_filter_keeps_the_matching_rows(example: Example) -> None:
    chosen = example.rows(example.kind.select(example.value, Selection(pattern=example.part)))
    every = example.rows(example.value)
    assert 0 < len(chosen) < len(every)
    assert all(example.part in name for name in chosen)


def test_a_filter_that_matches_nothing_is_a_usage_error_in_every_format(example: Example) -> None:
    for form in FORMATS:
        with pytest.raises(UsageError, match="matches 'zzz'"):
            render(example.kind, example.value, form, Selection(pattern="zzz"))
    for picture in example.kind.pictures:
        with pytest.raises(UsageError, match="matches 'zzz'"):
            make_picture(example.kind, example.value, picture, Selection(pattern="zzz"))


def test_an_unknown_order_is_a_usage_error_that_names_the_orders(example: Example) -> None:
    for form in FORMATS:
        with pytest.raises(UsageError) as caught:
            render(example.kind, example.value, form, Selection(sort="zzz"))
        assert all(order in caught.value.hint for order in example.kind.orders)


def test_the_default_order_is_the_order_of_the_result(example: Example) -> None:
    assert example.rows(example.kind.select(example.value, Selection())) == example.rows(example.value)


def test_top_cuts_the_rows_and_the_text_says_so(example: Example) -> None:
    names = example.rows(example.value)
    chosen = example.kind.select(example.value, Selection(top=1))
    assert example.rows(chosen) == names[:1]
    note = f"{len(names) - 1} more {example.kind.rows}: --top 0 shows them all"
    assert note in render(example.kind, example.value, "text", Selection(top=1))
    assert "--top 0" not in render(example.kind, example.value, "text", Selection())
    rows = list(csv.reader(io.StringIO(render(example.kind, example.value, "csv", Selection(top=1)))))
    assert len(rows) == 2


def test_names_are_sorted(example: Example) -> None:
    names = example.rows(example.kind.select(example.value, Selection(sort="name")))
    if example.kind.name == "primitives":  # sorted by the whole description, which begins with the kind
        names = [name.split()[0] for name in names]
    assert list(names) == sorted(names)


def test_every_picture_of_every_kind(example: Example) -> None:
    for name in example.kind.pictures:
        picture = make_picture(example.kind, example.value, name)
        assert picture.title
        for width in (380, 720, 1040):
            drawing = picture.figure.draw(width)
            assert drawing.height > 60
            assert drawing.width == width
            root = ElementTree.fromstring(f"<svg>{drawing.marks}</svg>")
            words = "".join(root.itertext())
            assert picture.figure.description.split(": ")[-1].split()[0] in words
            assert "nan" not in drawing.marks.lower().split()
    with pytest.raises(UsageError, match="has no picture 'zzz'"):
        make_picture(example.kind, example.value, "zzz")


def numbers(value: Any) -> Iterable[float]:
    if isinstance(value, int | float):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from numbers(item)


def test_floats_in_files_have_twelve_digits(examples: dict[str, Example]) -> None:
    diff = examples["diff"]
    exact = list(numbers(msgspec.to_builtins(diff.value)))
    written = list(numbers(json.loads(render(diff.kind, diff.value, "json", Selection()))))
    assert written != exact
    assert written == [float(f"{value:.12g}") if isinstance(value, float) else value for value in exact]


def test_a_result_of_an_older_schema_is_read() -> None:
    """diff/1 called primitives kernels, and its verdict same meant that nothing was shown."""
    kind, value = load(OLD)
    text = render(kind, value, "text", Selection())
    assert "oneDNN per warm forward" in text
    assert '"primitives": {' in render(kind, value, "json", Selection())
    assert '"kernels"' not in render(kind, value, "json", Selection())


def test_an_older_manifest_is_read() -> None:
    path = TRACES / "2.0/resnet50/profkit.json"
    assert json.loads(path.read_bytes())["schema"] == "run/1"
    kind, value = load(path)
    assert (kind.name, value.schema) == ("run", "run/2")  # type: ignore[attr-defined]
    assert "onednn.log.gz" in render(kind, value, "text", Selection())


@pytest.mark.parametrize("name", ["diff/9", "diff", "", "zzz/1"])
def test_unknown_schemas(name: str, tmp_path: Path) -> None:
    assert kind_of_schema(name) is None
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"schema": name}))
    with pytest.raises(InputError, match="which is not known"):
        load(path)


def test_the_registry_imports_nothing_heavy() -> None:
    code = (
        "import sys; from profkit.report.kinds import MODULES, kind_of; list(map(kind_of, MODULES))\n"
        "print([m for m in ('numpy', 'scipy', 'pandas', 'resvg_py', 'jinja2', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_comparison_that_lacks_the_kind_of_its_wall_times_is_shown(tmp_path: Path) -> None:
    document = json.loads((ROOT / "tests/data/saved/compare-1.json").read_text(encoding="utf-8"))
    name = document["workloads"][0]
    del document["walls"][name]
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(document))
    texts = {form: render(*load(path), form, Selection()) for form in FORMATS}
    assert f"{name}: wall time\n" in texts["text"]
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert {row["wall"] for row in rows if row["workload"] == name} == {""}


@pytest.mark.parametrize("path", sorted((ROOT / "tests/data/saved").iterdir()), ids=lambda path: path.name)
def test_results_of_older_schemas_are_read(path: Path) -> None:
    """Saved before oneDNN executions were called primitives: diff/1, compare/1, operators/1, info/1 with run/1."""
    kind, value = load(path)
    for form in FORMATS:
        assert render(kind, value, form, Selection())
    if kind.name == "operators":
        assert value.operators[0].primitives  # type: ignore[attr-defined]  # the record of this kind has them
    if kind.name == "compare":
        verdicts = {entry.verdict for run in value.runs for entry in run.entries}  # type: ignore[attr-defined]
        assert verdicts == {None, "faster"}


def test_a_comparison_of_nothing_is_not_one(examples: dict[str, Example], tmp_path: Path) -> None:
    """Results that fit the schema's types, but that no comparison gives, are refused where they are read."""
    document = json.loads(render(examples["diff"].kind, examples["diff"].value, "json", Selection()))
    (workload,) = document["workloads"]
    operator = {**workload["operators"][0], "baseline": None, "candidate": None}
    path = tmp_path / "diff.json"
    for workloads, words in (([], "length >= 1"), ([{**workload, "operators": [operator]}], "an operator needs times")):
        path.write_text(json.dumps({**document, "workloads": workloads}))
        with pytest.raises(InputError, match=words):
            load(path)


def test_arrivals_and_a_rate_that_do_not_fit_together_are_shown() -> None:
    """A saved file may say so; a table's rows have its columns all the same."""
    found = load_example()
    points = [msgspec.structs.replace(p, rate_per_s=None if p.rate_per_s else 3.0) for p in found.points]
    mixed = msgspec.structs.replace(found, points=points)
    for form in FORMATS:
        assert render(kind_of("load"), mixed, form, Selection())
