"""Tables of the operators that PyTorch renamed or started to call, and of those that only run others.

Names that torch.compile numbers are told by their form, in :mod:`profkit.trace.generated`.

Found by running fifty common layers and functions on CPU in 1.13.1, 2.0.1, 2.1.2, 2.2.2, 2.3.1, 2.4.1, 2.5.1, 2.6.0,
2.8.0, 2.10.0, 2.12.0 and 2.15.0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from profkit.trace.generated import stem


class Renamed(NamedTuple):
    """From version ``since`` on, PyTorch calls ``after`` instead of ``before``."""

    since: str
    before: str
    after: str


class Added(NamedTuple):
    """From version ``since`` on, ``below`` also calls ``name``."""

    since: str
    name: str
    below: str


RENAMED = (
    Renamed("2.0", "aten::_scaled_dot_product_attention", "aten::scaled_dot_product_attention"),
    Renamed("2.1", "aten::_reshape_alias", "aten::view"),
    Renamed("2.3", "aten::_scaled_dot_product_flash_attention", "aten::_scaled_dot_product_flash_attention_for_cpu"),
)
ADDED = (
    Added("2.0", "aten::_native_multi_head_attention", "aten::_transformer_encoder_layer_fwd"),
    Added("2.1", "aten::resize_", "aten::mkldnn_convolution"),
    Added("2.15", "aten::_unsafe_view", "aten::linear"),
)
_CANONICAL = {entry.before: entry.after for entry in RENAMED}
_SINCE = {entry.name: entry.since for entry in ADDED} | {entry.after: entry.since for entry in RENAMED}
_TRANSPARENT = (
    "forward",
    "Torch-Compiled Region",
    "## Call CompiledFxGraph",
    "CompiledFunction",
    "TorchDynamo",
    "AOTDispatcher",
    "Pregraph",
)


@lru_cache(maxsize=1 << 16)
def canonical(name: str) -> str:
    """Return the newest name of an operator, without what torch.compile numbers in it."""
    return _CANONICAL.get(name) or stem(name) or name


def known_since(name: str) -> str | None:
    """Return the version in which PyTorch started to call ``name``; None if unknown."""
    return _SINCE.get(name)


def is_transparent(name: str) -> bool:
    """Whether an operator only runs others, such as a whole model or a compiled region."""
    return name.startswith(_TRANSPARENT)
