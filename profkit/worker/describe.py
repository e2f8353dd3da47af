"""Describes this environment and the inputs, for the manifest."""

from __future__ import annotations

import platform
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inputs import Inputs


def describe_torch() -> dict[str, Any]:
    """Return PyTorch's version, build and number of threads, as stored in the manifest."""
    import torch

    configuration = torch.__config__.show()
    onednn = re.search(r"MKL-DNN v([0-9.]+)|oneDNN v([0-9.]+)", configuration)
    capability = re.search(r"CPU capability usage: (\S+)", configuration)
    version, _, wheel = torch.__version__.partition("+")
    return {
        "version": version,
        "git": torch.version.git_version,
        "wheel": wheel or None,
        "config": configuration,
        "onednn": next(filter(None, onednn.groups())) if onednn and torch.backends.mkldnn.is_available() else None,
        "cpu_capability": capability.group(1) if capability else None,
        "threads": torch.get_num_threads(),
    }


def describe_python() -> dict[str, Any]:
    """Return the version of the interpreter and its installed packages."""
    return {"version": platform.python_version(), "packages": installed_packages()}


def installed_packages() -> list[str]:
    """Return ``["name==version", ...]`` of the packages installed in this environment, sorted."""
    try:
        from importlib.metadata import distributions  # Python 3.8 and up
    except ImportError:
        import pkg_resources

        return sorted("%s==%s" % (d.key, d.version) for d in pkg_resources.working_set)
    return sorted({"%s==%s" % (d.metadata["Name"], d.version) for d in distributions() if d.metadata["Name"]})


def describe_inputs(inputs: Inputs) -> list[dict[str, Any]]:
    """Return name, shape and dtype of every input tensor; the name is that of a keyword argument, else None."""
    return [
        {
            "name": name if name.partition(".")[0] in inputs.kwargs else None,
            "shape": list(t.shape),
            "dtype": str(t.dtype).replace("torch.", ""),
        }
        for name, t in inputs.tensors()
    ]
