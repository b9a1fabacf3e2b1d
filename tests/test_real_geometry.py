"""Attention as Qwen3-VL-8B has it (32 query heads, 8 KV heads, 128 wide, its rope), two layers of random numbers, as the hub keeps it.

The weights are bfloat16 on disk, so that both dtypes compute with the same numbers. A value is rounded about ``ROUNDINGS``
times on its way to a query or key of the last layer, each time by at most 2^-9 of itself (8 bits), 2^-9 / sqrt(3) as a root mean square. Of
a logit, |q| |k| / sqrt(128) times the cosine, each of the two spoils ``SHARPNESS`` times that (norms are sqrt(128), and SHARPNESS times it;
errors point anywhere): ``SPREAD``. Logits that move by s at most move a mass by tanh(s / 2) at most.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from math import sqrt, tanh
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny import RECIPE, build, corpus, eager_attention

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.cli import main
from corehead_lib.data import load_samples
from corehead_lib.encode import Batch, encode
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import RamScores
from corehead_lib.scoring.score import read_scores
from corehead_lib.study import outcomes

LAYERS, HIDDEN, SHARPNESS, SAMPLES = 2, 1024, 3.0, 4
ROUNDINGS = 18 * (LAYERS + 2)  # norms, products, rope, sums; the vision tower has two layers, too
ERROR = sqrt(ROUNDINGS / 3) * 2**-9
SPREAD = sqrt(2) * SHARPNESS * ERROR
LOGIT = 0.02 * sqrt(HIDDEN)  # embeddings of 0.02, states of 1
DTYPES = ("float32", "bfloat16")
HEADS = [Head(0, 3), Head(0, 30), Head(1, 0), Head(1, 17)]  # of KV heads 0, 7, 0 and 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models--Qwen--Qwen3-VL-8B-Instruct") / "snapshot"
    recipe = deepcopy(RECIPE)
    recipe["text"] |= {"hidden_size": HIDDEN, "intermediate_size": 256, "num_hidden_layers": LAYERS}
    recipe["text"] |= {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
    recipe["text"] |= {"max_position_embeddings": 262144}
    recipe["text"]["rope_parameters"] |= {"rope_theta": 5e6, "mrope_section": [24, 20, 20]}
    recipe["vision"]["patch_size"] = 16
    model, processor = build(recipe, corpus(), seed=0)
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            layer.self_attn.q_norm.weight.fill_(SHARPNESS)
    model.to(torch.bfloat16).save_pretrained(made, max_shard_size="10MB")
    processor.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, LoadedModel]:
    return {dtype: load_model(str(folder), dtype=dtype) for dtype in DTYPES}


@pytest.fixture(scope="module")
def scores(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, RamScores]]:
    """What `corehead score` leaves, by dtype and rows."""
    found = {}
    for dtype in DTYPES:
        out = tmp_path_factory.mktemp(dtype)
        options = ["--samples", str(SAMPLES), "--shard", "3", "--batch-size", "2", "--dtype", dtype]
        done = CliRunner().invoke(main, ["score", str(folder), "scenes", "--out", str(out), *options])
        assert done.exit_code == 0, done.output
        assert f"{SAMPLES} scored, 0 failed" in done.output
        found[dtype] = read_scores(out)
    return found


def one_by_one(loaded: LoadedModel) -> list[Batch]:
    return [encode(loaded, [sample]) for sample in load_samples("scenes", "detection", SAMPLES, 0)]


def test_it_lies_in_shards_and_has_the_geometry(folder: Path, models: dict[str, LoadedModel]) -> None:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) >= 4
    for dtype, loaded in models.items():
        shape = loaded.backbone
        assert (shape.heads, shape.kv_heads, shape.head_dim, shape.group) == (32, 8, 128, 4)
        text = loaded.model.config.get_text_config()
        assert text.rope_parameters["mrope_section"] == [24, 20, 20]
        assert {str(part.dtype) for part in loaded.model.parameters()} == {f"torch.{dtype}"}
        written = {name for name in index["weight_map"] if "language_model" in name}
        assert written <= set(loaded.model.state_dict())


def test_scores_in_float32_are_eager_attention_added_up(
    models: dict[str, LoadedModel], scores: dict[str, dict[str, RamScores]]
) -> None:
    loaded = models["float32"]
    for number, batch in enumerate(one_by_one(loaded)):
        attention = eager_attention(loaded, batch)[:, 0]
        evidence = np.flatnonzero(batch.targets()[0].numpy())
        asked = {"question": batch.question, "last": batch.last}
        for rows, mask in asked.items():
            wanted = np.zeros((LAYERS, 32))
            for layer in range(LAYERS):
                for head in range(32):
                    looks = [
                        attention[layer, head, row, evidence].sum() for row in np.flatnonzero(mask[0].numpy())
                    ]
                    wanted[layer, head] = np.mean(looks)
            np.testing.assert_allclose(scores["float32"][rows].target[number], wanted, atol=1e-5)


@pytest.mark.parametrize("rows", ["question", "last", "answer"])
def test_scores_agree_between_the_dtypes(scores: dict[str, dict[str, RamScores]], rows: str) -> None:
    full, half = (scores[dtype][rows].target for dtype in DTYPES)
    assert 0 < np.sqrt(np.square(half - full).mean()) < tanh(SPREAD / 2)
    assert np.abs(half - full).max() < tanh(4 * SPREAD / 2)
    assert np.ptp(full) > 3 * tanh(4 * SPREAD / 2)  # heads differ by far more than that


@contextmanager
def cut_off(loaded: LoadedModel, heads: list[Head]) -> Iterator[None]:
    """Without what ``heads`` write: their columns of the output projection are zero."""
    layers = loaded.model.model.language_model.layers
    columns = [
        layers[layer].self_attn.o_proj.weight.data[:, 128 * head : 128 * (head + 1)] for layer, head in heads
    ]
    kept = [part.clone() for part in columns]
    try:
        for part in columns:
            part.zero_()
        yield
    finally:
        for part, before in zip(columns, kept, strict=True):
            part.copy_(before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ablation_is_a_projection_without_columns(models: dict[str, LoadedModel], dtype: str) -> None:
    loaded = models[dtype]
    batch = encode(loaded, load_samples("scenes", "detection", SAMPLES, 0))
    sets = {"few": HEADS, "all": [Head(layer, head) for layer in range(LAYERS) for head in range(32)]}
    found = outcomes(loaded, [batch], sets).groupby("set").logprob.apply(np.array)
    slack = 1e-4 if dtype == "float32" else logprob_slack(batch)
    wanted = {"none": evaluate(loaded, [batch]).logprob}
    for name, heads in sets.items():
        with cut_off(loaded, heads):
            wanted[name] = evaluate(loaded, [batch]).logprob
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=slack)
    assert (
        np.abs(wanted["all"] - wanted["none"]).max() > 2 * slack
    )  # an ablation that does nothing would fail
    if dtype == "float32":
        assert np.abs(wanted["few"] - wanted["none"]).max() > 2 * slack


def logprob_slack(batch: Batch) -> float:
    """What rounding may move an answer's log-probability by: LOGIT is the size of a logit."""
    return 4 * ERROR * LOGIT * sqrt(2) * max(len(answer) for answer in batch.answers)


class WrittenOut(Operator):
    """Hybrid attention as its definition says it, head by head and row by row, in float64; for one sample, no padding."""

    replaces_kernel = True

    def __init__(self, window: int, sinks: int) -> None:
        self.window, self.sinks = window, sinks

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        query, key, value = (x[0].double() for x in (call.query, call.key, call.value))
        output = torch.zeros_like(query)
        for head in range(32):
            for row in range(query.shape[1]):
                sees = [
                    place
                    for place in range(row + 1)
                    if Head(call.layer, head) in HEADS or row - place < self.window or place < self.sinks
                ]
                logits = key[head // 4, sees] @ query[head, row] / sqrt(128)
                output[head, row] = logits.softmax(0) @ value[head // 4, sees]
        return output.transpose(0, 1)[None].to(call.query.dtype)


def forward(loaded: LoadedModel, batch: Batch) -> torch.Tensor:
    with torch.inference_mode():
        return loaded.model(**batch.inputs).logits.float()


@pytest.mark.parametrize("dtype", DTYPES)
def test_hybrid_attention_is_what_its_definition_says(models: dict[str, LoadedModel], dtype: str) -> None:
    loaded = models[dtype]
    batch = one_by_one(loaded)[0]
    operator, reference = HybridAttention(HEADS, 12, 4), WrittenOut(12, 4)
    dense = forward(loaded, batch)
    with operator(loaded.model):
        found = forward(loaded, batch)
    with reference(loaded.model):
        wanted = forward(loaded, batch)
    slack = 1e-3 if dtype == "float32" else 4 * ERROR * LOGIT * sqrt(2)
    assert (found - wanted).abs().max() < slack
    assert (dense - wanted).abs().max() > 5 * slack
    with HybridAttention(HEADS, 1000, 4)(loaded.model):
        torch.testing.assert_close(forward(loaded, batch), dense, atol=slack, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_writing_with_a_trimmed_cache(models: dict[str, LoadedModel], dtype: str) -> None:
    loaded, operator = models[dtype], HybridAttention(HEADS, 12, 4)
    batch, options = one_by_one(loaded)[0], {"do_sample": False, "min_new_tokens": 4, "max_new_tokens": 4}
    cache = HybridCache(operator, loaded.model)
    with operator(loaded.model):
        trimmed = loaded.model.generate(**batch.inputs, **options, past_key_values=cache)
        whole = loaded.model.generate(**batch.inputs, **options)
    length, full = batch.inputs["input_ids"].shape[1] + 3, 4  # KV heads with a dense head among 2 x 8
    size = 4 if dtype == "float32" else 2
    assert cache.nbytes == 2 * size * 128 * (full * length + (16 - full) * (12 + 4 - 1))
    assert trimmed.shape == whole.shape
    if dtype == "float32":  # in bfloat16 two tokens may be equally likely
        assert torch.equal(trimmed, whole)
