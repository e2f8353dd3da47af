#!/usr/bin/env bash
# What the primitive cache is worth: ResNet-50 with room for 1024 primitives in it, and with none.
#
# There are two caches. oneDNN's own (ONEDNN_PRIMITIVE_CACHE_CAPACITY) may be turned off with 0. PyTorch's
# (LRU_CACHE_CAPACITY, the study's setting) may not: with 0, PyTorch 1.13.1, 2.0.1 and 2.15.0 die of SIGSEGV in their
# first convolution, so the least is 1.
set -euo pipefail
for capacity in 1024 0; do
  export ONEDNN_PRIMITIVE_CACHE_CAPACITY=$capacity DNNL_PRIMITIVE_CACHE_CAPACITY=$capacity
  profkit capture resnet50 --torch "${1:-2.0}" --lru-cache-capacity $((capacity > 0 ? capacity : 1)) \
    --label "cache-$capacity" --rounds 5 --steps 10
done
profkit onednn logs/cache-1024 --warm --by kind
profkit onednn logs/cache-0 --warm --by kind
profkit diff logs/cache-1024 logs/cache-0 --top 5
