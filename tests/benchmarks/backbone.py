"""A backbone of Qwen3-VL-2B's geometry with random weights and few layers: prefill, decoding, RAM capture."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from psutil import virtual_memory

from corehead_lib.hybrid.backbone import (
    HEADS,
    compare_decode,
    compare_prefill,
    random_backbone,
    random_tokens,
    spread_plan,
)
from corehead_lib.hybrid.cost import measured
from corehead_lib.hybrid.timing import take_turns
from corehead_lib.ram_operator import RetrievalAttentionMass

QUESTION = 32  # query tokens of RAM, about a sentence or two


def prefill(
    length: int, rounds: int, layers: int, window: int, sinks: int, dtype: str, **_: Any
) -> Iterator[dict[str, Any]]:
    """Whole forward pass, dense and hybrid; attention's share of the dense one bounds the gain."""
    plan = spread_plan(layers, window, sinks)
    for row in compare_prefill(random_backbone(layers, dtype), length, plan, rounds):
        yield {**row, "layers": layers, "dtype": dtype}


def decode(
    length: int, rounds: int, layers: int, window: int, sinks: int, dtype: str, **_: Any
) -> Iterator[dict[str, Any]]:
    """Tokens per second after ``length`` tokens, whose keys and values are random, and the cache's bytes."""
    plan = spread_plan(layers, window, sinks)
    for row in compare_decode(random_backbone(layers, dtype), length, plan, rounds):
        yield {**row, "layers": layers, "dtype": dtype}


def capture(length: int, rounds: int, layers: int, dtype: str, **_: Any) -> Iterator[dict[str, Any]]:
    """A forward pass without and with RAM of the last tokens, and by eager attention where that fits."""
    model = random_backbone(layers, dtype)
    ids = random_tokens(length, model.device)
    queries, targets = torch.zeros(1, length, dtype=torch.bool), torch.zeros(1, length, dtype=torch.bool)
    queries[:, -QUESTION:], targets[:, : length // 2] = True, True

    def run(**options: Any) -> None:
        model(input_ids=ids, use_cache=False, logits_to_keep=1, **options)

    def ram() -> None:
        with RetrievalAttentionMass(queries, targets)(model):
            run()

    kernels: dict[str, Callable[[], object]] = {"sdpa": run, "RAM": ram}
    costs = take_turns(kernels, model.device, rounds)
    if (layers + 2) * HEADS * length**2 * 4 < 0.75 * virtual_memory().available:
        model.set_attn_implementation({"text_config": "eager"})
        with measured(model.device) as costs["eager"]:
            run(output_attentions=True)
        model.set_attn_implementation({"text_config": "sdpa"})
    for name, cost in costs.items():
        row = {"kernel": name, "layers": layers, "seconds": cost.seconds, "extra_bytes": cost.extra_bytes}
        beyond = cost.extra_bytes - costs["sdpa"].extra_bytes
        yield {**row, "times_sdpa": cost.seconds / costs["sdpa"].seconds, "bytes_beyond_sdpa": beyond}
