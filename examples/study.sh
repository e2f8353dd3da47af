#!/usr/bin/env bash
# The study's recipe, "Optimized PyTorch 2.0 Inference with AWS Graviton processors": ResNet-50 in frozen TorchScript
# (torch.jit.optimize_for_inference), PyTorch 1.13 against 2.0, FP32 against BF16 fpmath, LRU_CACHE_CAPACITY=1024.
# There, on c7g.4xlarge, ResNet-50 gained up to 3.5x. Run it on any machine; it makes its own environments.
set -euo pipefail
profkit capture resnet50 --torch 1.13 --torch 2.0 --fpmath fp32 --fpmath bf16 --mode frozen "$@"
runs=(logs/1.13-frozen logs/1.13-bf16-frozen logs/2.0-frozen logs/2.0-bf16-frozen)

# what the versions and the mode gained, in one table and one page
profkit compare "${runs[@]}"
profkit compare "${runs[@]}" --output study.html

# which operators and primitives did it
profkit diff logs/1.13-frozen logs/2.0-bf16-frozen
profkit diff logs/1.13-frozen logs/2.0-bf16-frozen --output diff.html

# was BF16 real, and did the primitive cache hit
profkit onednn logs/2.0-bf16-frozen --warm --by implementation

# both forwards on one clock: open it in ui.perfetto.dev
profkit lanes logs/1.13-frozen logs/2.0-bf16-frozen --output lanes.json.gz
