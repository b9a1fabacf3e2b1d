"""What all interventions share: which heads, when, and a way to be told the batch."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import torch
from transformers import PreTrainedModel

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head

When = Literal["prefill", "decode", "both"]


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
    return sorted({head for at, head in heads if at == layer})


@dataclass(frozen=True, eq=False)
class Intervention(Operator):
    """Something done to ``heads``: in the prompt's rows ("prefill"), in those of the written answer ("decode"), or in both.

    The rows are told apart by their place, so that an answer counts as decoding whether it is generated with a cache or
    appended and read in one pass. Where the answer begins, says the batch: ``on(batch)`` returns the same intervention
    made ready for it. ``study.outcomes`` calls it.
    """

    heads: Collection[Head]
    when: When = field(default="both", kw_only=True)
    prompt: int | None = field(default=None, kw_only=True)  # tokens of the prompt, padding included

    def on(self, batch: Batch) -> Self:
        """The intervention for this batch."""
        return replace(self, prompt=batch.question.shape[1])

    def begin(self, model: PreTrainedModel) -> None:
        check_heads(self.heads, model)
        if self.when not in ("prefill", "decode", "both"):
            raise CoreheadError(f"when={self.when!r}: use 'prefill', 'decode' or 'both'.")
        if self.prompt is None and (self.when != "both" or self._needs_batch):
            raise CoreheadError(f"{type(self).__name__} must know the batch: write .on(batch) behind it.")

    _needs_batch = False

    def places(self, call: Call) -> torch.Tensor:
        """(Tq,) places of the call's rows in the sequence, counted from 0 with the padding."""
        queries, keys = call.query.shape[2], call.key.shape[2]
        return torch.arange(keys - queries, keys, device=call.query.device)

    def rows(self, call: Call) -> torch.Tensor:
        """(Tq,) bool: the rows that ``when`` means."""
        places = self.places(call)
        if self.when == "both" or self.prompt is None:
            return torch.ones_like(places, dtype=torch.bool)
        return (places < self.prompt) == (self.when == "prefill")


@dataclass(frozen=True, eq=False)
class Replacement(Intervention):
    """Puts other outputs in the place of the heads' own, in front of the output projection."""

    def values(self, call: Call, heads: list[int], rows: torch.Tensor) -> torch.Tensor | float:
        """What ``heads`` say in ``rows`` (R,), numbers of rows: (B, R, heads, D), or one number."""
        raise NotImplementedError

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        output = inner(call)
        heads = heads_of_layer(self.heads, call.layer)
        rows = self.rows(call).nonzero().flatten()
        if not heads or not len(rows):
            return output
        output = output.clone()
        value = torch.as_tensor(self.values(call, heads, rows), dtype=output.dtype, device=output.device)
        if len(rows) == output.shape[1]:
            output[:, :, heads] = value
        else:
            output[:, rows[:, None], torch.tensor(heads, device=rows.device)] = value
        return output


@dataclass(frozen=True, eq=False)
class ZeroAblation(Replacement):
    """Sets the outputs of ``heads`` to zero before the output projection.

    The convention of arXiv 2605.27243 and 2608.27417. Zero may be an output that a head never has, so it can do more than the
    loss of the head's content would; it bounds nothing: a head that says something wrong can cost more than one that is silent.
    """

    def values(self, call: Call, heads: list[int], rows: torch.Tensor) -> float:
        return 0.0
