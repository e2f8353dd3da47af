"""Which environment variables a worker gets; those that can change what it measures are recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping

from profkit.runs.settings import Settings

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


def _reaches_worker(name: str) -> bool:
    return name not in _REMOVED and not name.startswith("PYTHON")
