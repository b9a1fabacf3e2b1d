"""Tiny, untrained models of three families with their real processors, and samples: stand-ins for the book's.

Their weights are scaled up, so that attention is far from even, and three query heads share a KV head.
conftest.py hands the fixtures to every test: `tiny` is a Qwen3-VL, `family` each family in turn.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from corehead_lib.encode import Batch, encode
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.samples import MEDIA, Box, Clip, Frames, Pages, Sample, TextSpan
from corehead_lib.zoo.training.build import build
from corehead_lib.zoo.training.turns import corpus

CELL = 16  # pixels of a cell: patch_size * spatial_merge_size

RECIPE: dict[str, Any] = {
    "text": {
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1.0e-6,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [2, 1, 1],
            "mrope_interleaved": True,
        },
    },
    "vision": {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    },
    "pixels": [4096, 1048576],
    "vocab_size": 400,
    "qk_norm": 1.0,
}

PLAIN_TEXT = {
    **{k: v for k, v in RECIPE["text"].items() if k != "rope_parameters"},
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}
INTERNVL: dict[str, Any] = {
    "family": "internvl",
    "text": PLAIN_TEXT,
    "vision": {
        "image_size": 48,  # 3 x 3 cells of 16 pixels to a tile
        "patch_size": 8,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    "tiles": [1, 12],
    "vocab_size": 400,
    "qk_norm": 1.0,
}
LLAVA_ONEVISION: dict[str, Any] = {
    "family": "llava_onevision",
    "text": {k: v for k, v in PLAIN_TEXT.items() if k != "head_dim"},
    "vision": {
        "image_size": 60,  # 7 x 7 patches, and 4 pixels that no patch sees, as 6 of 384 in the real model
        "patch_size": 8,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    "grid": 4,
    "most_tiles": 4,
    "vocab_size": 400,
}
RECIPES = {"qwen3_vl": RECIPE, "internvl": INTERNVL, "llava_onevision": LLAVA_ONEVISION}


def save_tiny(folder: Path, kv_heads: int = 2, recipe: dict[str, Any] = RECIPE) -> Path:
    """Write an untrained model and its processor into ``folder``."""
    recipe = deepcopy(recipe)
    recipe["text"]["num_key_value_heads"] = kv_heads
    model, processor = build(recipe, corpus(), seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter *= 6
            if "q_norm" in name:
                parameter.copy_(torch.linspace(2, 4, len(parameter)))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> LoadedModel:
    return load_model(str(tiny_folder))


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory, tiny: LoadedModel) -> dict[str, LoadedModel]:
    """A tiny model of each family, by name."""
    others = {
        name: load_model(str(save_tiny(tmp_path_factory.mktemp(name), recipe=recipe)))
        for name, recipe in RECIPES.items()
        if name != "qwen3_vl"
    }
    return {"qwen3_vl": tiny, **others}


@pytest.fixture(params=list(RECIPES))
def family(request: pytest.FixtureRequest, families: dict[str, LoadedModel]) -> LoadedModel:
    """Each of the three in turn."""
    return families[request.param]


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture in which every pixel differs from its neighbours."""
    rng = np.random.default_rng([seed, width, height])
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


SAMPLES = (
    Sample("a", "shape", "Which digit is on the star?", "7", (noise(96, 64),), (Box(10, 10, 40, 30),)),
    Sample("b", "colour", "How many?", "brown moon", (noise(128, 112),), (Box(64, 0, 128, 112),)),
    Sample(
        "c",
        "pair",
        "Which digit is on the red circle, and what is 3 plus 4?",
        "4",
        (noise(64, 64), noise(96, 80)),
        (Box(0, 0, 20, 20, item=0), Box(50, 50, 96, 80, item=1)),
    ),
)


def clip(width: int = 64, height: int = 48, frames: int = 5) -> Clip:
    """Every third frame of a film of noise."""
    return Clip(
        [noise(width, height, seed) for seed in range(frames)],
        fps=4.0,
        index=tuple(3 * frame for frame in range(frames)),
    )


KINDS = (
    SAMPLES[0],
    Sample(
        "pages",
        "page",
        "Which digit is on it?",
        "12",
        (noise(96, 64), noise(60, 90), noise(33, 33)),
        (Pages((1,)), Box(0, 0, 20, 20, item=2)),
        context=f"Page 1: {MEDIA}Page 2: {MEDIA}\n3 {MEDIA}",
    ),
    Sample("clip", "when", "When?", "12", (clip(),), (Frames(1, 3), Box(0, 0, 20, 20, frame=4))),
    Sample(
        "text",
        "needle",
        "What is on?",
        "green",
        (),
        (TextSpan(12, 17),),
        context="The star is green. The moon is blue.",
    ),
    Sample(
        "mixed",
        "needle",
        "assistant",  # stands in the template too
        "user",
        (clip(48, 64), noise(50, 40)),
        (TextSpan(0, 3), Frames(0, 1), Box(0, 0, 10, 10, item=1)),
        context=f"abc{MEDIA}x{MEDIA}",
    ),
)


@pytest.fixture(scope="session")
def batch(tiny: LoadedModel) -> Batch:
    """Three samples of different lengths, sizes and numbers of images, so two are padded on the left."""
    encoded = encode(tiny, SAMPLES)
    assert (encoded.inputs["attention_mask"][:, 0] == 0).sum() == 2
    return encoded


def forward(loaded: LoadedModel, batch: Batch) -> torch.Tensor:
    """Logits of every prompt token, (B, T, vocabulary)."""
    with torch.inference_mode():
        return loaded.model(**batch.inputs).logits


def generate(loaded: LoadedModel, batch: Batch, tokens: int = 6, **options: Any) -> torch.Tensor:
    """Greedy continuation, (B, tokens) ids; it does not stop early."""
    length = batch.inputs["input_ids"].shape[1]
    written = loaded.model.generate(
        **batch.inputs,
        do_sample=False,
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        use_cache=True,
        **options,
    )
    return written[:, length:]


@contextmanager
def eager(loaded: LoadedModel) -> Iterator[None]:
    """Run the language model with transformers' eager attention, the independent reference."""
    loaded.model.set_attn_implementation({"text_config": "eager"})
    try:
        yield
    finally:
        loaded.model.set_attn_implementation({"text_config": "sdpa"})


def eager_attention(loaded: LoadedModel, batch: Batch) -> np.ndarray:
    """Attention weights of the eager model, (layers, B, heads, T, T), float64."""
    with eager(loaded), torch.inference_mode():
        layers = loaded.model(**batch.inputs, output_attentions=True).attentions
    return torch.stack(layers).double().numpy()


def in_a_loop(task: Coroutine[Any, Any, Any]) -> Any:
    """Run a task in a thread of its own: Playwright leaves a running loop in the main one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, task).result()
