"""Models of Hugging Face's transformers: those of the study and its sequel by name, any other as ``hf:ORG/NAME``.

Random weights need no network: the architectures of the named models are given here, as the models' published
``config.json`` files have them. transformers 4.30.2 runs with every PyTorch from 1.13 to 2.15, so that a comparison of
PyTorch versions does not compare versions of transformers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from profkit.capture.workloads.order import Known, WorkloadOptions, WorkloadOrder

PACKAGES = ("transformers==4.30.2",)
PREFIX = "hf:"
_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


class _Model(NamedTuple):
    """A model of the hub, its task, its type in transformers, and where it differs from that type's defaults."""

    hub: str
    task: str
    type: str
    differs: Mapping[str, Any]


MODELS = {
    "bert": _Model("bert-base-uncased", "fill-mask", "bert", {}),
    "distilbert-sentiment": _Model(
        "distilbert-base-uncased-finetuned-sst-2-english", "text-classification", "distilbert", {"num_labels": 2}
    ),
    "roberta-fill-mask": _Model("roberta-base", "fill-mask", "roberta", _ROBERTA),
    "roberta-sentiment": _Model(
        "cardiffnlp/twitter-roberta-base-sentiment", "text-classification", "roberta", {**_ROBERTA, "num_labels": 3}
    ),
    "t5-small": _Model("t5-small", "text2text-generation", "t5", {}),
}


def known() -> Iterator[Known]:
    """Yield the models that have names."""
    return (Known(name, "huggingface", model.task) for name, model in MODELS.items())


def resolve(word: str, options: WorkloadOptions) -> WorkloadOrder | None:
    """Return the model that ``word`` names, or None."""
    details: dict[str, Any] = {"sequence_length": options.sequence_length}
    if word in MODELS:
        model = MODELS[word]
        details |= {"hub": model.hub, "type": model.type, "differs": dict(model.differs)}
        name, task = word, model.task
    elif word.startswith(PREFIX) and _HUB_NAME.fullmatch(word.removeprefix(PREFIX)):
        hub = word.removeprefix(PREFIX)
        details |= {"hub": hub, "type": None, "differs": {}}
        name, task = f"hf-{hub.replace('/', '--')}", ""
    else:
        return None
    return WorkloadOrder(
        name, "huggingface", task, options.batch, options.weights, options.seed, details=details, packages=PACKAGES
    )
