"""A portrait's numbers against each of them measured on its own."""

import numpy as np
import pytest
from tiny import KINDS

from corehead_lib.encode import encode
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import HeadScores, how_many
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.ram import measure_ram
from corehead_lib.study import portrait


def test_every_number_is_what_it_says(family: LoadedModel) -> None:
    batches = [encode(family, KINDS)]
    row = portrait(family, batches, batches, draws=3, hybrid=lambda dense: HybridAttention(dense, 4, 1))
    scores = measure_ram(family, batches, "last")
    ranking = HeadScores(scores.ram).ranking()
    assert row["heads"] == len(ranking) == 18
    for share in (0.01, 0.06, 0.12, 0.24):
        with ZeroAblation(ranking[: how_many(share, 18)])(family.model):
            assert row[f"without {share:.0%}"] == evaluate(family, batches).accuracy
    with HybridAttention(ranking[:1], 4, 1)(family.model):
        assert row["hybrid"] == evaluate(family, batches).accuracy
    assert row["accuracy"] == evaluate(family, batches).accuracy
    cumulated = np.sort(scores.ram.ravel())[::-1].cumsum() / scores.ram.sum()
    assert row["half in"] == pytest.approx((np.searchsorted(cumulated, 0.5) + 1) / 18)
    assert row["matched low"] <= row["matched median"] <= row["matched high"]
    assert row["until half"] is None  # at chance there is nothing to lose
    assert {row["shared question"], row["shared answer"]} <= {0.0, 1.0}  # of one head
