"""Random weights and inputs that are the same, bit for bit, under every version of PyTorch and NumPy."""

from __future__ import annotations

import hashlib
import math
import zlib

import numpy

from .outputs import to_numpy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Inputs = tuple[Any, ...]


def random_array(shape: tuple[int, ...], name: str, seed: int) -> Any:
    """Return float32 values uniform on [-1, 1), the same for a name and seed under every NumPy.

    The stream of ``RandomState`` is frozen by NEP 19; the name's CRC keeps tensors independent of the order
    in which a model lists them.
    """
    stream = numpy.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    return (stream.random_sample(shape) * 2.0 - 1.0).astype(numpy.float32)


def randomize(model: Any, inputs: Inputs, seed: int) -> None:
    """Give ``model`` weights that are the same in every version of PyTorch and keep activations level.

    Constants that the constructor chose (normalisation scales, zero biases) stay, but for the weights of
    convolutions and linear layers, a zero head among them. Everything drawn at random is drawn again at He scale
    (He et al. 2015, eq. 10), biases are zeroed, and then one forward multiplies the weight of each convolution and
    linear layer by the power of two that brings its output closest to unit root mean square. A power of two is
    exact in floating point, and rounding to one hides the last-digit differences between versions; oneDNN is off in
    that forward so that no fpmath mode can move it.
    """
    import torch

    layers = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)
    layer_weights = {id(m.weight) for m in model.modules() if isinstance(m, layers)}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_constant = parameter.is_floating_point() and parameter.min() == parameter.max()
            if not parameter.is_floating_point() or (is_constant and id(parameter) not in layer_weights):
                continue
            if parameter.dim() < 2:
                parameter.zero_()
                continue
            bound = math.sqrt(6.0 / max(1, parameter[0].numel()))
            values = random_array(tuple(parameter.shape), name, seed) * numpy.float32(bound)
            parameter.copy_(torch.from_numpy(values))

        def level(module: Any, arguments: Inputs, output: Any) -> Any:
            scale = output.float().pow(2).mean().sqrt().item()
            if not 0.0 < scale < math.inf:
                return output
            factor = 2.0 ** -round(math.log(scale, 2))
            module.weight.mul_(factor)
            return output * factor

        hooks = [m.register_forward_hook(level) for m in model.modules() if isinstance(m, layers)]
        with torch.backends.mkldnn.flags(enabled=False):
            model(*inputs)
        for hook in hooks:
            hook.remove()


def weights_sha256(model: Any) -> str | None:
    """Return the SHA-256 over names, shapes and bytes of the model's state, or None for a plain callable."""
    if not hasattr(model, "state_dict"):
        return None
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if hasattr(tensor, "detach"):
            array = to_numpy(tensor)
            digest.update(("%s %s %s\n" % (name, array.dtype, array.shape)).encode())
            digest.update(numpy.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()
