"""Models of TorchBench, from a stand-in for a checkout, with the real worker under a stub torch."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from profkit.capture.plan import EnvironmentRequest, matrix
from profkit.capture.session import Captured, run_session
from profkit.capture.workloads import WorkloadOptions, resolve
from profkit.cli.commands.capture import command as capture_command_line
from profkit.errors import UsageError
from tests.unit.stub import SHORT, Heard

CHECKOUT = Path(__file__).parent.parent / "data/torchbench"
OLDER_LOADER = """
import importlib

def load_model_by_name(model):
    try:
        return importlib.import_module("torchbenchmark.models." + model).Model
    except ModuleNotFoundError as error:
        print("skip it:", error)
        return None
"""

pytestmark = pytest.mark.usefixtures("nothing_stays")


def captured(python: Path, name: str, logdir: Path, batch: int = 1, checkout: Path = CHECKOUT) -> Captured:
    order = resolve(f"torchbench:{name}", WorkloadOptions(batch=batch, torchbench=checkout))
    configurations = matrix([order], [EnvironmentRequest(None, python, "stub")], {})
    (found,) = run_session(configurations, SHORT, logdir, Heard())
    return found


def failure(python: Path, name: str, logdir: Path, checkout: Path = CHECKOUT) -> str:
    found = captured(python, name, logdir, checkout=checkout).failure
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "argument"), [("small", None), ("SMALL", None), ("keywords", "ids"), ("rare", None), ("fixed", None)]
)
def test_a_model_is_captured(python: Path, tmp_path: Path, name: str, argument: str | None) -> None:
    found = captured(python, name, tmp_path / "logs", batch=4)
    assert found.failure is None
    assert found.manifest is not None
    workload = found.manifest.workload
    assert (workload.name, workload.source, workload.weights) == (f"torchbench-{name}", "torchbench", "own")
    (tensor,) = workload.inputs
    assert (tensor.name, tensor.shape, tensor.dtype, workload.batch) == (argument, [4, 4], "float32", 4)
    text = found.manifest.capture_command()
    assert text is not None
    assert f"torchbench:{name} --torchbench DIR" in text
    assert "--batch 4" in text
    words = shlex.split(text.replace("DIR", str(CHECKOUT)))
    capture_command_line.make_context("capture", words[2:])


def test_a_batch_size_that_cannot_be_chosen(python: Path, tmp_path: Path) -> None:
    assert failure(python, "fixed", tmp_path / "logs") == (
        "torchbench:fixed does not run with --batch 1: Model doesn't support customizing batch size. Use --batch 4"
    )


def test_a_package_that_is_missing(python: Path, tmp_path: Path) -> None:
    found = failure(python, "lacking", tmp_path / "logs")
    assert "No module named 'a_package_that_is_not_installed'" in found
    assert found.endswith("Add the package with --with")


def test_a_model_without_a_module(python: Path, tmp_path: Path) -> None:
    found = failure(python, "without_module", tmp_path / "logs")
    assert found.startswith("torchbench:without_module failed at ")
    assert found.endswith("get_module(). Try it with TorchBench's own run.py in this environment first")


def test_an_older_loader_returns_none(python: Path, tmp_path: Path) -> None:
    """It has no second list of models, and swallows what cannot be imported."""
    package = tmp_path / "older/torchbenchmark"
    (package / "models/net").mkdir(parents=True)
    (package / "__init__.py").write_text(OLDER_LOADER)
    (package / "models/net/__init__.py").write_text("import a_package_that_is_not_installed\n")
    assert failure(python, "net", tmp_path / "logs", package.parent) == (
        "the TorchBench of --torchbench has no model 'net'. If it has, a package that the model needs is missing: add "
        "it with --with"
    )


def test_names_are_checked_before_a_worker_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"torchbench:small needs a checkout of TorchBench.*--torchbench DIR"):
        resolve("torchbench:small")
    with pytest.raises(UsageError, match=r"is not a checkout of TorchBench: it has no package torchbenchmark"):
        resolve("torchbench:small", WorkloadOptions(torchbench=tmp_path))
    here = WorkloadOptions(torchbench=CHECKOUT)
    with pytest.raises(UsageError, match=r"has no model 'smal'.*Did you mean small\?"):
        resolve("torchbench:smal", here)
    with pytest.raises(UsageError, match=r"has no model 'xyz'.*It has 6 models"):
        resolve("torchbench:xyz", here)
    with pytest.raises(UsageError, match="is not the name of a model"):
        resolve("torchbench:../up", here)
    with pytest.raises(UsageError, match=r"brings its own input and weights.*Leave --weights, --seq"):
        resolve("torchbench:small", WorkloadOptions(weights="pretrained", torchbench=CHECKOUT))


def test_a_checkout_with_lists_of_models_may_have_others(tmp_path: Path) -> None:
    """Models of Hugging Face and timm have no folders of their own; its loader knows them."""
    (tmp_path / "torchbenchmark/util/framework").mkdir(parents=True)
    (tmp_path / "torchbenchmark/__init__.py").write_text("")
    assert resolve("torchbench:T5Small", WorkloadOptions(torchbench=tmp_path)).details["model"] == "T5Small"


def test_a_checkout_asks_nothing_of_other_workloads(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def make(): ...\n")
    assert resolve(f"{tmp_path}/net.py:make", WorkloadOptions(torchbench=CHECKOUT)).source == "file"
