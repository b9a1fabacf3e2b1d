"""How alike rankings are: known answers, luck within layers, intervals by group, one correction for all."""

from collections.abc import Sequence

import numpy as np
import pytest

from corehead_lib.errors import CoreheadError
from corehead_lib.heads import HeadScores, agreement
from corehead_lib.study import likeness
from corehead_lib.study.likeness import Scored

RNG = np.random.default_rng(0)
NAMES = [str(n) for n in range(30)]


def scored(mean: np.ndarray, noise: float = 0.01, groups: Sequence[str] = NAMES) -> Scored:
    return mean + noise * RNG.random((len(groups), *mean.shape)), groups


def test_relatives_are_alike_and_strangers_are_not() -> None:
    base, stranger = RNG.random((2, 4, 16))
    pairs = {"relatives": (scored(base), scored(base)), "strangers": (scored(base), scored(stranger))}
    table = likeness(pairs, 4, shuffles=999, resamples=50)
    same, other = table.loc["relatives"], table.loc["strangers"]
    assert same.spearman > 0.95
    assert same.shared_p == same.spearman_p == 1 / 1000
    assert same.spearman_adjusted == pytest.approx(0.004)
    assert other.spearman_adjusted > 0.05
    assert same.spearman_low <= same.spearman_high
    a, b = (x.mean(0) for x, _ in pairs["strangers"])
    assert (other.spearman, other.shared) == agreement(HeadScores(a), HeadScores(b), 4)[:2]


def test_depth_alone_is_no_likeness() -> None:
    depth = np.repeat(np.arange(4.0)[:, None], 16, 1)
    row = likeness({0: (scored(depth, 0.1), scored(depth, 0.1))}, 16, 999, 20).iloc[0]
    assert row.spearman > 0.9
    assert row.spearman_luck == pytest.approx(row.spearman, abs=0.1)
    assert (row.shared, row.shared_luck, row.shared_p) == (16, 16, 1)


def test_few_groups_give_no_interval_and_a_group_counts_once() -> None:
    base = RNG.random((4, 16))
    few = likeness({0: (scored(base, groups=["a"] * 40), scored(base))}, 4, 99, 20).iloc[0]
    assert np.isnan([few.spearman_low, few.shared_high]).all()
    one = scored(base, 2.0)
    twice = (np.concatenate([one[0], one[0]]), [*one[1], *one[1]])
    tables = [likeness({0: (x, x)}, 4, 99, 50).iloc[0] for x in (one, twice)]
    assert tables[0].spearman_low == pytest.approx(tables[1].spearman_low)


def test_what_cannot_be_compared_is_refused() -> None:
    base = RNG.random((4, 16))
    wrongs: tuple[dict[int, tuple[Scored, Scored]], ...]
    wrongs = ({}, {0: (scored(base), scored(base[:2]))}, {0: ((scored(base)[0], "ab"), scored(base))})
    for wrong in wrongs:
        with pytest.raises(CoreheadError):
            likeness(wrong, 4, 9, 5)
