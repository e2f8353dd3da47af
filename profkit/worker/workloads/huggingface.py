"""Models of Hugging Face's transformers, with fixed token ids as input."""

from __future__ import annotations

from ..reports import WorkerError
from ..weights import random_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import Order

# the class of transformers that runs a task; a model of the hub without a known task names its own class
CLASSES = {
    "fill-mask": "AutoModelForMaskedLM",
    "text-classification": "AutoModelForSequenceClassification",
    "text2text-generation": "AutoModelForSeq2SeqLM",
}
FIRST_TOKEN = 1000  # of the ids drawn: below it, vocabularies have special tokens


def build(order: Order) -> tuple[Any, Any]:
    """Return the model and a dict of one batch of token ids, int64 of the shape (batch, sequence length)."""
    try:
        import transformers
    except ImportError as error:
        raise WorkerError(
            "workload", "transformers cannot be imported: %s" % error, "Install transformers in this environment."
        )
    transformers.logging.set_verbosity_error()
    details = order["details"]
    config = _config(transformers, details)
    # plain tuples as results: TorchScript and torch.compile take them, and their names are the same in every version
    config.return_dict = False
    config.use_cache = False
    model = _model(transformers, config, order)
    _keep_out_of_state(model)
    ids = _token_ids(order, "input_ids", config.vocab_size)
    inputs = {"input_ids": ids, "attention_mask": ids.new_ones(ids.shape)}
    if config.is_encoder_decoder:
        inputs["decoder_input_ids"] = _token_ids(order, "decoder_input_ids", config.vocab_size)
    return model, inputs


def _config(transformers: Any, details: dict[str, Any]) -> Any:
    if details["type"] is not None:
        return transformers.AutoConfig.for_model(details["type"], **details["differs"])
    return _from_hub("configuration", details["hub"], transformers.AutoConfig.from_pretrained)


def _model(transformers: Any, config: Any, order: Order) -> Any:
    name = CLASSES.get(order["task"])
    if name is None:
        names = getattr(config, "architectures", None) or ["AutoModel"]
        name = names[0]
    made = getattr(transformers, name, None)
    if made is None:
        raise WorkerError("workload", "transformers %s has no %s" % (transformers.__version__, name))
    hub = order["details"]["hub"]
    if order["weights"] == "pretrained":
        return _from_hub("weights", hub, lambda hub: made.from_pretrained(hub, config=config))
    return made.from_config(config) if name.startswith("Auto") else made(config)


def _from_hub(what: str, hub: str, load: Any) -> Any:
    try:
        return load(hub)
    except Exception as error:  # a download can raise OSError, ValueError, and those of three HTTP libraries
        raise WorkerError(
            "weights",
            "the %s of %s is not available: %s" % (what, hub, str(error).strip().split("\n")[0]),
            "Check the name and the network. The models that profkit workloads lists need none with --weights random.",
        )


def _keep_out_of_state(model: Any) -> None:
    """Leave buffers of whole numbers, such as position ids, out of the model's state: not every version has them."""
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            if not buffer.is_floating_point():
                module.register_buffer(name, buffer, persistent=False)


def _token_ids(order: Order, name: str, vocabulary: int) -> Any:
    import torch

    shape = (order["batch"], order["details"]["sequence_length"])
    first = min(FIRST_TOKEN, vocabulary // 2)
    drawn = (random_array(shape, name, order["seed"]).astype("float64") + 1.0) / 2.0  # on [0, 1)
    return torch.from_numpy((first + drawn * (vocabulary - first)).astype("int64"))
