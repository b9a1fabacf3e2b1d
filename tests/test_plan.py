"""Plans: which heads, and what they save."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head, HeadScores
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.plan import HybridPlan, by_fraction, by_threshold
from corehead_lib.models import Backbone, LoadedModel

SHAPE = Backbone(layers=2, heads=4, kv_heads=2, head_dim=8)
SCORES = HeadScores(np.array([[0.1, 0.8, 0.2, 0.3], [0.9, 0.7, 0.0, 0.4]]), {"task": "pair"})


def test_a_fraction_takes_the_highest_scores() -> None:
    plan = by_fraction(SCORES, SHAPE, 0.25, window=16)
    assert plan.dense == (Head(1, 0), Head(0, 1))
    assert plan.fraction == 0.25
    assert by_fraction(SCORES, SHAPE, 0, window=16).dense == ()
    assert plan.provenance == {"scores": {"task": "pair"}, "rule": {"fraction": 0.25}}


def test_a_threshold_takes_all_that_reach_it() -> None:
    assert by_threshold(SCORES, SHAPE, 0.7, window=16).dense == (Head(1, 0), Head(0, 1), Head(1, 1))


def test_a_group_is_full_if_any_of_its_heads_is_dense() -> None:
    plan = by_threshold(SCORES, SHAPE, 0.7, window=16)
    assert plan.full_groups == [(0, 0), (1, 0)]


def test_gains_by_hand() -> None:
    plan = by_threshold(SCORES, SHAPE, 0.7, window=3, sinks=2)
    streaming = sum(min(t, 3 + 2) for t in range(1, 11))  # keys seen in a prompt of ten tokens
    assert plan.compute_gain(10) == pytest.approx(8 * 55 / (3 * 55 + 5 * streaming))
    assert plan.cache_gain(10) == pytest.approx(4 * 10 / (2 * 10 + 2 * (3 + 2 - 1)))
    assert plan.cache_gain(4) == 1
    assert by_fraction(SCORES, SHAPE, 1, window=3).cache_gain(1000) == 1


def test_the_cache_falls_by_the_predicted_factor(tiny: LoadedModel, batch: Batch) -> None:
    scores = HeadScores(np.arange(18.0).reshape(3, 6))
    plan = by_fraction(scores, tiny.backbone, 0.2, window=8, sinks=2)
    length, whole = batch.question.shape[1], by_fraction(scores, tiny.backbone, 1, window=8, sinks=2)
    kept = []
    for each in (plan, whole):
        operator = each.check(tiny).operator()
        cache = HybridCache(operator, tiny.model)
        with operator(tiny.model), torch.inference_mode():
            tiny.model(**batch.inputs, past_key_values=cache)
        kept.append(cache.nbytes)
    assert kept[1] / kept[0] == pytest.approx(plan.cache_gain(length))


def test_a_saved_plan_comes_back(tmp_path: Path) -> None:
    plan = by_fraction(SCORES, SHAPE, 0.5, window=16, sinks=1)
    plan.save(tmp_path / "plan.json")
    assert HybridPlan.load(tmp_path / "plan.json") == plan
    assert isinstance(HybridPlan.load(tmp_path / "plan.json").dense[0], Head)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 0}, "window=0"),
        ({"window": "wide"}, "window"),
        ({"dense": [[0, 4]]}, "does not exist"),
        ({"dense": [[0, 1], [0, 1]]}, "twice"),
        ({"heads": []}, "heads"),
        ({"backbone": None}, "backbone"),
    ],
)
def test_a_damaged_plan_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "plan.json"
    by_fraction(SCORES, SHAPE, 0.5, window=16).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CoreheadError, match=message):
        HybridPlan.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", None])
def test_a_file_without_a_plan_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "plan.json").write_text(text)
    with pytest.raises(CoreheadError, match="does not hold a plan"):
        HybridPlan.load(tmp_path / "plan.json")


def test_scores_of_another_model_are_refused(tiny: LoadedModel) -> None:
    with pytest.raises(CoreheadError, match="2 layers of 4 heads"):
        by_fraction(SCORES, tiny.backbone, 0.5, window=16)
    with pytest.raises(CoreheadError, match="The plan is for"):
        by_fraction(SCORES, SHAPE, 0.5, window=16).check(tiny)
