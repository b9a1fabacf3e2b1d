"""CONTRIBUTING.md's steps to add a family, walked with models that the package does not train.

LLaVA 1.5 stands for a family that the package does not know at all: one layout function and one line in the
registry make everything else work. Qwen2-VL, Qwen2.5-VL and GLM are registered, with Qwen3-VL's layout.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coded import blinded, check, coded, coded_clip, prompt
from tiny import PLAIN_TEXT, eager_attention, noise
from transformers import (
    CLIPImageProcessor,
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    Glm46VConfig,
    Glm46VForConditionalGeneration,
    Glm46VImageProcessor,
    Glm46VProcessor,
    Glm46VVideoProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from corehead_lib.cells import FAMILIES
from corehead_lib.cells.table import Layout, Shown, even, lattice, layout
from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import measure_ram
from corehead_lib.samples import MEDIA, Box, Pages, TextSpan
from corehead_lib.zoo.training.build import build_tokenizer
from corehead_lib.zoo.training.families.chat import chat_template
from corehead_lib.zoo.training.turns import corpus

PIXELS: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
SIZES = [(8, 8), (64, 64), (100, 37), (37, 100), (640, 480), (900, 20), (20, 900), (333, 77)]


def item_layout(loaded: LoadedModel, item: Shown) -> Layout:
    """Step 1: the whole image is stretched to a square and cut into patches, row by row."""
    vision = loaded.model.config.vision_config
    side = vision.image_size // vision.patch_size
    return layout(lattice(even(item.size[0], side), even(item.size[1], side)))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A tiny LLaVA 1.5, saved and loaded as any checkpoint is."""
    folder: Path = tmp_path_factory.mktemp("llava")
    tokenizer = build_tokenizer(corpus(), 400, "llava_onevision")
    vision = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "intermediate_size": 64}
    config = LlavaConfig(
        text_config={"model_type": "qwen2", **PLAIN_TEXT, "vocab_size": len(tokenizer)},
        vision_config={
            "model_type": "clip_vision_model",
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            **vision,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    torch.manual_seed(0)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    square = {"height": 32, "width": 32}
    LlavaProcessor(
        image_processor=CLIPImageProcessor(size=square, do_center_crop=False, **PIXELS),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template("<image>", ""),
    ).save_pretrained(folder)
    return load_model(str(folder))


@pytest.fixture
def registered(stranger: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """Step 2: the line in the registry."""
    monkeypatch.setitem(FAMILIES, "llava", item_layout)
    return stranger


def test_without_the_line_in_the_registry_the_family_is_refused(stranger: LoadedModel) -> None:
    with pytest.raises(
        CoreheadError, match=r"No cell table for model type 'llava' yet; known: qwen3_vl.* CONTRIBUTING\.md"
    ):
        encode(stranger, [prompt(noise(64, 64))])


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_the_new_cells_see_the_pixels_of_their_boxes(registered: LoadedModel, size: tuple[int, int]) -> None:
    blind = blinded(registered)
    check(blind, prompt(coded(*size)))
    check(blind, prompt(coded(*size), coded(60, 50), coded(*size), context=f"{MEDIA}and {MEDIA}{MEDIA}"))


def test_targets_ram_and_evaluation_work_without_another_line(registered: LoadedModel) -> None:
    samples = [
        prompt(noise(64, 64), evidence=(Box(0, 0, 30, 30),)),
        prompt(noise(64, 64), noise(90, 40), evidence=(Pages((1,)),)),
        prompt(context="The star is green.", evidence=(TextSpan(12, 17),)),
    ]
    batch = encode(registered, samples)
    assert batch.targets().sum(1).tolist()[:2] == [4, 16]
    scores = measure_ram(registered, [batch], progress=False)
    attention = eager_attention(registered, batch)
    rows, targets = batch.question.numpy(), batch.targets().numpy()
    for row in range(len(samples)):
        mass = attention[:, row][:, :, rows[row]][..., targets[row]].sum(-1).mean(-1)
        np.testing.assert_allclose(scores.target[row], mass, atol=1e-5)
    assert np.isfinite(evaluate(registered, [batch], progress=False).logprob).all()


def test_a_layout_that_miscounts_is_refused(registered: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "llava", lambda *_: layout(np.zeros((15, 4))))
    with pytest.raises(CoreheadError, match=r"id: item 0 \(image, .*has 16 visual tokens.*asks for 15"):
        encode(registered, [prompt(noise(64, 64))])


def test_a_clip_is_refused_where_the_model_takes_none(registered: LoadedModel) -> None:
    with pytest.raises(CoreheadError, match="shows 0 media items, the sample has 0 images and 1 clips"):
        encode(registered, [prompt(coded_clip(48, 48, 2))])


@pytest.fixture(scope="module", params=["qwen2_vl", "qwen2_5_vl"])
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A tiny Qwen2-VL, and a tiny Qwen2.5-VL."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    tokenizer = build_tokenizer(corpus(), 400)
    ids = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(token)
        for name, token in (
            ("image", "<|image_pad|>"),
            ("video", "<|video_pad|>"),
            ("vision_start", "<|vision_start|>"),
            ("vision_end", "<|vision_end|>"),
        )
    }
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    vision = {
        "qwen2_vl": {
            "depth": 1,
            "embed_dim": 32,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 8,
            "hidden_size": 48,
        },
        "qwen2_5_vl": {
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "out_hidden_size": 48,
            "window_size": 32,
            "fullatt_block_indexes": [0],
        },
    }
    made = {
        "qwen2_vl": (Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor),
        "qwen2_5_vl": (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor),
    }
    make_config, make_model, make_processor = made[request.param]
    config = make_config(
        text_config={
            **{k: v for k, v in PLAIN_TEXT.items() if k != "head_dim"},
            "rope_parameters": rope,
            "vocab_size": len(tokenizer),
        },
        vision_config=vision[request.param],
        **ids,
    )
    torch.manual_seed(0)
    make_model(config).save_pretrained(folder)
    shared = {**PIXELS, "patch_size": 8, "size": {"shortest_edge": 4096, "longest_edge": 1048576}}
    video = "<|vision_start|><|video_pad|><|vision_end|>"
    make_processor(
        image_processor=Qwen2VLImageProcessor(**shared),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**shared),
        chat_template=chat_template("<|vision_start|><|image_pad|><|vision_end|>", video),
    ).save_pretrained(folder)
    return load_model(str(folder))


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_older_qwens_share_the_layout_of_qwen3_vl(older: LoadedModel, frames: int) -> None:
    blind = blinded(older)
    check(blind, prompt(*[coded(*size) for size in SIZES]))
    check(blind, prompt(coded(60, 90), coded_clip(96, 64, frames), coded(64, 64)))
    real = encode(older, [prompt(noise(96, 64), coded_clip(96, 64, frames), evidence=(Pages((1,)),))])
    assert measure_ram(older, [real], progress=False).target.max() > 0


@pytest.fixture(scope="module", params=["glm4v", "glm46v"])
def glm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A tiny GLM-4.1V, and a tiny GLM-4.6V; both have the newer processor."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    tokenizer = build_tokenizer(corpus(), 400)
    names = {
        "image_start": "<|begin_of_image|>",
        "image": "<|image|>",
        "image_end": "<|end_of_image|>",
        "video_start": "<|begin_of_video|>",
        "video": "<|video|>",
        "video_end": "<|end_of_video|>",
    }
    tokenizer.add_tokens([*names.values()], special_tokens=True)
    make_config, make_model = {
        "glm4v": (Glm4vConfig, Glm4vForConditionalGeneration),
        "glm46v": (Glm46VConfig, Glm46VForConditionalGeneration),
    }[request.param]
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 1, 1],
        "partial_rotary_factor": 1.0,
    }
    config = make_config(
        text_config={
            **{k: v for k, v in PLAIN_TEXT.items() if k != "head_dim"},
            "rope_parameters": rope,
            "vocab_size": len(tokenizer),
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "image_size": 64,
            "out_hidden_size": 48,
        },
        **{f"{name}_token_id": tokenizer.convert_tokens_to_ids(token) for name, token in names.items()},
    )
    torch.manual_seed(0)
    make_model(config).save_pretrained(folder)
    shared = {**PIXELS, "patch_size": 8, "size": {"shortest_edge": 4096, "longest_edge": 1048576}}
    Glm46VProcessor(
        image_processor=Glm46VImageProcessor(**shared),
        tokenizer=tokenizer,
        video_processor=Glm46VVideoProcessor(**shared),
        chat_template=chat_template(
            "<|begin_of_image|><|image|><|end_of_image|>", "<|begin_of_video|><|video|><|end_of_video|>"
        ),
    ).save_pretrained(folder)
    return load_model(str(folder))


def test_the_cells_of_glm_see_the_pixels_of_their_boxes(glm: LoadedModel) -> None:
    blind = blinded(glm)
    check(blind, prompt(*[coded(*size) for size in SIZES]))
    for frames in (1, 2, 5):
        check(blind, prompt(coded_clip(96, 64, frames), coded_clip(64, 64, frames)))
    for item in (noise(96, 64), coded_clip(96, 64, 4)):
        sample = prompt(item, evidence=(Pages((0,)),))
        batch = encode(glm, [sample])
        reference = eager_attention(glm, batch)[:, 0][..., -1, :][..., batch.targets()[0].numpy()].sum(-1)
        found = measure_ram(glm, [batch], queries="last", progress=False).target[0]
        np.testing.assert_allclose(found, reference, atol=2e-5)


def test_glm_takes_images_or_clips(glm: LoadedModel) -> None:
    """Its placeholder is the same for both, and transformers counts the one for the other."""
    with pytest.raises(CoreheadError, match="images or clips, not both"):
        encode(glm, [prompt(noise(64, 64), coded_clip(96, 64, 4))])
    with pytest.raises(CoreheadError, match="images or clips, not both"):
        encode(glm, [prompt(noise(64, 64)), prompt(coded_clip(96, 64, 4))])
