"""Sources of workloads and modes, with real PyTorch: one short round each."""

from __future__ import annotations

from pathlib import Path

import pytest

from profkit.runs import Manifest, find_runs
from tests.conftest import ROOT
from tests.live.conftest import TINY, Profkit

SHORT = ("--rounds", 1, "--steps", 2, "--warmup", 1, "--no-onednn")
NEWEST = "2.15"


def manifests(folder: Path) -> dict[str, Manifest]:
    """Return the manifests of the runs below ``logs`` by label and workload, each complete."""
    found = {f"{run.label}/{run.workload}": run.manifest for run in find_runs(folder / "logs")}
    complete = {name: manifest for name, manifest in found.items() if manifest is not None}
    assert {manifest.status for manifest in complete.values()} == {"complete"}
    return complete


@pytest.mark.usefixtures("environments")
def test_the_tutorials_linear_stack(profkit: Profkit, tmp_path: Path) -> None:
    profkit("capture", "linear-stack", "--torch", NEWEST, "--batch", 3, *SHORT)
    (found,) = manifests(tmp_path).values()
    (tensor,) = found.workload.inputs
    assert (tensor.shape, tensor.dtype) == ([3, 4096], "float32")


@pytest.mark.usefixtures("environments")
def test_keyword_arguments_in_every_mode(profkit: Profkit, tmp_path: Path) -> None:
    modes = ("eager", "trace", "frozen", "compile")
    words = [word for mode in modes for word in ("--mode", mode)]
    profkit("capture", f"{TINY}:keywords", "--torch", NEWEST, *words, *SHORT)
    found = manifests(tmp_path)
    assert {m.settings.mode for m in found.values()} == set(modes)
    for manifest in found.values():
        assert [(t.name, t.shape) for t in manifest.workload.inputs] == [
            *(("image", [1, 3, 32, 32]), ("scale", [1])),
        ]
    gates = ("--fail-if", "outputs.cosine < 0.99999", "--fail-if", "outputs.top1 < 1", "--fail-if", "outputs.nan > 0")
    for mode in modes[1:]:
        profkit("diff", f"logs/{NEWEST}", f"logs/{NEWEST}-{mode}", *gates)


@pytest.mark.usefixtures("environments")
def test_detection_and_segmentation(profkit: Profkit, tmp_path: Path) -> None:
    """The same weights in every version, although nothing is downloaded."""
    names = ("ssdlite320_mobilenet_v3_large", "lraspp_mobilenet_v3_large")
    profkit("capture", *names, "--torch", "1.13", "--torch", NEWEST, *SHORT)
    found = manifests(tmp_path)
    assert len(found) == 4
    for name in names:
        before, after = (found[f"{version}/{name}"].workload for version in ("1.13", NEWEST))
        assert before.weights_sha256 == after.weights_sha256
        assert before.inputs == after.inputs


@pytest.mark.usefixtures("environments")
def test_a_model_of_torchbench(profkit: Profkit, tmp_path: Path) -> None:
    checkout = ROOT / "tests/data/torchbench"
    profkit("capture", "torchbench:keywords", "--torchbench", checkout, "--torch", NEWEST, "--batch", 2, *SHORT)
    (found,) = manifests(tmp_path).values()
    assert [(t.name, t.shape) for t in found.workload.inputs] == [("ids", [2, 4])]


def test_a_model_of_hugging_face(profkit: Profkit, tmp_path: Path) -> None:
    """Its environment has transformers; random weights need no network."""
    profkit("capture", "distilbert-sentiment", "--torch", NEWEST, "--sequence-length", 16, *SHORT)
    (found,) = manifests(tmp_path).values()
    assert [(t.name, t.shape) for t in found.workload.inputs] == [("input_ids", [1, 16]), ("attention_mask", [1, 16])]
    assert found.workload.weights == "random"
    assert found.python is not None
    assert "transformers==4.30.2" in found.python.packages
