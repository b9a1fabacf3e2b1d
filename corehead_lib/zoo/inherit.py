"""Start a model's language part from another one's, as real multimodal models start from a trained LLM."""

from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin

from corehead_lib.errors import CoreheadError
from corehead_lib.models import load_model


def inherit_language(model: PreTrainedModel, processor: ProcessorMixin, source: str) -> None:
    """Copy the language model of ``source`` (a zoo name or a folder) into ``model``, in place.

    Embeddings go by token: those that the other tokenizer does not know keep their random values.
    Raises CoreheadError if the two language models differ in shape.
    """
    given = load_model(source)
    parent: Any = given.model.model
    child: Any = model.model
    weights = parent.language_model.state_dict()
    old = weights.pop("embed_tokens.weight")
    try:
        left_out = child.language_model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise CoreheadError(f"The language model does not fit that of {source}: {error}") from error
    if left_out.unexpected_keys or left_out.missing_keys != ["embed_tokens.weight"]:
        raise CoreheadError(f"The language model has other parts than that of {source}: {left_out}.")
    known = given.processor.tokenizer.get_vocab()
    new = child.get_input_embeddings().weight
    with torch.no_grad():
        for token, number in processor.tokenizer.get_vocab().items():
            if token in known:
                new[number] = old[known[token]]
