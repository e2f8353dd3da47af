#!/usr/bin/env bash
# Captures the real cases of the rules for findings into this folder, one folder per rule: two small runs each.
set -euo pipefail
cd "$(dirname "$0")"
short=(--rounds 2 --steps 2 --warmup 2 --quiet)
one() { # RULE MODEL OPTIONS...
  profkit capture "cases.py:$2" --logdir "$1" "${short[@]}" "${@:3}"
}
one many-short-calls short_calls --torch 2.0 --mode eager --mode frozen --no-onednn
one page-faults large_temporaries --torch 2.0 --no-onednn --env MALLOC_MMAP_THRESHOLD_=4294967296 \
  --env MALLOC_MMAP_THRESHOLD_=131072 --env MALLOC_TRIM_THRESHOLD_=4294967296
one threads short_calls --torch 2.0 --threads 1 --threads 8 --no-onednn
one primitive-cache convolutions --torch 2.0 --env ONEDNN_PRIMITIVE_CACHE_CAPACITY=1024 \
  --env ONEDNN_PRIMITIVE_CACHE_CAPACITY=0
one reference-implementations volumes --torch 2.0 --mode frozen --env ONEDNN_MAX_CPU_ISA=AVX512_CORE \
  --env ONEDNN_MAX_CPU_ISA=SSE41
one copies-and-conversions deep --torch 2.0 --no-autocast --autocast --no-onednn
one outputs deep --torch 2.0 --dtype fp32 --dtype bf16 --no-onednn
# the neighbour keeps every processor busy, so that rounds are disturbed
for _ in $(seq "$(nproc)"); do (while :; do :; done) & done
trap 'kill $(jobs -p)' EXIT
one machine large_temporaries --torch 2.0 --mode eager --mode frozen --no-onednn --steps 8
