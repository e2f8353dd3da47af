#!/usr/bin/env bash
# What oneDNN's primitive cache is worth: ResNet-50 with room for 1024 primitives, and with none.
# Two caches: PyTorch's own (LRU_CACHE_CAPACITY, PyTorch 1.13 and earlier had more use for it) and oneDNN's.
set -euo pipefail
for capacity in 1024 0; do
  export ONEDNN_PRIMITIVE_CACHE_CAPACITY=$capacity DNNL_PRIMITIVE_CACHE_CAPACITY=$capacity
  profkit capture resnet50 --torch "${1:-2.0}" --lru-cache-capacity "$capacity" --label "cache-$capacity" --rounds 5 --steps 10
done
profkit kernels logs/cache-1024 --warm --by kind
profkit kernels logs/cache-0 --warm --by kind
profkit diff logs/cache-1024 logs/cache-0 --top 5
