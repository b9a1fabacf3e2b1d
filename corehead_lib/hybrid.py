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

from corehead_lib.attention import Attend, Call, Operator, allowed, plain
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.interventions import check_heads, heads_of_layer

BLOCK = 64  # queries that share one block of keys


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
        output = stream(call, self.window, self.sinks)
        if dense:
            output[:, :, dense] = plain_heads(call, dense)
        if self.dense_rows and call.query.shape[2] > 1:
            rows = min(self.dense_rows, call.query.shape[2])
            output[:, -rows:] = last_rows_dense(call, rows)
        return output


def plain_heads(call: Call, heads: list[int]) -> torch.Tensor:
    """Dense attention of some heads, each with its group's keys and values: (B, Tq, len(heads), D)."""
    queries, keys = call.query.shape[2], call.key.shape[2]
    group = call.query.shape[1] // call.key.shape[1]
    index = torch.tensor(heads, device=call.query.device)
    is_causal = call.mask is None and queries == keys > 1
    output = scaled_dot_product_attention(
        call.query[:, index],
        call.key[:, index // group],
        call.value[:, index // group],
        attn_mask=None if is_causal else causal_mask(call, queries),
        is_causal=is_causal,
        scale=call.scaling,
    )
    return output.transpose(1, 2)


def last_rows_dense(call: Call, rows: int) -> torch.Tensor:
    """Dense attention of the last ``rows`` queries in every head: (B, rows, H, D)."""
    return grouped(call.query[:, :, -rows:], call.key, call.value, causal_mask(call, rows), call.scaling)


def causal_mask(call: Call, rows: int) -> torch.Tensor:
    """What the last ``rows`` queries may see: bool (B or 1, 1, rows, Tk)."""
    queries = call.query.shape[2]
    return allowed(call, torch.arange(queries - rows, queries, device=call.query.device))


def grouped(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scaling: float
) -> torch.Tensor:
    """Attention with the heads of a KV group stacked as rows, so that K and V are not repeated: (B, T, H, D)."""
    batch, heads, rows, width = query.shape
    groups = key.shape[1]
    output = scaled_dot_product_attention(
        query.reshape(batch, groups, -1, width),
        key,
        value,
        attn_mask=mask.repeat(1, 1, heads // groups, 1),
        scale=scaling,
    )
    return output.reshape(batch, heads, rows, width).transpose(1, 2)


def first_real_token(call: Call) -> torch.Tensor:
    """(B or 1,) place of each sample's first token that is not padding."""
    if call.mask is None:
        return torch.zeros(1, dtype=torch.long, device=call.query.device)
    return call.mask[:, 0, -1].int().argmax(-1)  # the last query sees every real token


def stream(call: Call, window: int, sinks: int) -> torch.Tensor:
    """Sinks and causal window in every head, in blocks of queries: (B, Tq, H, D).

    Each block attends to the sinks and to the one slice of keys that its windows cover, so no
    (Tq, Tk) matrix is ever made. Padded rows come out as zero.
    """
    queries, keys, device = call.query.shape[2], call.key.shape[2], call.query.device
    offset = keys - queries  # keys that the cache held already
    output = call.query.new_empty(call.query.transpose(1, 2).shape)
    begin = first_real_token(call)[:, None]
    sink = begin + torch.arange(min(sinks, keys), device=device)  # (B or 1, S) places
    batch, groups, _, width = call.key.shape
    take = sink.clamp(max=keys - 1)[:, None, :, None].expand(batch, groups, -1, width)
    sink_key, sink_value = call.key.gather(2, take), call.value.gather(2, take)
    for start in range(0, queries, BLOCK):
        stop = min(start + BLOCK, queries)
        left, right = max(0, start + offset - window + 1), stop + offset
        place = torch.arange(start + offset, right, device=device)[None, :, None]  # of the queries
        near = torch.arange(left, right, device=device)[None, None]
        in_window = (near <= place) & (place - near < window) & (near >= (begin + sinks)[..., None])
        in_sinks = (sink[:, None] <= place) & (sink < keys)[:, None]
        mask = torch.cat([in_sinks, in_window], dim=-1)[:, None]
        block = grouped(
            call.query[:, :, start:stop],
            torch.cat([sink_key, call.key[:, :, left:right]], dim=2),
            torch.cat([sink_value, call.value[:, :, left:right]], dim=2),
            mask | ~mask.any(-1, keepdim=True),  # padded rows: attend anywhere, then set to zero
            call.scaling,
        )
        output[:, start:stop] = block * (place >= begin[:, None])[..., None]
    return output
