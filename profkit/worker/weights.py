"""Random weights and inputs that are bitwise identical under every version of PyTorch and NumPy."""

from __future__ import annotations

import hashlib
import math
import zlib

import numpy

from .outputs import to_numpy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inputs import Inputs


def random_array(shape: tuple[int, ...], name: str, seed: int) -> Any:
    """Return float32 values, uniform on [-1, 1), that depend only on shape, name and seed.

    NEP 19 guarantees that the stream of ``RandomState`` never changes. Each tensor is seeded with the CRC of its name,
    so its values do not depend on the order in which a model lists its tensors.
    """
    stream = numpy.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    return (stream.random_sample(shape) * 2.0 - 1.0).astype(numpy.float32)


def randomize(model: Any, inputs: Inputs, seed: int) -> None:
    """Set weights that are identical in every version of PyTorch and keep the scale of activations constant.

    Parameters that the constructor set to a constant (normalisation scales, zero biases) are kept, except the weights
    of convolutions and linear layers, for example an output layer initialised to zero. All other parameters are drawn
    again at He scale (He et al. 2015, eq. 10) or, with fewer than two dimensions, set to zero. Then one forward
    multiplies the weight of each convolution and linear layer by the power of two that brings the root mean square of
    its output closest to one. A power of two is exact in floating point, and rounding to a power of two removes
    last-digit differences between versions. oneDNN is off in that forward, so that the fpmath mode has no effect.
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

        def rescale(module: Any, arguments: tuple[Any, ...], output: Any) -> Any:
            scale = output.float().pow(2).mean().sqrt().item()
            if not 0.0 < scale < math.inf:
                return output
            factor = 2.0 ** -round(math.log(scale, 2))
            module.weight.mul_(factor)
            return output * factor

        hooks = [m.register_forward_hook(rescale) for m in model.modules() if isinstance(m, layers)]
        with torch.backends.mkldnn.flags(enabled=False):
            inputs.call(model)
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
