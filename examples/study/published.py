"""Figures as published, each with its source; profkit measured none of them."""

from __future__ import annotations

STUDY = "Optimized PyTorch 2.0 Inference with AWS Graviton processors (pytorch.org, 2023), on c7g.4xlarge"
SEQUEL = "Accelerated PyTorch inference with torch.compile on AWS Graviton processors (pytorch.org, 2024)"
TUTORIAL = "PyTorch Inference Performance Tuning on AWS Graviton Processors (PyTorch tutorials), on c7g.xlarge"

RESNET_UP_TO = 3.5  # speedup of 2.0 over 1.13
BERT_UP_TO = 1.4
BF16_UP_TO = 2.0  # speedup of BF16 fpmath mode over FP32
COST_SAVED = 0.5  # up to: cost of a million inferences on c7g.4xlarge, relative to the other instance types
P90_SAVED = 0.5  # up to: the same for the 90th percentile of the latency

# medians in ms: eager and compiled; T5-small on c7g.xlarge, BERT from the shares that its profile prints
COMPILED_MS = {"t5-small": (30.708, 14.379), "bert": (63.479, 28.97)}
COMPILED_REGION_SHARE = 0.3695  # of BERT's host time: self time of Torch-Compiled Region

# seconds of 100 forwards of the Linear stack by batch, fpmath mode and variable
TUTORIAL_S = {
    (256, "fp32", ""): 16.201,
    (256, "bf16", ""): 7.262,
    (256, "bf16", "THP_MEM_ALLOC_ENABLE"): 6.697,
    (32, "fp32", ""): 6.094,
    (32, "bf16", ""): 4.123,
    (32, "bf16", "TORCH_MKLDNN_MATMUL_MIN_DIM"): 2.034,
    (10, "fp32", ""): 4.115,
    (10, "fp32", "TORCH_MKLDNN_MATMUL_MIN_DIM"): 1.272,
}
