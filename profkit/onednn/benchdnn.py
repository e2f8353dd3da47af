"""The command line of oneDNN's benchdnn that runs a primitive of a log.

Source: oneDNN's ``tests/benchdnn/doc``: a driver per kind of primitive, whose problem descriptor is that of the log.
"""

from __future__ import annotations

import shlex

DRIVERS = {"convolution": "conv", "deconvolution": "deconv", "inner_product": "ip", "matmul": "matmul"}
_TYPES = ("src", "wei", "dst")
_FPMATH = ("strict", "fp32")


def benchdnn(kind: str, problem: str, types: dict[str, str], fpmath: str) -> str | None:
    """Return the command for a primitive; None for a kind that this function cannot write one for.

    ``types`` are the data types of its arguments by name (``src``, ``wei``, ``dst``), ``fpmath`` is its mode.
    """
    driver = DRIVERS.get(kind)
    if driver is None or not problem:
        return None
    words = ["benchdnn", "--mode=P", f"--{driver}"]
    if kind != "matmul":
        words.append("--dir=FWD_I")
    known = [types.get(name, "f32") for name in _TYPES]
    words.append(f"--dt={known[0] if len(set(known)) == 1 else ':'.join(known)}")
    if fpmath not in _FPMATH:
        words.append(f"--attr-fpmath={fpmath}")
    return shlex.join([*words, problem])
