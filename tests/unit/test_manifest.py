"""The manifest: what is refused, how older ones are read, and that every field is described."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profkit.errors import InputError
from profkit.report.saved import schema
from profkit.runs import find_runs, read_manifest, write_manifest
from profkit.runs.settings import SETTINGS
from tests.conftest import ROOT

OLDER = sorted((ROOT / "traces").glob("*/*/profkit.json"))
YEAR_NS = 366 * 24 * 3600 * 10**9


def newest(folder: Path) -> dict[str, Any]:
    """Write a run/1 manifest of ours as run/2 into ``folder``; return its fields."""
    write_manifest(folder, read_manifest(ROOT / "traces/2.0-bf16/resnet50"))
    fields: dict[str, Any] = json.loads((folder / "profkit.json").read_text())
    return fields


@pytest.mark.parametrize("path", OLDER, ids=lambda p: p.parent.parent.name)
def test_run_1_is_read_as_run_2(path: Path) -> None:
    older = json.loads(path.read_text())
    assert older["schema"] == "run/1"
    found = read_manifest(path.parent)
    assert found.schema == "run/2"
    settings = dict(older["settings"])
    assert found.environment == settings.pop("env")
    assert settings.pop("rounds") == len(found.rounds)
    later = {s.name: s.default for s in SETTINGS if s.recorded and s.name not in settings}
    assert dict(found.settings) == {**later, **settings, "batch": 1, "weights": "random"}
    assert [r.latency_ns for r in found.rounds] == [r["latency_ns"] for r in older["rounds"]]
    assert (found.primitives is None) == (older.get("kernels") is None)
    if found.primitives is not None:
        assert found.primitives.steps == older["kernels"]["steps"]
    assert found.python is not None
    assert found.python.chosen_by == "profkit"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    fields = newest(tmp_path)
    assert (fields["schema"], "env" in fields["settings"], "rounds" in fields["settings"]) == ("run/2", False, False)
    assert fields["environment"]["DNNL_DEFAULT_FPMATH_MODE"] == "BF16"
    assert read_manifest(tmp_path) == read_manifest(ROOT / "traces/2.0-bf16/resnet50")
    assert [p.name for p in tmp_path.iterdir()] == ["profkit.json"]


def set_latency(value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda fields: fields["rounds"][1]["latency_ns"].__setitem__(2, value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (set_latency(-1), "`$.rounds[1].latency_ns[2]`"),
        (set_latency(1.5), "`$.rounds[1].latency_ns[2]`"),
        (set_latency(YEAR_NS + 1), "`$.rounds[1].latency_ns[2]`"),
        (set_latency(10**30), "`$.rounds[1].latency_ns[2]`"),
        (set_latency(True), "`$.rounds[1].latency_ns[2]`"),
        (set_latency(None), "`$.rounds[1].latency_ns[2]`"),
        (lambda fields: fields["rounds"][0].update(warmup_ns=[-5]), "`$.rounds[0].warmup_ns[0]`"),
        (lambda fields: fields["rounds"][0].update(profiled_ns=["1"]), "`$.rounds[0].profiled_ns[0]`"),
        (lambda fields: fields["rounds"][0].update(index=-1), "`$.rounds[0].index`"),
        (lambda fields: fields["workload"].update(batch=0), "`$.workload.batch`"),
        (lambda fields: fields["workload"].update(batch=10**25), "`$.workload.batch`"),
        (
            lambda fields: fields["workload"].update(inputs=[{"shape": [-1], "dtype": "x"}]),
            "`$.workload.inputs[0].shape[0]`",
        ),
        (lambda fields: fields["rounds"][0].update(index=10**25), "`$.rounds[0].index`"),
        (lambda fields: fields["rounds"][0].update(order=2**31), "`$.rounds[0].order`"),
        (lambda fields: fields["rounds"][0].update(block=10**12), "`$.rounds[0].block`"),
        (lambda fields: fields["rounds"][0].update(load={"cpu_mhz": -1}), "`$.rounds[0].load.cpu_mhz`"),
        (lambda fields: fields["rounds"][0].update(load={"cpu_mhz": 1e300}), "`$.rounds[0].load.cpu_mhz`"),
        (lambda fields: fields["rounds"][0].update(load={"steal_share": 1.5}), "`$.rounds[0].load.steal_share`"),
        (lambda fields: fields["rounds"][0].update(peak_memory_bytes=2**60), "`$.rounds[0].peak_memory_bytes`"),
        (lambda fields: fields["rounds"][0].update(counters={"cpu_ns": [1]}), "counters.cpu_ns has 1 values for 10"),
        (lambda fields: fields["host"].update(memory_bytes=2**60), "`$.host.memory_bytes`"),
        (lambda fields: fields["host"].update(cores=-1), "`$.host.cores`"),
        (lambda fields: fields["host"].update(price_per_hour=-0.5), "`$.host.price_per_hour`"),
        (lambda fields: fields["torch"].update(threads=10**12), "`$.torch.threads`"),
        (lambda fields: fields["primitives"].update(steps=10**25), "`$.primitives.steps`"),
        (lambda fields: fields["settings"].update(steps=10**25), "settings.steps must be at most 2147483647"),
        (lambda fields: fields["settings"].update(steps=-(10**25)), "settings.steps must be at most 2147483647"),
        (lambda fields: fields["settings"].update(steps="20"), "settings.steps must be an integer"),
        (lambda fields: fields["settings"].update(steps=0), "settings.steps must be at least 1"),
        (lambda fields: fields["settings"].update(mode="quick"), "settings.mode must be one of eager, script"),
        (lambda fields: fields.update(settings=[]), "`$.settings`"),
        (lambda fields: fields.update(environment={"OMP_NUM_THREADS": 2}), "`$.environment[...]`"),
        (lambda fields: fields.update(status="done"), "`$.status`"),
        (lambda fields: fields.update(schema="run/3"), "`$.schema`"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], field: str
) -> None:
    fields = newest(tmp_path)
    change(fields)
    (tmp_path / "profkit.json").write_text(json.dumps(fields))
    with pytest.raises(InputError) as refused:
        find_runs(tmp_path)
    assert field in str(refused.value)
    assert str(tmp_path / "profkit.json") in str(refused.value)
    assert refused.value.exit_status == 3


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5_000, "1" + "0" * 400])
@pytest.mark.parametrize(
    "place",
    [
        '"latency_ns": [',
        '"load": {"cpu_mhz": ',
        '"price_per_hour": ',
        '"batch": ',
        '"steps": ',
        '"of a newer profkit": ',
    ],
)
def test_numbers_that_are_none_are_refused_in_words(tmp_path: Path, place: str, number: str) -> None:
    """In every version of the manifest; a number of a field that is not known may be of any size."""
    fields = newest(tmp_path)
    fields["rounds"][0]["load"] = {"cpu_mhz": 7.5}
    fields["host"]["price_per_hour"] = 7.5
    fields["settings"]["of a newer profkit"] = 7.5
    text = json.dumps(fields)
    at = text.index(place) + len(place)
    end = min(text.index(mark, at) for mark in ",}]")
    changed = f"{text[:at]}{number}{text[end:]}"
    for schema_name in ("run/2", "run/1"):
        (tmp_path / "profkit.json").write_text(changed.replace('"run/2"', f'"{schema_name}"'))
        if place == '"of a newer profkit": ' and number == "1" + "0" * 400:
            assert read_manifest(tmp_path).settings["of a newer profkit"]
            continue
        with pytest.raises(InputError, match="is not a valid run manifest") as refused:
            read_manifest(tmp_path)
        assert len(str(refused.value)) < 600


def test_a_text_of_50_mb_in_the_place_of_a_number_is_not_quoted(tmp_path: Path) -> None:
    fields = newest(tmp_path)
    for name in ("status", "schema"):
        (tmp_path / "profkit.json").write_text(json.dumps({**fields, name: "x" * 50_000_000}))
        with pytest.raises(InputError, match="is not a valid run manifest") as refused:
            read_manifest(tmp_path)
        assert len(str(refused.value)) < 2_100


@pytest.mark.parametrize("name", ["", ".", "..", "../other/0.json", "/etc/passwd", "a/b", "a\\b", "a\0b"])
def test_a_trace_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    fields = newest(tmp_path)
    fields["rounds"][0]["trace"] = name
    (tmp_path / "profkit.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match="names a trace outside its folder"):
        find_runs(tmp_path)


@pytest.mark.parametrize("value", [0, 1, YEAR_NS])
def test_times_within_the_bounds_are_read(tmp_path: Path, value: int) -> None:
    fields = newest(tmp_path)
    set_latency(value)(fields)
    (tmp_path / "profkit.json").write_text(json.dumps(fields))
    assert read_manifest(tmp_path).rounds[1].latency_ns[2] == value


@pytest.mark.parametrize("settings", [None, [], {"env": []}, {"steps": {}}, "x"])
def test_a_damaged_run_1_is_refused(tmp_path: Path, settings: Any) -> None:
    older = json.loads(OLDER[0].read_text())
    (tmp_path / "profkit.json").write_text(json.dumps({**older, "settings": settings}))
    with pytest.raises(InputError, match="is not a valid run manifest"):
        read_manifest(tmp_path)


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    before = read_manifest(ROOT / "traces/2.0-bf16/resnet50")
    fields = newest(tmp_path)
    fields["rounds"][0]["later"] = {"cpu_ns": [1]}
    fields["new"] = 1
    (tmp_path / "profkit.json").write_text(json.dumps(fields))
    assert read_manifest(tmp_path) == before


def test_every_field_is_described() -> None:
    """A field of time or size names its unit in its description."""
    checked = 0
    for record in schema("run")["$defs"].values():
        for name, field in record["properties"].items():
            assert field.get("description"), f"{record['title']}.{name} has no description"
            units = {"_ns": "(ns)", "_bytes": "(bytes)", "_per_hour": "per hour"}
            for ending, unit in units.items():
                assert not name.endswith(ending) or unit in field["description"]
            checked += 1
    assert checked > 50
    (settings,) = (r["properties"]["settings"] for r in schema("run")["$defs"].values() if r["title"] == "Manifest")
    assert all(field["description"] for field in settings["properties"].values())
    assert {"mode", "fpmath", "batch", "threads"} <= settings["properties"].keys()


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest(tmp_path)
    before = (tmp_path / "profkit.json").read_bytes()
    described = read_manifest(ROOT / "traces/2.0/resnet50")

    def no_space(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_manifest(tmp_path, described)
    assert [path.name for path in tmp_path.iterdir()] == ["profkit.json"]
    assert (tmp_path / "profkit.json").read_bytes() == before
