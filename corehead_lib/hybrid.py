"""Hybrid attention: a few heads stay dense, all others stream (sinks and a causal window).

A streaming query at place i sees key j when j <= i and either i - j < window or j is one of the
first ``sinks`` real tokens (StreamingLLM, arXiv 2309.17453; the paper's "[i-w, i+w]" is causal in
a decoder). The work of a streaming head grows with the length, not with its square.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from corehead_lib.attention import Attend, Call, Operator, plain
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.interventions import check_heads, heads_of_layer

BLOCK = 256  # queries that share one block of keys


@dataclass
class HybridAttention(Operator):
    """Keeps ``dense`` heads on the plain kernel and lets all others stream.

    window: keys that a streaming query sees, itself included (>= 1).
    sinks: first real tokens that every query sees (>= 0).
    dense_rows: the last rows of the prompt (such as the question) that stay dense in every head; 0
        for none.
    """

    dense: Collection[Head]
    window: int
    sinks: int = 4
    dense_rows: int = 0

    def begin(self, model: PreTrainedModel) -> None:
        check_heads(self.dense, model)
        if self.window < 1 or self.sinks < 0 or self.dense_rows < 0:
            raise CoreheadError(
                f"window={self.window}, sinks={self.sinks}, dense_rows={self.dense_rows}: "
                "the window holds at least the token itself, the others are not negative."
            )

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        """Replaces the kernel: operators entered before this one do not act within it."""
        heads, keys = call.query.shape[1], call.key.shape[2]
        dense = heads_of_layer(self.dense, call.layer)
        if len(dense) == heads or keys <= self.window:
            return plain(call)
        output = call.query.new_empty(call.query.shape).transpose(1, 2)  # (B, Tq, H, D)
        streaming = [h for h in range(heads) if h not in dense]
        if dense:
            output[:, :, dense] = plain_heads(call, dense)
        first = first_real_token(call)
        output[:, :, streaming] = stream(pick_heads(call, streaming), first, self.window, self.sinks)
        if self.dense_rows and call.query.shape[2] > 1:
            rows = min(self.dense_rows, call.query.shape[2])
            output[:, -rows:, streaming] = last_rows_dense(pick_heads(call, streaming), rows)
        return output


@dataclass(frozen=True)
class HeadCall:
    """Query, key and value of some heads alone, KV repeated per query head: (B, H, T, D)."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    mask: torch.Tensor | None
    scaling: float


def pick_heads(call: Call, heads: list[int]) -> HeadCall:
    """Take ``heads`` out of a call; each brings its group's keys and values."""
    group = call.query.shape[1] // call.key.shape[1]
    index = torch.tensor(heads, device=call.query.device)
    return HeadCall(
        call.query[:, index],
        call.key[:, index // group],
        call.value[:, index // group],
        call.mask,
        call.scaling,
    )


def plain_heads(call: Call, heads: list[int]) -> torch.Tensor:
    """Dense attention of some heads: (B, Tq, len(heads), D)."""
    part = pick_heads(call, heads)
    return last_rows_dense(part, part.query.shape[2])


def last_rows_dense(part: HeadCall, rows: int) -> torch.Tensor:
    """Dense causal attention of the last ``rows`` queries: (B, rows, H, D)."""
    query = part.query[:, :, -rows:]
    queries, keys = query.shape[2], part.key.shape[2]
    mask = None if part.mask is None else part.mask[:, :, -rows:, :keys]
    if mask is None and 1 < queries < keys:
        place = torch.arange(keys - queries, keys, device=query.device)
        mask = torch.arange(keys, device=query.device) <= place[:, None]
    output = scaled_dot_product_attention(
        query,
        part.key,
        part.value,
        attn_mask=mask,
        is_causal=mask is None and queries == keys > 1,
        scale=part.scaling,
    )
    return output.transpose(1, 2)


def first_real_token(call: Call) -> torch.Tensor | None:
    """(B,) place of each sample's first token that is not padding; None if nothing is padded."""
    if call.mask is None:
        return None
    first = call.mask[:, 0, -1].int().argmax(-1)  # the last query sees every real token
    return first if bool(first.any()) else None


def stream(part: HeadCall, first: torch.Tensor | None, window: int, sinks: int) -> torch.Tensor:
    """Sinks and causal window for every head, in blocks of queries: (B, Tq, H, D).

    Each block attends to the sinks and to the one slice of keys that its windows cover, so no
    (Tq, Tk) matrix is ever made. Padded rows come out as zero.
    """
    batch, _, queries, _ = part.query.shape
    keys, device = part.key.shape[2], part.query.device
    offset = keys - queries  # keys that the cache held already
    begin = torch.zeros(batch, dtype=torch.long, device=device) if first is None else first
    output = torch.empty_like(part.query)
    sink = begin[:, None] + torch.arange(min(sinks, keys), device=device)  # (B, S) places
    take = sink.clamp(max=keys - 1)[:, None, :, None].expand(-1, part.key.shape[1], -1, part.key.shape[3])
    sink_key, sink_value = part.key.gather(2, take), part.value.gather(2, take)
    for start in range(0, queries, BLOCK):
        stop = min(start + BLOCK, queries)
        left = max(0, start + offset - window + 1)
        right = stop + offset
        place = torch.arange(start + offset, right, device=device)[None, :, None]  # of the queries
        near = torch.arange(left, right, device=device)[None, None]
        in_window = (near <= place) & (place - near < window) & (near >= (begin + sinks)[:, None, None])
        in_sinks = (sink[:, None] <= place) & (sink < keys)[:, None]
        mask = torch.cat([in_sinks, in_window], dim=-1)[:, None]
        mask = mask | ~mask.any(-1, keepdim=True)  # padded rows: attend anywhere, then set to zero
        block = scaled_dot_product_attention(
            part.query[:, :, start:stop],
            torch.cat([sink_key, part.key[:, :, left:right]], dim=2),
            torch.cat([sink_value, part.value[:, :, left:right]], dim=2),
            attn_mask=mask,
            scale=part.scaling,
        )
        real = (place[..., 0] >= begin[:, None])[:, None, :, None]
        output[:, :, start:stop] = block * real
    return output.transpose(1, 2)
