"""Does a frozen convolution reorder its weights in every forward? Exits with 1 if it does.

    python examples/versions/frozen_weights.py
    profkit bisect --run 'python examples/versions/frozen_weights.py' --good 2.7 --bad 2.8

A frozen TorchScript model should hold its weights in the layout that oneDNN wants, so that they are reordered once. The
script runs itself with oneDNN's log on, and counts reorders in the forwards after the warm-up.
"""

import os
import subprocess
import sys

WARMUP, FORWARDS = 5, 5
MARK = "counted from here on"


def run():
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(64, 64, 3, padding=1), torch.nn.ReLU()).eval()
    images = torch.rand(1, 64, 56, 56)
    with torch.no_grad():
        frozen = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, images)))
        for number in range(WARMUP + FORWARDS):
            if number == WARMUP:
                print(MARK, flush=True)
            frozen(images)


def main():
    if "--run" in sys.argv:
        run()
        return
    environment = dict(os.environ, ONEDNN_VERBOSE="1", DNNL_VERBOSE="1")
    log = subprocess.run(
        [sys.executable, __file__, "--run"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.partition(MARK)[2]
    reorders = [line for line in log.splitlines() if ",exec," in line and ",reorder," in line and "64x64x3x3" in line]
    print(f"{len(reorders)} reorders of weights in {FORWARDS} forwards")
    sys.exit(bool(reorders))


main()
