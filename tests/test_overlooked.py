"""Heads that a ranking overlooks, against ablation one by one."""

import numpy as np
import pytest
from tiny import KINDS, SAMPLES

from corehead_lib.encode import Batch, encode
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head, HeadScores
from corehead_lib.interventions import Knockout, ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.stats import paired_p
from corehead_lib.study.overlooked import CUTS, overlooked


def logprob(loaded: LoadedModel, batch: Batch, heads: list[Head]) -> np.ndarray:
    with ZeroAblation(heads)(loaded.model):
        return evaluate(loaded, [batch], progress=False).logprob


def test_the_head_that_costs_most_is_found_and_measured_on_others(family: LoadedModel) -> None:
    choosing, fresh = encode(family, KINDS), encode(family, SAMPLES)
    ranked = HeadScores(np.random.default_rng(3).random((3, 6)))
    row = overlooked(family, [choosing], [fresh], ranked, number=2)
    low = ranked.ranking()[9:]
    left = {head: logprob(family, choosing, [head]).mean() for head in low}
    first, second = sorted(low, key=left.__getitem__)[:2]
    assert row["head"] == first.name
    assert ranked.ranking()[row["place"] - 1] == first
    whole, without = logprob(family, fresh, []), logprob(family, fresh, [first])
    assert row["nats"] == pytest.approx((whole - without).mean(), abs=1e-4)
    together = logprob(family, fresh, [first, second])
    assert row["together"] == pytest.approx((whole - together).mean(), abs=1e-4)
    best = logprob(family, fresh, ranked.ranking()[:1])
    assert row["best"] == pytest.approx((whole - best).mean(), abs=1e-4)
    assert row["p"] == pytest.approx(paired_p(whole, without, [s.group or s.id for s in SAMPLES]), abs=1e-3)
    for name, (rows, keys) in CUTS.items():
        cut = Knockout([first], queries=rows, keys=keys, when="prefill").on(fresh)
        with cut(family.model):
            left_over = evaluate(family, [fresh], progress=False).logprob
        assert row[name] == pytest.approx((whole - left_over).mean(), abs=1e-4)
    enough = [name for name in CUTS if row[name] >= row["nats"] / 2]
    assert row["by"] == (enough[0] if enough and row["nats"] > 0 else "none")
