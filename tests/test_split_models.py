"""A model that accelerate splits: the same masses, ablations and hybrid attention, with hooks that fetch weights for each layer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SAMPLES, forward
from transformers import AutoModelForImageTextToText

from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import measure_ram
from corehead_lib.study import outcomes

LANGUAGE = "model.language_model"
ON_DISK = {  # of three layers, the last two
    "model.visual": "cpu",
    "lm_head": "cpu",
    f"{LANGUAGE}.embed_tokens": "cpu",
    f"{LANGUAGE}.norm": "cpu",
    f"{LANGUAGE}.rotary_emb": "cpu",
    f"{LANGUAGE}.layers.0": "cpu",
    f"{LANGUAGE}.layers.1": "disk",
    f"{LANGUAGE}.layers.2": "disk",
}
HEADS = [Head(0, 1), Head(1, 5), Head(2, 4)]


@pytest.fixture(params=["whole", "on disk", "auto"])
def split(
    request: pytest.FixtureRequest, tiny: LoadedModel, tiny_folder: Path, tmp_path: Path
) -> LoadedModel:
    pytest.importorskip("accelerate", reason="splitting a model needs accelerate")
    if request.param == "auto":
        return load_model(str(tiny_folder), "auto")
    spread = {"": "cpu"} if request.param == "whole" else ON_DISK
    model = AutoModelForImageTextToText.from_pretrained(
        tiny_folder, device_map=spread, offload_folder=tmp_path, attn_implementation="sdpa"
    ).eval()
    if request.param == "on disk":
        assert {str(part.device) for part in model.parameters()} == {"cpu", "meta"}
    return replace(tiny, model=model)


def test_it_measures_and_changes_as_the_model_in_one_piece_does(
    split: LoadedModel, tiny: LoadedModel
) -> None:
    batch, same = encode(split, SAMPLES), encode(tiny, SAMPLES)
    torch.testing.assert_close(forward(split, batch), forward(tiny, same))
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
    operator = HybridAttention(HEADS, 6, 2)
    with operator(split.model):
        here = forward(split, batch)
    with operator(tiny.model):
        torch.testing.assert_close(here, forward(tiny, same))


def test_without_accelerate_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corehead_lib.checkpoint.find_spec", lambda _: None)
    with pytest.raises(CoreheadError, match="pip install accelerate"):
        load_model("tiny-qwen3-vl", "auto")
