"""The core computed a second time by other means: two models of each family, one untrained and one that ships.

Nothing here calls the package's attention, layouts or kernels to say what is right: RAM is summed entry by entry over
eager attention, cells are looked up by painting pixels and watching which embedding moves, heads are silenced
in front of the output projection, and hybrid attention is a softmax over masks that are written out in full.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_ram import naive
from tiny import RECIPES, eager_attention, forward, noise
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from corehead_lib.encode import Batch, encode
from corehead_lib.heads import Head
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import measure_ram
from corehead_lib.samples import Box, Sample

SHIPPED = {
    "qwen3_vl": "tiny-qwen3-vl",
    "internvl": "tiny-internvl",
    "llava_onevision": "tiny-llava-onevision",
}
SAMPLES = (
    Sample("a", "t", "Which digit is on the red star?", "7", (noise(96, 64),), (Box(10, 10, 40, 30),)),
    Sample("b", "t", "How many?", "12", (noise(64, 64), noise(96, 80)), (Box(50, 50, 96, 80, item=1),)),
    Sample("c", "t", "What is it?", "1", (noise(150, 70),), (Box(0, 0, 20, 70),)),
)

pytestmark = pytest.mark.slow


@pytest.fixture(
    params=[(family, kind) for family in RECIPES for kind in ("untrained", "shipped")], ids="-".join
)
def loaded(request: pytest.FixtureRequest, families: dict[str, LoadedModel]) -> LoadedModel:
    family, kind = request.param
    return families[family] if kind == "untrained" else load_model(SHIPPED[family])


def some_heads(loaded: LoadedModel, number: int, seed: int) -> list[Head]:
    shape = loaded.backbone
    drawn = np.random.default_rng(seed).choice(shape.layers * shape.heads, number, replace=False)
    return [Head(int(i) // shape.heads, int(i) % shape.heads) for i in drawn]


def test_ram_is_the_nested_sum(loaded: LoadedModel) -> None:
    batch = encode(loaded, SAMPLES)
    scores = measure_ram(loaded, [batch], ("question", "last"))
    attention = eager_attention(loaded, batch)
    for query, rows in (("question", batch.question), ("last", batch.last)):
        np.testing.assert_allclose(scores[query].target, naive(attention, rows, batch.targets()), atol=1e-5)


def embeddings(loaded: LoadedModel, sample: Sample, max_pixels: int = 0) -> np.ndarray:
    """What the language model is handed for each token, (T, hidden)."""
    seen = []
    hook = loaded.model.get_decoder().register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"][0].float().numpy()), with_kwargs=True
    )
    with torch.inference_mode():
        loaded.model(**encode(loaded, [sample], max_pixels).inputs, use_cache=False, logits_to_keep=1)
    hook.remove()
    return seen[0]


def local(loaded: LoadedModel) -> LoadedModel:
    """A copy whose vision tower passes nothing from patch to patch: what its attention says is not heard."""
    model = deepcopy(loaded.model)
    language = set(model.get_decoder().modules())
    for part in set(model.modules()) - language:
        if type(part).__name__.endswith("Attention"):
            for name, child in part.named_children():
                if name in ("proj", "out_proj", "projection_layer"):
                    child.requires_grad_(False).weight.zero_()
    return replace(loaded, model=model)


def test_painting_a_cell_moves_its_own_embedding_most(loaded: LoadedModel) -> None:
    rng, loaded = np.random.default_rng(0), local(loaded)
    for sample in SAMPLES[:2]:
        cells, before = encode(loaded, [sample]).cells[0], embeddings(loaded, sample)
        area = (cells.box[:, 2] - cells.box[:, 0]) * (cells.box[:, 3] - cells.box[:, 1])
        for cell in rng.choice(np.flatnonzero(area >= 64), 6, replace=False):
            item, box = cells.item[cell], cells.box[cell]
            picture = sample.media[item]
            assert isinstance(picture, Image.Image)
            x0, y0, x1, y1 = (round(edge) for edge in box.tolist())
            pixels = np.array(picture)
            pixels[y0:y1, x0:x1] = rng.integers(0, 2, 3) * 255
            media = list(sample.media)
            media[item] = Image.fromarray(pixels)
            moved = np.linalg.norm(embeddings(loaded, replace(sample, media=tuple(media))) - before, axis=1)
            (most,) = np.flatnonzero(cells.position == moved.argmax())
            assert cells.item[most] == item
            found = cells.box[most]
            assert (np.maximum(found[:2], box[:2]) < np.minimum(found[2:], box[2:])).all(), (box, found)


def test_ablation_is_zeros_in_front_of_the_output_projection(loaded: LoadedModel) -> None:
    batch, heads, width = encode(loaded, SAMPLES), some_heads(loaded, 5, 1), loaded.backbone.head_dim
    with ZeroAblation(heads)(loaded.model):
        found = forward(loaded, batch)

    def silence(layer: int) -> Any:
        places = [head * width + i for at, head in heads if at == layer for i in range(width)]
        return lambda module, args: (args[0].index_fill(-1, torch.tensor(places, dtype=torch.long), 0),)

    layers = loaded.model.get_decoder().layers
    hooks = [layer.self_attn.o_proj.register_forward_pre_hook(silence(i)) for i, layer in enumerate(layers)]
    expected = forward(loaded, batch)
    for hook in hooks:
        hook.remove()
    assert torch.equal(found, expected)
    assert not torch.equal(found, forward(loaded, batch))


@contextmanager
def written_out(loaded: LoadedModel, operator: HybridAttention) -> Iterator[None]:
    """The language model with every pair of tokens computed, and masks for each head, in float64."""

    def attention(module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float, **_: Any) -> Any:
        size, heads, tokens, _ = query.shape
        place = torch.arange(tokens)
        real = torch.ones(size, tokens, dtype=torch.bool) if mask is None else mask[:, 0, -1]
        first = real.int().argmax(1)[:, None, None]
        causal = (place <= place[:, None]) & real[:, None]
        near = causal & ((place[:, None] - place < operator.window) | (place - first < operator.sinks))
        dense = {head for layer, head in operator.dense if layer == module.layer_idx}
        sees = torch.stack([causal if head in dense else near for head in range(heads)], 1)
        group = heads // key.shape[1]
        q, k, v = (
            query.double(),
            key.double().repeat_interleave(group, 1),
            value.double().repeat_interleave(group, 1),
        )
        weights = (q @ k.transpose(2, 3) * scaling).masked_fill(~sees, -torch.inf).softmax(-1).nan_to_num()
        return (weights @ v).to(query.dtype).transpose(1, 2), None

    AttentionInterface.register("written_out", attention)
    AttentionMaskInterface.register("written_out", sdpa_mask)
    loaded.model.set_attn_implementation({"text_config": "written_out"})
    try:
        yield
    finally:
        loaded.model.set_attn_implementation({"text_config": "sdpa"})
        del (
            AttentionInterface._global_mapping["written_out"],
            AttentionMaskInterface._global_mapping["written_out"],
        )


@pytest.mark.parametrize(("window", "sinks"), [(6, 2), (20, 0)])
def test_hybrid_attention_is_a_softmax_over_written_out_masks(
    loaded: LoadedModel, window: int, sinks: int
) -> None:
    batch = encode(loaded, SAMPLES)
    operator = HybridAttention(some_heads(loaded, 4, 2), window, sinks)
    with operator(loaded.model):
        found = forward(loaded, batch)
    with written_out(loaded, operator):
        expected = forward(loaded, batch)
    real = batch.inputs["attention_mask"].bool()
    torch.testing.assert_close(found[real], expected[real], atol=2e-3, rtol=1e-3)
    assert not torch.allclose(found[real], forward(loaded, batch)[real], atol=2e-3)


def test_a_trimmed_cache_writes_what_full_recomputation_writes(loaded: LoadedModel) -> None:
    batch = encode(loaded, SAMPLES)
    operator, steps, length = HybridAttention(some_heads(loaded, 4, 3), 8, 2), 8, batch.last.shape[1]
    with operator(loaded.model):
        made = loaded.model.generate(
            **batch.inputs,
            past_key_values=HybridCache(operator, loaded.model),
            do_sample=False,
            min_new_tokens=steps,
            max_new_tokens=steps,
            output_logits=True,
            return_dict_in_generate=True,
        )
    tail = made.sequences[:, length:]
    inputs = dict(batch.inputs)
    for name, more in (
        ("input_ids", tail),
        ("attention_mask", torch.ones_like(tail)),
        ("mm_token_type_ids", torch.zeros_like(tail)),
    ):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], more], 1)
    whole: Batch = replace(batch, inputs=inputs)
    with written_out(loaded, operator):
        expected = forward(loaded, whole)[:, length - 1 : -1]
    torch.testing.assert_close(torch.stack(made.logits, 1), expected, atol=5e-3, rtol=1e-3)
