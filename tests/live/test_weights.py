"""Random weights: the same in every version, and activations that neither vanish nor explode."""

from __future__ import annotations

import json
from pathlib import Path

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
order = {"source": "torchvision", "name": sys.argv[2], "batch": 1, "weights": "random", "seed": 0}
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
print(json.dumps({"levels": levels, "sha256": weights_sha256(model)}))
"""


@pytest.mark.parametrize("name", ["resnet50", "squeezenet1_1", "efficientnet_b0", "vit_b_32", "googlenet"])
def test_weights(name: str, tmp_path: Path, environments: dict[str, Environment]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    hashes = set()
    for version in TORCHES:
        command = [environments[version].python, tmp_path / "script.py", WORKER, name]
        done = run_while_it_progresses(command, tmp_path)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        hashes.add(found["sha256"])
        levels = found["levels"]
        assert len(levels) > 10
        assert min(levels) > 0.005
        assert max(levels) < 50
        assert 0.1 < levels[-1] < 20
    assert len(hashes) == 1
