"""Which environment variables a worker gets; those that can change what it measures are recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from profkit.errors import UsageError
from profkit.runs.settings import SETTINGS, Settings

# beginnings of names of the variables that can change what runs, or how fast
_RECORDED = (
    *("TORCH", "PYTORCH_", "ATEN_", "C10_", "CAFFE2_", "KINETO_", "TRITON_", "FBGEMM_", "NNPACK_"),
    *("ONEDNN_", "DNNL_", "MKL_", "OPENBLAS_", "BLIS_", "GOTO_", "VECLIB_", "ARMPL_", "ACL_"),  # libraries of kernels
    *("OMP_", "KMP_", "GOMP_", "TBB_"),  # threads
    *("CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "NCCL_", "HIP_", "ROCR_", "HSA_", "MIOPEN_"),  # devices
    *("LD_", "DYLD_", "GLIBC_TUNABLES", "MALLOC_", "TCMALLOC_", "JEMALLOC_", "MIMALLOC_", "_RJEM_MALLOC_"),
    *("NPY_", "TRANSFORMERS_"),
)
_RECORDED_NAMES = ("CXX", "CC")  # whole names: the compilers of torch.compile
_SECRET = re.compile("TOKEN|SECRET|PASSWORD|KEY")  # in a name: its value is not written down
# these change what a worker prints, which is oneDNN's log, or what it takes for its environment
_REMOVED = ("VIRTUAL_ENV", "ONEDNN_VERBOSE", "DNNL_VERBOSE", "MKL_VERBOSE")

_WHY_REMOVED = "It would change what Python itself does, or what the worker prints."
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def worker_environment(environ: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` with ``variables``, less what would change what the worker runs or prints.

    PYTHON* variables are removed although the worker's ``-I`` ignores them, because what the model starts would obey
    them.
    """
    return {name: value for name, value in environ.items() if _reaches_worker(name)} | dict(variables)


def worker_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that can change what the worker measures.

    They are the user's own among ``environ`` that reach it, without secrets, and those of ``settings``.
    """
    own = {
        name: value
        for name, value in environ.items()
        if (name.startswith(_RECORDED) or name in _RECORDED_NAMES)
        and _reaches_worker(name)
        and not _SECRET.search(name)
    }
    return own | settings.variables()


def parse_variables(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each environment variable among ``texts`` (``NAME=VALUE``), in order.

    Raises UsageError for another form, and for a variable that a setting sets or that the worker must not get.
    """
    found: dict[str, list[str]] = {}
    of_settings = {name: setting for setting in SETTINGS for name in setting.variable_names()}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            raise UsageError(
                f"{text!r:.100} is not NAME=VALUE", where="--env", hint="For example: --env OMP_PROC_BIND=close."
            )
        if name in of_settings:
            raise UsageError(f"{name} is set by an option", where="--env", hint=f"Use {of_settings[name].flags[0]}.")
        if not _reaches_worker(name):
            raise UsageError(f"{name} cannot be given to the worker", where="--env", hint=_WHY_REMOVED)
        if value not in found.setdefault(name, []):
            found[name].append(value)
    return found


def parse_single_variables(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the same for commands in which each variable has one value; raises UsageError for several, too."""
    found = parse_variables(texts)
    several = next((name for name, values in found.items() if len(values) > 1), None)
    if several is not None:
        raise UsageError(f"{several} has several values", where="--env", hint="Use profkit sweep to compare them.")
    return found


def _reaches_worker(name: str) -> bool:
    return name not in _REMOVED and not name.startswith("PYTHON")
