"""Interventions on where heads look: evenly, or everywhere but at some tokens."""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

import torch

from corehead_lib.attention import Attend, Call, allowed
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.interventions.base import Intervention, heads_of_layer

Queries = Literal["question", "last", "text", "all"]
Keys = Literal["targets", "visual", "source", "question", "everything"]


@dataclass(frozen=True, eq=False)
class UniformAttention(Intervention):
    """Lets ``heads`` attend evenly to all that they may see: what they write is the mean of the values.

    What the code of arXiv 2404.15574 does to retrieval heads, there in decoding alone: queries are set to zero, so that all logits
    are equal.
    """

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        heads = heads_of_layer(self.heads, call.layer)
        rows = self.rows(call).nonzero().flatten()
        if not heads or not len(rows):
            return inner(call)
        query = call.query.clone()
        query[:, torch.tensor(heads, device=rows.device)[:, None], rows] = 0
        return inner(replace(call, query=query))


@dataclass(frozen=True, eq=False)
class Knockout(Intervention):
    """Cuts the attention of ``heads`` from some tokens to others; what is left of it is scaled up to one.

    queries: the rows of the prompt that are cut off: the "question", the "last" token, all "text" behind the last visual token
        (or behind the context's text), or "all". Rows of the answer are always meant, unless ``when`` leaves them out.
    keys: what they can no longer see: the "targets" (the evidence), all "visual" tokens, all that can be evidence ("source"), the
        "question", or "everything". A token always sees itself.

    Raises CoreheadError for targets where a sample has no evidence.
    """

    queries: Queries = "text"
    keys: Keys = "targets"
    cut_rows: torch.Tensor | None = field(default=None, kw_only=True, repr=False)  # (B, T) bool
    cut_keys: torch.Tensor | None = field(default=None, kw_only=True, repr=False)  # (B, T) bool

    _needs_batch = True

    def on(self, batch: Batch) -> Self:
        bound = super().on(batch)
        return replace(bound, cut_rows=_rows(batch, self.queries), cut_keys=_keys(batch, self.keys))

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        output = inner(call)
        heads = heads_of_layer(self.heads, call.layer)
        if not heads:
            return output
        cut = self._cut(call)
        if not cut.any():
            return output
        rows = torch.arange(call.query.shape[2], device=cut.device)
        batch, queries, keys = cut.shape
        mask = allowed(call, rows).expand(batch, call.query.shape[1], queries, keys).clone()
        mask[:, heads] &= ~cut[:, None]
        changed = inner(replace(call, mask=mask))
        output = output.clone()  # the other heads keep theirs to the bit
        output[:, :, heads] = changed[:, :, heads]
        return output

    def _cut(self, call: Call) -> torch.Tensor:
        """(B, Tq, Tk) bool: the edges that go."""
        assert self.cut_rows is not None
        assert self.cut_keys is not None
        assert self.prompt is not None
        keys = call.key.shape[2]
        if len(self.cut_keys) != len(call.query) or keys < self.prompt:
            raise CoreheadError(
                f"The forward pass holds {len(call.query)} x {keys} tokens, the batch {tuple(self.cut_keys.shape)}: "
                "call .on with the batch that is run."
            )
        cut_keys, cut_rows = (x.to(call.key.device) for x in (self.cut_keys, self.cut_rows))
        seen = cut_keys.new_full((len(cut_keys), keys), self.keys == "everything")
        seen[:, : self.prompt] = cut_keys
        asking = cut_rows.new_ones(len(cut_rows), keys)
        asking[:, : self.prompt] = cut_rows
        places = self.places(call)
        cut = (asking[:, places] & self.rows(call))[:, :, None] & seen[:, None]
        return cut & (places[:, None] != torch.arange(keys, device=places.device))


def _rows(batch: Batch, queries: Queries) -> torch.Tensor:
    if queries == "question":
        return batch.question
    if queries == "last":
        return batch.last
    if queries == "all":
        return torch.ones_like(batch.question)
    if queries == "text":
        left = batch.source.flip(1).cumsum(1).flip(1)  # how much evidence there could be from here on
        return (left == 0) & batch.inputs["attention_mask"].bool()
    raise CoreheadError(f"queries={queries!r}: use 'question', 'last', 'text' or 'all'.")


def _keys(batch: Batch, keys: Keys) -> torch.Tensor:
    if keys == "everything":
        return torch.ones_like(batch.question)
    if keys not in ("targets", "visual", "source", "question"):
        raise CoreheadError(f"keys={keys!r}: use 'targets', 'visual', 'source', 'question' or 'everything'.")
    return batch.targets() if keys == "targets" else getattr(batch, keys)
