"""Random weights: the same in every version, and activations that neither vanish nor explode."""

from __future__ import annotations

import json
from typing import Any

import pytest

from profkit.capture.environments.environments import Environment
from profkit.capture.process import WORKER
from tests.live.conftest import TORCHES
from tests.live.processes import run_while_it_progresses

SCRIPT = """
import json, runpy, sys
runpy.run_path(sys.argv[1])["load_package"]()
from _profkit_worker.weights import randomize, weights_sha256
from _profkit_worker.workloads import build
import torch
found = {}
for name in sys.argv[2:]:
    order = {"source": "torchvision", "name": name, "batch": 1, "weights": "random", "seed": 0}
    order["details"] = {"module": "", "image_size": [224, 224]}
    model, inputs = build(order)
    randomize(model, inputs, 0)
    levels = []
    def look(module, arguments, output):
        if hasattr(output, "pow"):
            levels.append(output.float().pow(2).mean().sqrt().item())
    for module in model.modules():
        module.register_forward_hook(look)
    with torch.no_grad():
        inputs.call(model)
    found[name] = {"levels": levels, "sha256": weights_sha256(model)}
print(json.dumps(found))
"""
MODELS = ("resnet50", "squeezenet1_1", "efficientnet_b0", "vit_b_32", "googlenet")
Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, environments: dict[str, Environment]) -> dict[str, Found]:
    """Hash and levels of every model by PyTorch version: one process per version, since most of its time is imports."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "script.py").write_text(SCRIPT)
    answers = {}
    for version in TORCHES:
        command = [environments[version].python, folder / "script.py", WORKER, *MODELS]
        done = run_while_it_progresses(command, folder)
        assert done.returncode == 0, done.stderr
        answers[version] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("name", MODELS)
def test_weights(name: str, found: dict[str, Found]) -> None:
    hashes = set()
    for by_name in found.values():
        hashes.add(by_name[name]["sha256"])
        levels = by_name[name]["levels"]
        assert len(levels) > 10
        assert min(levels) > 0.005
        assert max(levels) < 50
        assert 0.1 < levels[-1] < 20
    assert len(hashes) == 1
