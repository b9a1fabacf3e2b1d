"""A backbone of a real model's geometry with random weights: what hybrid attention saves in all of a forward pass."""

from functools import cache
from time import perf_counter
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.heads import Head
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.cost import take_turns
from corehead_lib.hybrid.plan import HybridPlan
from corehead_lib.models import Backbone

HIDDEN, MLP = 2048, 6144
HEADS, KV_HEADS, HEAD_DIM = 16, 8, 128
WORDS = 1000
STEPS = 8  # tokens that decoding is timed on


@cache
def random_backbone(
    layers: int, dtype: str = "float32", device: str = "cpu"
) -> Qwen3VLForConditionalGeneration:
    """Layers as Qwen3-VL-2B has 28 of them, random; a small vocabulary and vision tower, which no time is spent on."""
    text = {"hidden_size": HIDDEN, "intermediate_size": MLP, "num_hidden_layers": layers}
    text |= {"num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM}
    vision = {
        "depth": 1,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
    }
    config = Qwen3VLConfig(
        text_config={**text, "vocab_size": WORDS, "max_position_embeddings": 262144}, vision_config=vision
    )
    config.vision_config.deepstack_visual_indexes = []
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    return model.eval().to(device, getattr(torch, dtype))


def spread_plan(layers: int, window: int = 256, sinks: int = 16) -> HybridPlan:
    """One dense head to a layer: 6 %; the top 5 % of a full model of 28 layers are 22 of 448, 0.8 to a layer."""
    dense = tuple(Head(layer, (5 * layer + 3) % HEADS) for layer in range(layers))
    return HybridPlan(dense, window, sinks, Backbone(layers, HEADS, KV_HEADS, HEAD_DIM))


def attention_bound(length: int) -> float:
    """How many times faster a prefill of ``length`` tokens can get if attention costs nothing, by multiplications.

    For each token, a layer multiplies by its weights once, and by ``length / 2`` keys and values on average.
    """
    projections = 2 * HIDDEN * HEAD_DIM * (HEADS + KV_HEADS)  # queries and output, keys and values
    weights = projections + 3 * HIDDEN * MLP
    return 1 + length * HEADS * HEAD_DIM / weights


def random_tokens(length: int, device: torch.device) -> torch.Tensor:
    """(1, length) token ids."""
    made = torch.randint(0, WORDS, (1, length), generator=torch.Generator().manual_seed(length))
    return made.to(device)


class Stopwatch(Operator):
    """Adds up the seconds that attention takes in each forward pass; on CPU, where nothing runs on by itself."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def begin(self, model: PreTrainedModel) -> None:
        self.seconds.append(0.0)

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        start = perf_counter()
        output = inner(call)
        if output.is_cuda:
            torch.cuda.synchronize(output.device)
        self.seconds[-1] += perf_counter() - start
        return output


def compare_prefill(
    model: PreTrainedModel, length: int, plan: HybridPlan, rounds: int = 1
) -> list[dict[str, Any]]:
    """Time whole forward passes, dense and hybrid, taking turns; hybrid falls back where it would not gain.

    Returns a row for each: kernel, length, seconds, attention_seconds, extra_bytes; ``gain`` over dense, the
    ``attention_share`` of the dense pass, and ``gain_at_most``, which that share allows.
    """
    ids, operator = random_tokens(length, model.device), plan.operator(fall_back=True)
    watches = {"dense": Stopwatch(), "hybrid": Stopwatch()}

    def dense() -> None:
        with watches["dense"](model):
            model(input_ids=ids, use_cache=False, logits_to_keep=1)

    def hybrid() -> None:
        with operator(model), watches["hybrid"](model):
            model(input_ids=ids, use_cache=False, logits_to_keep=1)

    with torch.inference_mode():
        costs = take_turns({"dense": dense, "hybrid": hybrid}, model.device, rounds)
    attention = {name: min(watch.seconds[1:]) for name, watch in watches.items()}
    share = attention["dense"] / costs["dense"].seconds
    rows = []
    for name, cost in costs.items():
        row = {"kernel": name, "length": length, "seconds": cost.seconds, "extra_bytes": cost.extra_bytes}
        row |= {"attention_seconds": attention[name], "gain": costs["dense"].seconds / cost.seconds}
        rows.append({**row, "attention_share": share, "gain_at_most": 1 / (1 - share)})
    return rows


def compare_decode(
    model: PreTrainedModel, length: int, plan: HybridPlan, rounds: int = 1
) -> list[dict[str, Any]]:
    """Time decoding steps after ``length`` tokens, whose keys and values are random.

    Returns rows of kernel ("dense", "hybrid, whole cache", "hybrid"), length, tokens_per_second, cache_bytes,
    ``cache_gain`` over dense, and what the plan predicts it to be.
    """
    operator, token = plan.operator(), random_tokens(1, model.device)

    def dense(cache: Any) -> None:
        for _ in range(STEPS):
            model(input_ids=token, past_key_values=cache, use_cache=True)

    def hybrid(cache: Any) -> None:
        with operator(model):
            dense(cache)

    whole, kept = {}, {}
    for name in ("dense", "hybrid, whole cache"):
        whole[name] = _filled(DynamicCache(), length, plan.backbone, model)
        kept[name] = cache_bytes(whole[name])
    trimmed = _filled(HybridCache(operator, model), length, plan.backbone, model)
    for layer in trimmed.layers:
        layer.trim([(0, length)])
    kept["hybrid"] = trimmed.nbytes
    turns = {
        "dense": lambda: dense(whole["dense"]),
        "hybrid, whole cache": lambda: hybrid(whole["hybrid, whole cache"]),
        "hybrid": lambda: hybrid(trimmed),
    }
    with torch.inference_mode():
        costs = take_turns(turns, model.device, rounds)
    return [
        {
            "kernel": name,
            "length": length,
            "tokens_per_second": STEPS / cost.seconds,
            "cache_bytes": kept[name],
            "cache_gain": kept["dense"] / kept[name],
            "cache_gain_planned": plan.cache_gain(length),
        }
        for name, cost in costs.items()
    ]


def cache_bytes(cache: Any) -> int:
    """Bytes of all keys and values in a cache of transformers' own."""
    return sum(x.nbytes for layer in cache.layers for x in (layer.keys, layer.values))


def _filled(cache: Any, length: int, shape: Backbone, model: PreTrainedModel) -> Any:
    size = (1, shape.kv_heads, length, shape.head_dim)
    for layer in range(shape.layers):
        cache.update(*(torch.randn(size, dtype=model.dtype, device=model.device) for _ in range(2)), layer)
    return cache
