"""A load test with real PyTorch: a closed loop and an open one."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from profkit.report.saved import schema
from tests.live.conftest import TINY, Profkit


@pytest.mark.usefixtures("environments")
def test_a_load_test(profkit: Profkit, tmp_path: Path) -> None:
    """The model sleeps 0.1 s: so the throughput is known on a busy machine too, to what its own layers add."""
    words = ("load", f"{TINY}:slow", "--torch", "2.15", "--concurrency", 2, "--duration", 5, "--warmup", 2)
    profkit(*words, "--rate", "4", "--latency-limit", "p50=5s", "--output", "load.json")
    document = json.loads((tmp_path / "load.json").read_text())
    jsonschema.validate(document, schema("load"))
    assert document["torch"]["version"] == "2.15.0"
    one, two, open_loop = document["points"]
    for point in (one, two):
        assert 5 * point["processes"] < point["throughput"]["value"] < 10 * point["processes"]
        assert point["p50"]["value_ns"] > 100e6
        assert point["limit"] == "within"
        assert point["peak_memory_bytes"] > 50_000_000 * point["processes"]
    assert two["gain"]["verdict"] == "faster"
    assert (open_loop["rate_per_s"], open_loop["processes"], open_loop["status"]) == (4.0, 2, "measured")
    assert 0.2 <= open_loop["utilisation"]["value"] < 0.4
    assert "Open loop: the best throughput within p50=5s is" in profkit("render", "load.json").stdout
