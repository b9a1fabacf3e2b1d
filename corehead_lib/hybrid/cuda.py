"""Hybrid attention on a GPU, by FlexAttention with one mask for each head (arXiv 2412.05496).

Its mask and its blocks are tested on CPU. **Compiled on a GPU it is untested so far**, for want of one. Whoever
has a GPU can check it against the reference, and time it, by

    python -m corehead_lib.hybrid.timing
"""

from functools import cache
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from corehead_lib.attention import Call
from corehead_lib.hybrid.padding import Places

BLOCK = 128


@cache
def compiled() -> Any:
    """FlexAttention, compiled on first use."""
    return torch.compile(flex_attention)


def attend(
    call: Call, places: Places, dense: list[int], window: int, sinks: int, dense_rows: int, kernel: Any = None
) -> torch.Tensor:
    """All heads in one call, (B, Tq, H, D); padded rows come out as zero.

    ``places``: per sample, its first real token and the end of its real tokens, among the keys.
    """
    heads, queries, keys = call.query.shape[1], call.query.shape[2], call.key.shape[2]
    mask = block_mask(places, heads, queries, keys, dense, window, sinks, dense_rows, call.query.device)
    output = (kernel or compiled())(
        call.query, call.key, call.value, block_mask=mask, scale=call.scaling, enable_gqa=True
    )
    return output.transpose(1, 2)


def block_mask(
    places: Places,
    heads: int,
    queries: int,
    keys: int,
    dense: list[int],
    window: int,
    sinks: int,
    dense_rows: int,
    device: torch.device,
) -> BlockMask:
    """Which keys each head's queries see, and which blocks of 128 x 128 need no look (B, H, Tq, Tk).

    Blocks are found by the ends of intervals, never pair by pair. A block that is in doubt counts as partial:
    there the mask decides for each pair.
    """
    begin = torch.tensor([b for b, _ in places], device=device)
    end = torch.tensor([e for _, e in places], device=device)
    full = torch.zeros(heads, dtype=torch.bool, device=device)
    full[dense] = True
    offset, rows = keys - queries, dense_rows if queries > 1 else 0

    def pair(b: Any, h: Any, q: Any, k: Any) -> Any:
        q = q + offset
        near = (q - k < window) | (k - begin[b] < sinks) | full[h] | (q >= end[b] - rows)
        return (k <= q) & (k >= begin[b]) & (k < end[b]) & near

    q0 = torch.arange(0, queries, BLOCK, device=device)[:, None] + offset  # first and last query of a block
    q1 = (q0 + BLOCK - 1).clamp(max=keys - 1)
    k0 = torch.arange(0, keys, BLOCK, device=device)  # first and last key
    k1 = (k0 + BLOCK - 1).clamp(max=keys - 1)
    b0, b1 = begin[:, None, None, None], end[:, None, None, None]
    always = full[:, None, None]
    some = (q0 - k1 < window) | (k0 - b0 < sinks) | always | (q1 >= b1 - rows)
    every = (q1 - k0 < window) | (k1 - b0 < sinks) | always | (q0 >= b1 - rows)
    some = some & (k0 <= q1) & (k1 >= b0) & (k0 < b1)
    every = every & (k1 <= q0) & (k0 >= b0) & (k1 < b1)
    every &= k0 + BLOCK <= keys  # a block that sticks out needs the kernel's own check
    partial = some & ~every
    return BlockMask.from_kv_blocks(
        *_lists(partial), *_lists(every), BLOCK_SIZE=BLOCK, mask_mod=pair, seq_lengths=(queries, keys)
    )


def _lists(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Per row of blocks, how many there are, and their numbers, those first."""
    numbers = blocks.int().argsort(dim=-1, descending=True, stable=True)
    return blocks.sum(-1).int().contiguous(), numbers.int().contiguous()
