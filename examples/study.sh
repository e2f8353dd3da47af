#!/usr/bin/env bash
# Repeats the setup of the study "Optimized PyTorch 2.0 Inference with AWS Graviton processors": ResNet-50 in frozen
# TorchScript (torch.jit.optimize_for_inference), PyTorch 1.13 and 2.0, FP32 and BF16 fpmath mode,
# LRU_CACHE_CAPACITY=1024. The study reports a speedup of up to 3.5x for ResNet-50 on c7g.4xlarge. This script runs on
# any machine and creates its own environments.
set -euo pipefail
profkit capture resnet50 --torch 1.13 --torch 2.0 --fpmath fp32 --fpmath bf16 --mode frozen "$@"
runs=(logs/1.13-frozen logs/1.13-bf16-frozen logs/2.0-frozen logs/2.0-bf16-frozen)

# the speedup of each version and fpmath mode, as a table and as a page
profkit compare "${runs[@]}"
profkit compare "${runs[@]}" --output study.html

# the changes per operator and primitive
profkit diff logs/1.13-frozen logs/2.0-bf16-frozen
profkit diff logs/1.13-frozen logs/2.0-bf16-frozen --output diff.html

# whether primitives ran in BF16, and the hit rate of the primitive cache
profkit onednn logs/2.0-bf16-frozen --warm --by implementation

# both forwards with a common start; open the file in ui.perfetto.dev
profkit lanes logs/1.13-frozen logs/2.0-bf16-frozen --output lanes.json.gz
