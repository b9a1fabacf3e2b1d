"""Changes to single heads, to learn whether the model needs them."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head


def check_heads(heads: Collection[Head], model: PreTrainedModel) -> None:
    """Raise CoreheadError if the model has no such head."""
    text = model.config.get_text_config()
    for layer, head in heads:
        if not (0 <= layer < text.num_hidden_layers and 0 <= head < text.num_attention_heads):
            raise CoreheadError(
                f"Layer {layer}, head {head} does not exist: the model has {text.num_hidden_layers} layers "
                f"of {text.num_attention_heads} heads, counted from 0."
            )


def heads_of_layer(heads: Collection[Head], layer: int) -> list[int]:
    """Head numbers that ``heads`` holds in one layer, in order."""
    return sorted(head for at, head in heads if at == layer)


@dataclass
class ZeroAblation(Operator):
    """Sets the outputs of ``heads`` to zero before the output projection, in prefill and decoding.

    The convention of arXiv 2605.27243 and 2608.27417. Zero is off the model's distribution, so the
    effect is an upper bound on what the head's content does.
    """

    heads: Collection[Head]

    def begin(self, model: PreTrainedModel) -> None:
        check_heads(self.heads, model)

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        output = inner(call)
        silenced = heads_of_layer(self.heads, call.layer)
        if silenced:
            output = output.clone()
            output[:, :, silenced] = 0
        return output
