"""A model that accelerate splits: all that looks at heads or changes them finds what it finds on the model in one piece."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SAMPLES, forward, generate
from transformers import AutoModelForImageTextToText

from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.interventions import (
    Knockout,
    MeanAblation,
    Patch,
    UniformAttention,
    ZeroAblation,
    mean_outputs,
    partner_outputs,
)
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import measure_ram
from corehead_lib.study import outcomes
from corehead_lib.study.survey import Survey

LANGUAGE = "model.language_model"
ON_DISK = {  # the first weights of all, and of three layers the last two
    "model.visual": "disk",
    "lm_head": "cpu",
    f"{LANGUAGE}.embed_tokens": "cpu",
    f"{LANGUAGE}.norm": "cpu",
    f"{LANGUAGE}.rotary_emb": "cpu",
    f"{LANGUAGE}.layers.0": "cpu",
    f"{LANGUAGE}.layers.1": "disk",
    f"{LANGUAGE}.layers.2": "disk",
}
HEADS = [Head(0, 1), Head(1, 5), Head(2, 4)]


@pytest.fixture(params=["whole", "on disk", "auto", "on three devices"])
def split(
    request: pytest.FixtureRequest, tiny: LoadedModel, tiny_folder: Path, tmp_path: Path
) -> Iterator[LoadedModel]:
    pytest.importorskip("accelerate", reason="splitting a model needs accelerate")
    if request.param == "auto":
        yield load_model(str(tiny_folder), "auto")
    elif request.param == "on three devices":
        from elsewhere import Elsewhere, scatter

        loaded = load_model(str(tiny_folder))
        scatter(loaded.model)
        with Elsewhere():
            assert {str(part.device) for part in loaded.model.parameters()} == {"cpu:1", "cpu:2", "cpu:3"}
            yield loaded
    else:
        spread = {"": "cpu"} if request.param == "whole" else ON_DISK
        model = AutoModelForImageTextToText.from_pretrained(
            tiny_folder, device_map=spread, offload_folder=tmp_path, attn_implementation="sdpa"
        ).eval()
        if request.param == "on disk":
            assert {str(part.device) for part in model.parameters()} == {"cpu", "meta"}
        yield replace(tiny, model=model)


def test_it_measures_and_ablates_as_the_model_in_one_piece_does(
    split: LoadedModel, tiny: LoadedModel
) -> None:
    batch, same = encode(split, SAMPLES), encode(tiny, SAMPLES)
    torch.testing.assert_close(forward(split, batch).cpu(), forward(tiny, same))
    found, wanted = (
        measure_ram(loaded, [one], ("question", "last", "answer"))
        for loaded, one in ((split, batch), (tiny, same))
    )
    for rows, ram in wanted.items():
        np.testing.assert_allclose(found[rows].target, ram.target, atol=1e-6)
    sets = {"few": HEADS, "late": HEADS[2:], "first": HEADS[:1]}
    table, right = (outcomes(loaded, [one], sets) for loaded, one in ((split, batch), (tiny, same)))
    np.testing.assert_allclose(table.logprob, right.logprob, atol=1e-5)
    assert right.groupby("set").logprob.mean().nunique() == 4


def test_hybrid_attention_and_its_cache(split: LoadedModel, tiny: LoadedModel) -> None:
    batch, same = encode(split, SAMPLES), encode(tiny, SAMPLES)
    operator = HybridAttention(HEADS, 6, 2)
    with operator(tiny.model):
        wanted, written = forward(tiny, same), generate(tiny, same)
    with operator(split.model):
        torch.testing.assert_close(forward(split, batch).cpu(), wanted)
        cache = HybridCache(operator, split.model)
        found = generate(split, batch, past_key_values=cache)
    assert torch.equal(found.cpu(), written)
    assert all(layer.near_keys is not None for layer in cache.layers)


def mean_ablation(loaded: LoadedModel, batch: Batch) -> Callable:
    means = mean_outputs(loaded, [batch])
    return lambda heads: MeanAblation(heads, means)


def patch(loaded: LoadedModel, batch: Batch) -> Callable:
    others = [replace(sample, question="Which?") for sample in SAMPLES]
    source = partner_outputs(loaded, [batch], [encode(loaded, others)])
    return lambda heads: Patch(heads, source)


INTERVENTIONS: dict[str, Callable[[LoadedModel, Batch], Callable]] = {
    "mean": mean_ablation,
    "patch": patch,
    "uniform": lambda *_: UniformAttention,
    "cut": lambda *_: lambda heads: Knockout(heads, queries="last", keys="visual"),
    "answer": lambda *_: lambda heads: ZeroAblation(heads, when="decode"),
}


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_it_is_changed_as_the_model_in_one_piece_is(split: LoadedModel, tiny: LoadedModel, name: str) -> None:
    sets, found = {"all": HEADS, "late": HEADS[2:]}, []
    for loaded in (split, tiny):
        batch = encode(loaded, SAMPLES)
        table = outcomes(loaded, [batch], sets, INTERVENTIONS[name](loaded, batch))
        found.append(table.groupby("set").logprob.apply(np.array))
    for which in found[1].index:
        np.testing.assert_allclose(found[0][which], found[1][which], atol=1e-5)
    assert np.abs(found[1]["all"] - found[1]["none"]).max() > 1e-3


def test_rankings_are_read_off_it(split: LoadedModel, tiny: LoadedModel) -> None:
    found, wanted = (Survey(loaded, [encode(loaded, SAMPLES)]) for loaded in (split, tiny))
    for name, value in wanted.looks.items():
        np.testing.assert_allclose(found.looks[name], value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.null, wanted.null, atol=1e-6)
    np.testing.assert_allclose(found.gradient, wanted.gradient, rtol=1e-4, atol=1e-5)
    assert np.abs(wanted.gradient).max() > 1e-3


def test_without_accelerate_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corehead_lib.checkpoint.find_spec", lambda _: None)
    with pytest.raises(CoreheadError, match="pip install accelerate"):
        load_model("tiny-qwen3-vl", "auto")
