"""A backbone of Qwen3-VL-2B's geometry with random weights and few layers: prefill, decoding, RAM capture."""

from collections.abc import Callable, Iterator
from functools import cache
from time import perf_counter
from typing import Any

import torch
from psutil import virtual_memory
from transformers import DynamicCache, PreTrainedModel, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.cost import measured
from corehead_lib.heads import Head, how_many
from corehead_lib.hybrid_cache import HybridCache
from corehead_lib.models import Backbone
from corehead_lib.plan import HybridPlan
from corehead_lib.ram import RetrievalAttentionMass
from corehead_lib.timing import take_turns

STEPS = 8  # tokens that decoding is timed on
QUESTION = 32  # query tokens of RAM, about a sentence or two


@cache
def backbone(layers: int, dtype: str) -> Qwen3VLForConditionalGeneration:
    """Hidden size 2048, 16 heads on 8 KV heads of 128, MLP 6144; a small vocabulary and vision tower."""
    config = Qwen3VLConfig(
        text_config={
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "num_hidden_layers": layers,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 1000,
            "max_position_embeddings": 262144,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 2048,
        },
    )
    config.vision_config.deepstack_visual_indexes = []
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    return model.eval().to(getattr(torch, dtype))


def plan(layers: int, window: int, sinks: int) -> HybridPlan:
    """Top 5 % as a full model of 28 layers has them: 22 of 448 heads, so about 0.8 to a layer; here one to each."""
    dense = tuple(Head(layer, (5 * layer + 3) % 16) for layer in range(layers))
    assert len(dense) >= how_many(0.05, 16 * layers)
    return HybridPlan(dense, window, sinks, Backbone(layers, 16, 8, 128))


def tokens(length: int) -> torch.Tensor:
    return torch.randint(0, 1000, (1, length), generator=torch.Generator().manual_seed(length))


class Stopwatch(Operator):
    """Adds up the seconds that attention takes within a forward pass."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def begin(self, model: PreTrainedModel) -> None:
        self.seconds.append(0.0)

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        start = perf_counter()
        output = inner(call)
        self.seconds[-1] += perf_counter() - start
        return output


def prefill(
    length: int, rounds: int, layers: int, window: int, sinks: int, dtype: str, **_: Any
) -> Iterator[dict[str, Any]]:
    """Whole forward pass, dense and hybrid; attention's share of the dense one bounds the gain."""
    model, ids, chosen = backbone(layers, dtype), tokens(length), plan(layers, window, sinks)
    operator, watches = chosen.operator(fall_back=True), {"dense": Stopwatch(), "hybrid": Stopwatch()}

    def run() -> None:
        with watches["dense"](model):
            model(input_ids=ids, use_cache=False, logits_to_keep=1)

    def hybrid() -> None:
        with operator(model), watches["hybrid"](model):
            model(input_ids=ids, use_cache=False, logits_to_keep=1)

    costs = take_turns({"dense": run, "hybrid": hybrid}, model.device, rounds)
    attention = {name: min(watch.seconds[1:]) for name, watch in watches.items()}
    share = attention["dense"] / costs["dense"].seconds
    for name, cost in costs.items():
        row = {"kernel": name, "layers": layers, "dtype": dtype, "seconds": cost.seconds}
        row |= {"attention_seconds": attention[name], "extra_bytes": cost.extra_bytes}
        gain = costs["dense"].seconds / cost.seconds
        yield {**row, "gain": gain, "attention_share": share, "gain_at_most": 1 / (1 - share)}


def decode(
    length: int, rounds: int, layers: int, window: int, sinks: int, dtype: str, **_: Any
) -> Iterator[dict[str, Any]]:
    """Tokens per second after ``length`` tokens, whose keys and values are random, and the cache's bytes."""
    model, chosen = backbone(layers, dtype), plan(layers, window, sinks)
    operator, token = chosen.operator(), tokens(1)

    def dense_step(cache: Any) -> None:
        model(input_ids=token, past_key_values=cache, use_cache=True)

    def hybrid_step(cache: Any) -> None:
        with operator(model):
            dense_step(cache)

    caches = {
        "dense": (filled(DynamicCache(), length, layers, model.dtype), dense_step),
        "hybrid, whole cache": (filled(DynamicCache(), length, layers, model.dtype), hybrid_step),
        "hybrid": (filled(HybridCache(operator, model), length, layers, model.dtype), hybrid_step),
    }
    for layer in caches["hybrid"][0].layers:
        layer.trim([(0, length)])
    kept = {
        name: sum(x.nbytes for layer in c.layers for x in (layer.keys, layer.values))
        for name, (c, _) in caches.items()
    }
    kept["hybrid"] = caches["hybrid"][0].nbytes
    turns = {
        name: (lambda c=c, step=step: [step(c) for _ in range(STEPS)]) for name, (c, step) in caches.items()
    }
    for name, cost in take_turns(turns, model.device, rounds).items():
        row = {
            "kernel": name,
            "layers": layers,
            "tokens_per_second": STEPS / cost.seconds,
            "cache_bytes": kept[name],
        }
        yield {
            **row,
            "cache_gain": kept["dense"] / kept[name],
            "cache_gain_planned": chosen.cache_gain(length),
        }


def filled(cache: Any, length: int, layers: int, dtype: torch.dtype) -> Any:
    for layer in range(layers):
        cache.update(*(torch.randn(1, 8, length, 128, dtype=dtype) for _ in range(2)), layer)
    return cache


def capture(length: int, rounds: int, layers: int, dtype: str, **_: Any) -> Iterator[dict[str, Any]]:
    """A forward pass without and with RAM of the last tokens, and by eager attention where that fits."""
    model, ids = backbone(layers, dtype), tokens(length)
    queries, targets = torch.zeros(1, length, dtype=torch.bool), torch.zeros(1, length, dtype=torch.bool)
    queries[:, -QUESTION:], targets[:, : length // 2] = True, True

    def run(**options: Any) -> None:
        model(input_ids=ids, use_cache=False, logits_to_keep=1, **options)

    def ram() -> None:
        with RetrievalAttentionMass(queries, targets)(model):
            run()

    kernels: dict[str, Callable[[], object]] = {"sdpa": run, "RAM": ram}
    costs = take_turns(kernels, model.device, rounds)
    if (layers + 2) * 16 * length**2 * 4 < 0.75 * virtual_memory().available:
        model.set_attn_implementation({"text_config": "eager"})
        with measured(model.device) as costs["eager"]:
            run(output_attentions=True)
        model.set_attn_implementation({"text_config": "sdpa"})
    for name, cost in costs.items():
        row = {"kernel": name, "layers": layers, "seconds": cost.seconds, "extra_bytes": cost.extra_bytes}
        beyond = cost.extra_bytes - costs["sdpa"].extra_bytes
        yield {**row, "times_sdpa": cost.seconds / costs["sdpa"].seconds, "bytes_beyond_sdpa": beyond}
