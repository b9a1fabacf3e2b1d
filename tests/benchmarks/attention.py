"""One layer's attention on random tensors: dense, hybrid, and other ways to compute the same."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from corehead_lib.attention import Call, plain
from corehead_lib.heads import Head
from corehead_lib.hybrid import cuda as hybrid_cuda
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.hybrid.padding import Padding
from corehead_lib.hybrid.timing import arithmetic_limit, random_call, take_turns
from corehead_lib.interventions import heads_of_layer
from corehead_lib.models import Backbone

MASKED_UP_TO = 8192  # tokens: the mask of 16k tokens alone is a gigabyte in float32


def attention(
    length: int,
    rounds: int,
    heads: tuple[int, int, int],
    window: int,
    sinks: int,
    peers: bool,
    dtype: str,
    **_: Any,
) -> Iterator[dict[str, Any]]:
    """Yield a row per kernel; ``share`` is the part of the arithmetic limit that the hybrid reaches."""
    queries, groups, dense = heads
    few = [Head(0, round((h + 0.5) * queries / dense)) for h in range(dense)]
    call = random_call(Backbone(1, queries, groups, 128), length, dtype=dtype)
    operator = HybridAttention(few, window, sinks, fall_back=True)
    all_streaming = HybridAttention([], window, sinks)
    kernels: dict[str, Callable[[], object]] = {
        "dense": lambda: plain(call),
        "hybrid": lambda: operator.attend(call, plain),
    }
    if peers:
        kernels["hybrid, no fall back"] = lambda: HybridAttention(few, window, sinks).attend(call, plain)
        kernels["all heads stream (StreamingLLM)"] = lambda: all_streaming.attend(call, plain)
        kernels["FlexAttention, compiled"] = lambda: flex(call, few, window, sinks)
        if length <= MASKED_UP_TO:
            kernels["sdpa with a mask"] = lambda: masked(call, operator)
    limit = arithmetic_limit(length, queries, dense, window, sinks)
    costs = take_turns(kernels, call.query.device, rounds)
    for name, cost in costs.items():
        gain = costs["dense"].seconds / cost.seconds
        row = {"kernel": name, "heads": heads, "seconds": cost.seconds, "extra_bytes": cost.extra_bytes}
        yield {**row, "gain": gain, "limit": limit, "share": gain / limit}


def masked(call: Call, operator: HybridAttention) -> torch.Tensor:
    """The same attention without a kernel for it: one mask for all streaming heads, dense heads apart.

    Returns (B, T, H, D); for a prefill without padding.
    """
    place = torch.arange(call.key.shape[2], device=call.key.device)
    mask = (place <= place[:, None]) & ((place[:, None] - place < operator.window) | (place < operator.sinks))
    output = scaled_dot_product_attention(call.query, call.key, call.value, mask, enable_gqa=True)
    dense, group = heads_of_layer(operator.dense, call.layer), call.query.shape[1] // call.key.shape[1]
    groups = [head // group for head in dense]
    output[:, dense] = scaled_dot_product_attention(
        call.query[:, dense], call.key[:, groups], call.value[:, groups], is_causal=True
    )
    return output.transpose(1, 2)


def flex(call: Call, few: list[Head], window: int, sinks: int) -> torch.Tensor:
    places = Padding().places(call)
    return hybrid_cuda.attend(call, places, [head.head for head in few], window, sinks, 0)
