#!/usr/bin/env bash
# Measures the effect of the primitive caches: captures ResNet-50 with a capacity of 1024 and with the minimum.
#
# There are two caches. Capacity 0 disables oneDNN's own cache (ONEDNN_PRIMITIVE_CACHE_CAPACITY). PyTorch's cache
# (LRU_CACHE_CAPACITY, see study.sh) cannot be disabled: with capacity 0, PyTorch 1.13.1, 2.0.1 and 2.15.0 crash with
# SIGSEGV in the first convolution. Its minimum is therefore 1.
set -euo pipefail
for capacity in 1024 0; do
  export ONEDNN_PRIMITIVE_CACHE_CAPACITY=$capacity DNNL_PRIMITIVE_CACHE_CAPACITY=$capacity
  profkit capture resnet50 --torch "${1:-2.0}" --lru-cache-capacity $((capacity > 0 ? capacity : 1)) \
    --label "cache-$capacity" --rounds 5 --steps 10
done
profkit onednn logs/cache-1024 --warm --by kind
profkit onednn logs/cache-0 --warm --by kind
profkit diff logs/cache-1024 logs/cache-0 --top 5
