"""Start a model from parts of another one: its language model, as real ones start from an LLM, or its vision tower."""

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


def inherit_vision(model: PreTrainedModel, source: str) -> None:
    """Copy the vision tower of ``source`` (a zoo name or a folder) into ``model``, both Qwen3-VL, in place.

    Raises CoreheadError if the two towers differ in shape, or if one has no ``visual`` part.
    """
    child, parent = (getattr(whole.model, "visual", None) for whole in (model, load_model(source).model))
    if child is None or parent is None:
        raise CoreheadError(
            f"Only a Qwen3-VL can take over a vision tower, and only from one; {source} is given."
        )
    try:
        child.load_state_dict(parent.state_dict())
    except RuntimeError as error:
        raise CoreheadError(f"The vision tower does not fit that of {source}: {error}") from error
