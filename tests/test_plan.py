"""Plans: which heads, and what they save."""

import numpy as np
import pytest
import torch

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head, HeadScores
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.plan import by_fraction
from corehead_lib.models import Backbone, LoadedModel

SHAPE = Backbone(layers=2, heads=4, kv_heads=2, head_dim=8)
SCORES = HeadScores(np.array([[0.1, 0.8, 0.2, 0.3], [0.9, 0.7, 0.0, 0.4]]), {"task": "pair"})


def test_a_fraction_takes_the_highest_scores() -> None:
    plan = by_fraction(SCORES, SHAPE, 0.25, window=16)
    assert plan.dense == (Head(1, 0), Head(0, 1))
    assert plan.fraction == 0.25
    assert by_fraction(SCORES, SHAPE, 0, window=16).dense == ()
    assert plan.provenance == {"scores": {"task": "pair"}, "rule": {"fraction": 0.25}}


def test_a_group_is_full_if_any_of_its_heads_is_dense() -> None:
    plan = by_fraction(SCORES, SHAPE, 0.375, window=16)
    assert plan.full_groups == [(0, 0), (1, 0)]


def test_gains_by_hand() -> None:
    plan = by_fraction(SCORES, SHAPE, 0.375, window=3, sinks=2)
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


def test_scores_of_another_model_are_refused(tiny: LoadedModel) -> None:
    with pytest.raises(CoreheadError, match="2 layers of 4 heads"):
        by_fraction(SCORES, tiny.backbone, 0.5, window=16)
    with pytest.raises(CoreheadError, match="The plan is for"):
        by_fraction(SCORES, SHAPE, 0.5, window=16).check(tiny)
