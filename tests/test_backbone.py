"""The random backbone: its arithmetic against its own weights, and that both comparisons measure what they say."""

import pytest

from corehead_lib.hybrid.backbone import (
    attention_bound,
    compare_decode,
    compare_prefill,
    random_backbone,
    spread_plan,
)


def test_the_bound_counts_the_weights_of_a_layer() -> None:
    layer = random_backbone(1).model.language_model.layers[0]
    weights = sum(p.numel() for p in layer.parameters() if p.ndim == 2)
    pairs = 2 * 16 * 128 * 8192 / 2  # with keys, then with values, half of them on average
    assert attention_bound(8192) == pytest.approx(1 + pairs / weights)


def test_prefill_has_a_row_for_each_kernel_and_attention_is_part_of_it() -> None:
    dense, hybrid = compare_prefill(random_backbone(1), 64, spread_plan(1, window=8, sinks=2))
    assert [dense["kernel"], hybrid["kernel"]] == ["dense", "hybrid"]
    assert dense["gain"] == 1
    for row in (dense, hybrid):
        assert 0 < row["attention_seconds"] < row["seconds"]
        assert row["gain_at_most"] == pytest.approx(1 / (1 - row["attention_share"]))


def test_the_cache_of_a_decoding_backbone_falls_as_planned() -> None:
    plan = spread_plan(1, window=8, sinks=2)
    dense, whole, trimmed = compare_decode(random_backbone(1), 100, plan)
    assert dense["cache_bytes"] == whole["cache_bytes"] == 2 * 4 * 8 * 100 * 128
    assert trimmed["cache_gain"] == pytest.approx(plan.cache_gain(100)) == trimmed["cache_gain_planned"]
