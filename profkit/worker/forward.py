"""One timed call of the model."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inputs import Inputs


class Forward:
    """One call of the model; measures its wall time in integer ns and waits for the device if there is one."""

    def __init__(self, call: Any, inputs: Inputs, *, autocast: bool = False) -> None:
        """Prepare calls of ``call`` with ``inputs``, under torch.autocast (bfloat16) if asked for."""
        import torch

        self._inputs = inputs
        self.on_cuda = any(t.is_cuda for _, t in inputs.tensors())
        self._wait = torch.cuda.synchronize if self.on_cuda else None
        self._call = _autocast(call, "cuda" if self.on_cuda else "cpu") if autocast else call

    def __call__(self) -> tuple[int, Any]:
        """Run once; return ``(duration in ns, the model's result)``."""
        start = time.perf_counter_ns()
        result = self._inputs.call(self._call)
        if self._wait is not None:
            self._wait()
        return time.perf_counter_ns() - start, result


def _autocast(call: Any, device: str) -> Any:
    import torch

    def under_autocast(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device, dtype=torch.bfloat16):
            return call(*args, **kwargs)

    return under_autocast
