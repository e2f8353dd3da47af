"""The matrix, its labels and the order of its rounds."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from profkit.capture.environments.releases import check_request, pythons, release_of, releases
from profkit.capture.environments.uv import InstallerError
from profkit.capture.plan import Configuration, EnvironmentRequest, matrix, order_of_round
from profkit.capture.variables import parse_variables, worker_variables
from profkit.capture.workloads import Known, WorkloadOptions, WorkloadOrder, known_workloads, resolve
from profkit.errors import UsageError
from profkit.runs.settings import Settings

RESNET = resolve("resnet50")
TWO = [EnvironmentRequest("1.13", None, "1.13"), EnvironmentRequest("2.0", None, "2.0")]
DEFAULTS = {"fpmath": ["fp32"], "mode": ["eager"]}


def test_labels() -> None:
    found = matrix([RESNET], TWO, {"fpmath": ["fp32", "bf16"], "mode": ["eager", "frozen"]})
    assert [c.label for c in found] == [
        *["1.13", "1.13-frozen", "1.13-bf16", "1.13-bf16-frozen"],
        *["2.0", "2.0-frozen", "2.0-bf16", "2.0-bf16-frozen"],
    ]


def test_the_workload_follows_the_settings() -> None:
    """Several batches are several orders to the worker, each under a label of its own."""

    def orders(settings: Settings) -> list[WorkloadOrder]:
        return [resolve("resnet50", WorkloadOptions(settings.batch, seed=settings.seed))]

    found = matrix(orders, TWO[:1], {"threads": [None, 2], "batch": [1, 8]}, None, Settings(seed=3))
    assert [(c.label, c.workload.batch, c.workload.seed) for c in found] == [
        ("1.13-seed3", 1, 3),
        ("1.13-batch8-seed3", 8, 3),
        ("1.13-threads2-seed3", 1, 3),
        ("1.13-threads2-batch8-seed3", 8, 3),
    ]


def test_a_setting_is_left_out_where_it_cannot_be_used() -> None:
    """--freezing is of the compiler: the eager configuration of the same command goes without it."""
    found = matrix([RESNET], TWO[1:], {"mode": ["eager", "compile"], "freezing": [True]})
    assert [(c.label, c.settings.freezing) for c in found] == [("2.0", False), ("2.0-compile-freezing", True)]
    found = matrix([RESNET], TWO[1:], {"mode": ["eager", "compile"], "freezing": [False, True]})
    assert [c.label for c in found] == ["2.0", "2.0-compile", "2.0-compile-freezing"]
    with pytest.raises(UsageError, match=r"--freezing is an option of --mode compile\. Add --mode compile"):
        matrix([RESNET], TWO[1:], {"mode": ["eager", "frozen"], "freezing": [True]})


def test_two_configurations_in_one_place_are_refused() -> None:
    with pytest.raises(UsageError, match="would be filed as mine resnet50"):
        matrix([RESNET], TWO, DEFAULTS, label="mine")
    with pytest.raises(UsageError, match=r"would be filed as 1\.13 resnet50"):
        matrix([RESNET], [TWO[0], TWO[0]], DEFAULTS)


@pytest.mark.parametrize("label", ["../up", "a/b", "", ".hidden", "-x"])
def test_a_label_is_a_folder_name(label: str) -> None:
    with pytest.raises(UsageError, match="cannot be a label"):
        matrix([RESNET], TWO[:1], DEFAULTS, label=label)


@pytest.mark.parametrize("count", range(1, 9))
def test_over_the_rounds_each_runs_at_each_place_once(count: int) -> None:
    square = [order_of_round(i, count) for i in range(count)]
    for place in range(count):
        assert sorted(row[place] for row in square) == list(range(count))
    assert all(sorted(row) == list(range(count)) for row in square)
    if count % 2 == 0:
        followers = [pair for row in square for pair in pairwise(row)]
        assert len(set(followers)) == len(followers)  # and each follows each other one once


def test_environment_variables() -> None:
    environ = {"OMP_PROC_BIND": "close", "ONEDNN_VERBOSE": "2", "HOME": "/root", "LRU_CACHE_CAPACITY": "9"}
    assert worker_variables(Settings(fpmath="bf16", threads=4, lru_cache_capacity=7), environ) == {
        "OMP_PROC_BIND": "close",
        "DNNL_DEFAULT_FPMATH_MODE": "BF16",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
        "LRU_CACHE_CAPACITY": "7",
        "OMP_NUM_THREADS": "4",
        "MKL_NUM_THREADS": "4",
    }


def test_the_settings_win_over_the_users_variables() -> None:
    environ = {"OMP_NUM_THREADS": "8", "DNNL_DEFAULT_FPMATH_MODE": "ANY"}
    assert worker_variables(Settings(threads=2), environ)["OMP_NUM_THREADS"] == "2"
    assert worker_variables(Settings(), environ)["OMP_NUM_THREADS"] == "8"
    assert worker_variables(Settings(), environ)["DNNL_DEFAULT_FPMATH_MODE"] == "STRICT"


def test_who_chose_the_interpreter() -> None:
    made = Configuration(RESNET, "2.0", None, "2.0", Settings())
    given = Configuration(RESNET, None, Path("/usr/bin/python3"), "2.0", Settings())
    assert (made.python_chosen_by, given.python_chosen_by) == ("profkit", "user")


def test_workloads() -> None:
    assert Counter(w.source for w in known_workloads()) == {"torchvision": 98, "huggingface": 5, "builtin": 1}
    for name, task, details in [
        ("inception_v3", "image-classification", {"module": "", "image_size": [299, 299]}),
        ("fasterrcnn_resnet50_fpn", "object-detection", {"module": "detection", "image_size": [480, 640]}),
        ("ssd300_vgg16", "object-detection", {"module": "detection", "image_size": [300, 300]}),
        ("maskrcnn_resnet50_fpn", "instance-segmentation", {"module": "detection", "image_size": [480, 640]}),
        ("fcn_resnet50", "semantic-segmentation", {"module": "segmentation", "image_size": [520, 520]}),
    ]:
        assert (resolve(name).task, resolve(name).details) == (task, details)
    assert resolve("vit_h_14", WorkloadOptions(weights="pretrained")).details["image_size"] == [518, 518]
    assert (resolve("hf:org/net").name, resolve("hf:gpt2").name) == ("hf-org--net", "hf-gpt2")
    with pytest.raises(UsageError, match="no pretrained weights"):
        resolve("linear-stack", WorkloadOptions(weights="pretrained"))
    with pytest.raises(UsageError, match="Did you mean resnet50"):
        resolve("resnet5O")
    with pytest.raises(UsageError, match="Did you mean vit_b_16"):
        resolve("vit-b-16")


def test_a_files_workload(tmp_path: Path) -> None:
    path = tmp_path / "my net.py"
    path.write_text("import math\nfrom x import other\nif math.pi:\n    made = print\n\n\ndef make(): ...\n")
    assert resolve(f"{path}:make").name == "my-net"
    assert resolve(f"{path}:make").details == {"path": str(path.resolve()), "function": "make"}
    assert resolve(f"{path}:other").name == "my-net-other"
    assert resolve(f"{path}:made").source == "file"
    for word, words in [
        (f"{tmp_path}/none.py:make", "no such file"),
        (f"{path}", "does not name a function"),
        (f"{path}:", "is not a valid function name"),
        (f"{path}:a b", "is not a valid function name"),
        (f"{path}:makes", "has no function 'makes'.*Did you mean .*my net.py:make"),
        (f"{path}:nothing", "has no function 'nothing'.*It has make"),
    ]:
        with pytest.raises(UsageError, match=words):
            resolve(word)
    with pytest.raises(UsageError, match="brings its own input"):
        resolve(f"{path}:make", WorkloadOptions(batch=8))


def test_a_function_that_cannot_be_ruled_out(tmp_path: Path) -> None:
    """What another Python may understand, or a star import may bring, is left to the worker."""
    path = tmp_path / "net.py"
    for text in ("from y import *\n", "print 'python 2'\n", "\0"):
        path.write_text(text)
        assert resolve(f"{path}:make").name == "net"


def test_a_modules_workload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/small.py").write_text("def make(): ...\ndef wide(): ...\n")
    order = resolve("nets.small:make")
    assert (order.name, order.source) == ("nets.small", "module")
    assert order.details == {"module": "nets.small", "folder": str(tmp_path), "function": "make"}
    assert resolve("nets.small:wide").name == "nets.small-wide"
    with pytest.raises(UsageError, match=r"has no function 'deep'.*It has make, wide"):
        resolve("nets.small:deep")
    # not here: perhaps a package of the environment
    assert resolve("some.package:make").details["folder"] == ""


def test_a_packages_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point adds names; one that cannot be loaded is named."""
    order = WorkloadOrder("theirs", "file", "", 1, "own", details={"path": "/x.py", "function": "make"})
    theirs = SimpleNamespace(
        known=lambda: iter([Known("theirs", "their-package", "")]),
        resolve=lambda word, options: order if word == "theirs" else None,
    )
    points = [SimpleNamespace(name="their-package", value="their.module", load=lambda: theirs)]
    monkeypatch.setattr(
        sys.modules[resolve.__module__], "entry_points", lambda group: points if group == "profkit.workloads" else []
    )
    assert resolve("theirs") is order
    assert Known("theirs", "their-package", "") in known_workloads()
    points.append(SimpleNamespace(name="broken", value="broken.module:source", load=lambda: 1 / 0))
    with pytest.raises(
        UsageError, match=r"the workloads of 'broken' cannot be loaded: division by zero.*broken.module"
    ):
        resolve("nothing")


def test_releases() -> None:
    assert [list(releases())[i] for i in (0, -1)] == ["1.13", "2.15"]
    assert release_of("1.13.1").requirements("1.13.1") == [
        *("torch==1.13.1", "torchvision==0.14.*", "numpy<2", "setuptools<70")
    ]
    assert release_of("9.9").requirements("9.9.0") == ["torch==9.9.0", "torchvision", "numpy"]
    compiling = [release for name, release in releases().items() if name not in ("1.13", "2.15")]
    assert all(any(text.startswith("setuptools") for text in release.also) for release in compiling)  # torch.compile
    assert pythons(release_of("1.13")) == ["3.10", "3.9", "3.8", "3.7"]
    assert pythons(release_of("2.15"))[0] == "3.11"


@pytest.mark.parametrize(
    ("log", "missing"),
    [
        ("cause: Because there is no version of torch==2.0.7 and you require torch==2.0.7, we can conclude ...", True),
        ("cause: Because only torch<=2.15.0 is\navailable and you require torch==9.9.*, we can conclude ...", True),
        ("cause: Because torch==1.13.1 has no wheels with a matching Python version tag ...", False),
        ("error: No space left on device (os error 28)", False),
    ],
)
def test_a_release_that_does_not_exist_is_told_from_one_without_wheels(log: str, missing: bool) -> None:
    assert InstallerError(f"  × No solution found when resolving dependencies:\n{log}").no_such_version is missing


@pytest.mark.parametrize("word", ["2", "latest", "2.0;evil", "../2.0", "2.0.1.2.3"])
def test_what_is_no_version(word: str) -> None:
    with pytest.raises(UsageError, match="is not a PyTorch version"):
        check_request(word)


def test_variables_that_change_what_runs_are_recorded() -> None:
    changing = {
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=1",
        "LD_LIBRARY_PATH": "/opt/lib",
        "OPENBLAS_NUM_THREADS": "1",
        "TORCH_MKLDNN_MATMUL_MIN_DIM": "64",
        "TORCHINDUCTOR_FREEZING": "1",
        "MALLOC_ARENA_MAX": "1",
    }
    others = {"HOME": "/h", "HF_TOKEN": "secret", "TORCH_HUB_TOKEN": "secret", "ONEDNN_VERBOSE": "2", "LANG": "C"}
    found = worker_variables(Settings(), {**changing, **others})
    assert found.items() >= changing.items()
    assert not found.keys() & others.keys()


def test_variables_of_the_user() -> None:
    found = parse_variables(["A_B=1", "A_B=2", "C=x=y z", "A_B=1"])
    assert found == {"A_B": ["1", "2"], "C": ["x=y z"]}
    configurations = matrix([RESNET], TWO[1:], DEFAULTS, variables=found)
    assert [(c.label, dict(c.variables)) for c in configurations] == [
        ("2.0-A_B-1-C-x_y_z", {"A_B": "1", "C": "x=y z"}),
        ("2.0-A_B-2-C-x_y_z", {"A_B": "2", "C": "x=y z"}),
    ]
    for text, words in [
        ("NAME", "is not NAME=VALUE"),
        ("a b=1", "is not NAME=VALUE"),
        ("OMP_NUM_THREADS=2", "is set by an option.*Use --threads"),
        ("ONEDNN_DEFAULT_FPMATH_MODE=BF16", "Use --fpmath"),
        ("PYTHONPATH=/x", "cannot be given"),
        ("ONEDNN_VERBOSE=2", "cannot be given"),
    ]:
        with pytest.raises(UsageError, match=words):
            parse_variables([text])
