"""The fuzz campaign: some hundred mutations of every input without a fault, and the campaign's own tools."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from profkit.report.kinds import kind_of
from tests.conftest import ROOT, event, trace_json
from tests.fuzz import bases, cache_entries, campaign, runner, same_trace
from tests.fuzz.check import check_contract, check_csv, check_html, check_json, check_output, check_text
from tests.fuzz.child import run_trial
from tests.fuzz.invoke import Outcome, invoke
from tests.fuzz.json_text import Members, Raw, dump, parse
from tests.fuzz.kinds import KINDS
from tests.fuzz.plan import SHARES, tasks
from tests.fuzz.reference import check_reference, expected
from tests.fuzz.results import append, distinct_faults, load, table
from tests.fuzz.saved import schema_of
from tests.fuzz.trial import differences

MUTATIONS = 220  # about 15 s on a quiet machine of two processors
GOLDEN = json.loads((ROOT / "tests/golden/diff.json").read_text(encoding="utf-8"))
NO_DATA = '<script type="application/json" id="data">{}</script>'


def test_no_mutation_has_a_fault() -> None:
    """If this fails, run the command that it names: it shows the fault, and keeps the input."""
    results = campaign.run(list(tasks(MUTATIONS, ())), seed=0)
    assert len(results) == MUTATIONS
    verdicts = Counter(result["verdict"] for result in results)
    assert verdicts["fault"] == 0, f"{table(results)}\n{distinct_faults(results)}"
    assert min(verdicts["answer"], verdicts["refused"]) > MUTATIONS // 10  # neither check is idle


@pytest.mark.parametrize("kind", SHARES)
def test_seed_kind_and_number_determine_a_mutation(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    found = []
    for seed in (5, 5, 6):
        result = run_trial(seed, kind, 1, tmp_path)
        files = [path for path in (tmp_path / "trial").rglob("*") if path.is_file()]
        contents = {path.relative_to(tmp_path): path.read_bytes() for path in files}
        found.append((contents, result["base"], result["changes"], result["verdict"]))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]


def test_every_kind_has_its_share_from_the_beginning_on() -> None:
    assert KINDS.keys() == SHARES.keys()
    assert sum(SHARES.values()) == 100
    assert Counter(kind for kind, _ in tasks(100, ())) == SHARES
    assert {kind for kind, _ in tasks(30, ())} >= {"traces", "logs", "saved", "manifests"}
    some = list(tasks(50, ()))
    assert some == list(tasks(100, ()))[:50]
    assert len(set(some)) == 50
    assert list(tasks(3, ("logs",))) == [("logs", 0), ("logs", 1), ("logs", 2)]


class CountingRunner:
    """Stands for the children: answers at once, and counts."""

    asked: list[tuple[str, int]] = []

    def __init__(self, seed: int) -> None:
        self.seed, self.inputs = seed, Path("nowhere")

    def __enter__(self) -> CountingRunner:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def run(self, kind: str, number: int) -> dict[str, Any]:
        self.asked.append((kind, number))
        return result_of(kind, number, seed=self.seed)


def result_of(kind: str, number: int, *sorts: str, seed: int = 0, **more: Any) -> dict[str, Any]:
    found = {"seed": seed, "kind": kind, "number": number, "base": "b", "changes": [], "message": "", "seconds": 0.5}
    faults = [{"sort": sort, "what": "w"} for sort in sorts]
    return {**found, "bytes": 3 << 20, "verdict": "fault" if sorts else "answer", "faults": faults, **more}


def test_an_interrupted_campaign_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "Runner", CountingRunner)
    monkeypatch.setattr(CountingRunner, "asked", [])
    to = tmp_path / "results.jsonl"
    wanted = list(tasks(6, ("logs",)))
    campaign.run(wanted[:2], 3, to)
    append(to, result_of("logs", 4, seed=8))  # of another campaign
    with to.open("ab") as stream:
        stream.write(b'{"seed": 3, "kind": "logs", "num')  # killed here
    CountingRunner.asked.clear()
    results = campaign.run(wanted, 3, to)
    assert sorted(CountingRunner.asked) == wanted[2:]
    assert [(result["kind"], result["number"]) for result in results] == wanted
    assert sorted(result["number"] for result in load(to, 3)) == [0, 1, 2, 3, 4, 5]
    assert len(load(to)) == 7


def test_the_table_and_the_list_of_faults() -> None:
    results = [
        result_of("traces", 0, "exception: KeyError in a.py:f", "hang in b"),
        result_of("traces", 1, "exception: TypeError in a.py:g", seconds=2.0),
        result_of("logs", 7, verdict="refused", bytes=None),
    ]
    assert table(results).splitlines()[2:] == [
        "| traces | 2 | 0 | 0 | 2 | exception 2, hang 1 | 2.0 | 3 |",
        "| logs | 1 | 0 | 1 | 0 | none | 0.5 | 0 |",
        "| all | 3 | 0 | 1 | 2 | exception 2, hang 1 | 2.0 | 3 |",
    ]
    listed = distinct_faults(results)
    assert "1 × hang in b (traces)" in listed
    assert "python -m tests.fuzz.campaign --seed 0 --kind traces --number 1 --keep FOLDER" in listed


@pytest.mark.parametrize(
    ("code", "sort"),
    [("import time; time.sleep(99)", "hang in no code of profkit"), ("import os; os.abort()", "killed: status -6")],
)
def test_a_child_that_hangs_or_dies_is_a_fault(code: str, sort: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PATIENCE", 0.5)

    def start(self: runner.Runner) -> subprocess.Popen[bytes]:
        (self.scratch / "stacks.txt").write_text("")
        words = [sys.executable, "-c", code]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    monkeypatch.setattr(runner.Runner, "_start", start)
    with runner.Runner(0) as children:
        result = children.run("logs", 1)
    assert result["verdict"] == "fault"
    assert result["faults"][0]["sort"].startswith(sort)


def outcome(
    out: str = "", err: str = "", status: int | None = 0, words: tuple[str, ...] = ("ops",), **more: str
) -> Outcome:
    return Outcome(words, status, out, err, **more)


@pytest.mark.parametrize(
    ("found", "sort"),
    [
        (outcome(status=None, origin="KeyError in x.py:f"), "exception: KeyError in x.py:f"),
        (outcome(status=1, err="gate"), "status 1"),
        (outcome(status=3), "refused without a message"),
        (outcome(status=3, err="x" * 2001), "message too long"),
        (outcome(status=3, err="a\x1b[31m"), "control character on standard error"),
        (
            outcome(err="/r/profkit/a.py:7: RuntimeWarning: overflow\n"),
            "Python warning on standard error: RuntimeWarning in profkit/a.py",
        ),
    ],
)
def test_a_broken_contract_is_seen(found: Outcome, sort: str) -> None:
    assert [fault.sort[: len(sort)] for fault in check_contract(found)] == [sort]
    assert list(check_contract(outcome(status=3, err="profkit: a.json: is empty.\n"))) == []


OPERATOR = {"name": "a", "calls": 1, "self_host_ns": 5, "total_host_ns": 5, "self_device_ns": 0, "total_device_ns": 0}


def operators_json(**changes: Any) -> str:
    document = {
        "schema": "operators/1",
        "source": "s",
        "torch": None,
        "per_forward": False,
        "forwards": {"count": 1, "rule": "step", "wall_ns": [5]},
        "resolution_ns": 1,
        "operators": [{**OPERATOR, **changes}],
        "anomalies": {},
        "repairs": [],
    }
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        (operators_json(self_host_ns=-5), "output that its schema refuses"),
        (operators_json(self_host_ns=6), "self host time above total"),
        (operators_json(self_device_ns=1), "self device time above total"),
        (operators_json(calls=0), "an operator without calls"),
        (operators_json(calls="x"), "output that its schema refuses"),
        (operators_json(total_host_ns=float("nan")), "not JSON"),
        (operators_json().replace('"count": 1', '"count": 2'), "sums do not add up: forwards"),
        (operators_json()[:-1], "not JSON"),
        ('{"schema": "fuzz/1"}', "output without a known schema"),
    ],
)
def test_wrong_numbers_in_json_are_seen(text: str, sort: str) -> None:
    assert sort in [fault.sort for fault in check_json(text)]
    assert list(check_json(operators_json())) == []


def test_sums_of_a_comparison_are_checked() -> None:
    assert list(check_json(json.dumps(GOLDEN))) == []
    wrong = json.loads(json.dumps(GOLDEN))
    wrong["workloads"][0]["attribution"]["outside_operators_ns"] += 1
    wrong["workloads"][0]["forward"]["low"] = 99
    assert [fault.sort for fault in check_json(json.dumps(wrong))] == [
        "sums do not add up: attribution",
        "a speedup outside its interval",
    ]


@pytest.mark.parametrize(
    ("page", "sort"),
    [
        ("<p><fuzz onload=fuzz></p>", "markup not escaped in HTML"),
        ("<p onclick=x>a</p>", "markup not escaped in HTML"),
        ("<!--fuzz -->", "markup not escaped in HTML"),
        ("<a href='javascript:fuzz'>a</a>", "markup not escaped in HTML"),
        ("<p>a\u202e</p>", "control character in HTML"),
        ("<td>nan ms</td>", "NaN or infinity shown"),
    ],
)
def test_markup_of_the_input_is_seen(page: str, sort: str) -> None:
    assert [fault.sort for fault in check_html(page + NO_DATA)] == [sort]
    assert list(check_html("<p>&lt;fuzz&gt; infer nano</p>" + NO_DATA)) == []
    picture = '<svg><text x="nan">a</text></svg>' + NO_DATA
    assert [fault.sort for fault in check_html(picture)] == ["markup not escaped in HTML"]


def test_texts_and_csv_are_checked() -> None:
    assert [f.sort for f in check_text("a \x1b[31m")] == ["control character in text"]
    for bad in ("nan%", "inf ms", "infx", "| nan |", " -inf"):
        assert [f.sort for f in check_text(f"time {bad}")] == ["NaN or infinity shown"], bad
    for good in ("aten::nan_to_num", "isinf", "./nan", "nan_1", "infer", "NaN", "such as inf or nan"):
        assert list(check_text(f"time {good} 5 ms")) == [], good
    assert [f.sort for f in check_output(outcome("100.2%\n"), computed=True)] == ["share above 100%"]
    assert list(check_output(outcome("100.0%\n"), computed=True)) == []
    assert [f.sort for f in check_csv("a,b\n=1,2\n")] == ["formula in CSV"]
    limit = csv.field_size_limit()
    assert list(check_csv(f"a,b\n'=1,-2.5\n{'x' * 200_000},1\n")) == []
    assert csv.field_size_limit() == limit
    assert [f.sort for f in check_csv("a,b\n1\n")] == ["rows of different lengths in CSV"]


def test_a_command_is_run_as_a_user_runs_it() -> None:
    small = ROOT / "tests/data/dialects/2.0.json"
    found = invoke(["ops", str(small), "--format", "json"])
    assert (found.status, found.err, found.form) == (0, "", "json")
    assert json.loads(found.out)["operators"][0]["name"] == "aten::addmm"
    refused = invoke(["ops", "/nowhere"])
    assert refused.status == 3
    assert "no such file" in refused.err


CALLS = [event("outer", 10, 20.5, 1), event("inner", 12, 5, 2), event("inner", 13, 1, 3), event("outer", 40, 1, 4)]


def test_the_plain_reference() -> None:
    found = expected(trace_json([*CALLS, event("kernel", 0, 9, cat="kernel"), event("ProfilerStep#1", 0, 99, 5)]))
    assert found is not None
    assert found.rows == {"outer": (2, 16_500, 21_500), "inner": (2, 5_000, 5_000)}
    pairs = [event("a", 1, 0, 1, ph="B"), event("b", 2, 2, 2), {"ph": "E", "pid": 1, "tid": 1, "ts": 9}]
    found = expected(trace_json(pairs))
    assert found is not None
    assert found.rows == {"a": (1, 6_000, 8_000), "b": (1, 2_000, 2_000)}


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"ts": None}, "an operator whose ts is absent"),
        ({"dur": "5"}, "an operator whose dur is not a number"),
        ({"dur": -1}, "a negative or absurd duration"),
        ({"ts": 1e300}, "an operator whose ts is beyond every clock"),
        ({"ph": "E"}, "an end without a begin"),
        ({"ph": "B"}, "a begin without an end"),
    ],
)
def test_what_must_be_reported(odd: dict[str, Any], words: str) -> None:
    data = trace_json([*CALLS, {**event("odd", 50, 1, 9), **odd}])
    found = expected(data)
    assert found is not None
    assert found.odd == words
    silent = {"operators": [], "anomalies": {"clamped": 0}, "repairs": [], "warnings": []}
    assert [fault.sort for fault in check_reference(data, silent)] == [f"not a word about: {words}"]
    said = {**silent, "anomalies": {"odd": 1}}
    assert list(check_reference(data, said)) == []


def test_wrong_times_are_seen_by_the_reference() -> None:
    rows = [("outer", 2, 16_500, 21_500), ("inner", 2, 5_000, 5_000)]
    document: dict[str, Any] = {"anomalies": {}, "repairs": [], "warnings": []}
    document["operators"] = [
        dict(zip(("name", "calls", "self_host_ns", "total_host_ns"), r, strict=True)) for r in rows
    ]
    assert list(check_reference(trace_json(CALLS), document)) == []
    document["operators"][0]["self_host_ns"] += 1
    assert [f.sort for f in check_reference(trace_json(CALLS), document)] == [
        "calls or times that the file does not have"
    ]
    del document["operators"][1]
    document["operators"][0]["self_host_ns"] -= 1
    assert [f.sort for f in check_reference(trace_json(CALLS), document)] == ["an operator too many or too few"]


@pytest.mark.parametrize("name", bases.TRACE_NAMES)
def test_the_reference_agrees_with_profkit_on_every_base(name: str, tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.write_bytes(bases.trace_text(name))
    document = json.loads(invoke(["ops", str(path), "--no-cache", "--format", "json"]).out)
    assert document["repairs"] == []
    assert expected(path.read_bytes()) is not None
    assert list(check_reference(path.read_bytes(), document)) == []


def test_json_keeps_digits_order_and_duplicates() -> None:
    text = '{"b": 1.50, "a": 99999999999999999999, "b": [1e0, "\\u00e9", null, true, {}]}'
    assert dump(parse(text)) == text
    document = parse(text)
    assert document.get("b") == [Raw("1e0"), "é", None, True, Members()]
    document.set("a", None)
    document.remove_key("b")
    assert dump(document) == '{"a": null}'


@pytest.mark.parametrize("seed", range(20))
def test_the_ways_to_write_the_same_trace_keep_its_events(seed: int) -> None:
    """By the plain reference, which does not read chunks."""
    chance = random.Random(seed)
    name = chance.choice(bases.TRACE_NAMES)
    document = bases.trace(name)
    for change in same_trace.CHANGES:
        change(document, chance)
    written, original = expected(same_trace.written(document, chance)[0]), expected(bases.trace_text(name))
    assert written is not None
    assert original is not None
    assert written.rows == original.rows


def test_an_entry_of_the_cache_can_be_sealed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry with other names, and the hash of them, is believed: the mutations reach what is behind the hash."""
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path / "cache"))
    words = ["ops", str(cache_entries.large_trace(tmp_path)), "--format", "json"]
    before = invoke(words).out
    (entry,) = (tmp_path / "cache").rglob("*.columns")
    sound = entry.read_bytes()
    assert cache_entries.resealed(sound) == sound
    magic, head, columns = cache_entries.parts(sound)
    head.get("head").set("names", [f"fuzz {name}" for name in head.get("head").get("names")])
    entry.write_bytes(cache_entries.joined(magic, head, columns))
    assert "fuzz aten::" in invoke(words).out
    entry.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert invoke(words).out == before


def test_most_mutations_of_a_saved_result_stay_within_its_schema() -> None:
    accepted = 0
    for seed in range(40):
        document = json.loads(json.dumps(GOLDEN))
        schema_of("diff").mutate(document, random.Random(seed))
        assert document != GOLDEN or seed
        try:
            msgspec.json.decode(json.dumps(document).encode(), type=kind_of("diff").record())
            accepted += 1
        except (msgspec.DecodeError, UnicodeError):  # half of a surrogate pair, which a schema cannot exclude
            continue
    assert accepted > 33


def test_differences_are_named() -> None:
    assert differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "$.a[1].b is 3 instead of 2"
    assert differences({"a": 1, "c": 1}, {"a": 1, "c": 2}, ignored=("c",)) == ""
    assert differences({"a": 1}, {}) == "$.a is on one side only: 1"
    assert differences([1], [1, 2]) == "$ has 2 items instead of 1"
