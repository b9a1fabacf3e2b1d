"""Rankings, counts, controls and files of head scores."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corehead_lib.errors import CoreheadError
from corehead_lib.heads import (
    Head,
    HeadScores,
    agreement,
    effective_heads,
    gini,
    how_many,
    layer_matched_heads,
    mass_concentration,
    membership,
    random_heads,
)

FIVE = HeadScores(np.array([[0.1, 0.9, 0.5], [0.5, -0.2, 0.5]]))


def test_ranking_is_by_score_and_ties_go_to_the_earlier_head() -> None:
    assert FIVE.ranking() == [(0, 1), (0, 2), (1, 0), (1, 2), (0, 0), (1, 1)]


def test_top_and_bottom() -> None:
    assert FIVE.top(1 / 3) == [Head(0, 1), Head(0, 2)]
    assert FIVE.bottom(1 / 3) == [Head(1, 1), Head(0, 0)]
    assert FIVE.top(1.0) == FIVE.ranking()


@pytest.mark.parametrize(
    ("fraction", "heads", "expected"),
    [(0.05, 1152, 58), (0.05, 128, 6), (0.05, 448, 22), (0.001, 128, 1), (1.0, 128, 128)],
)
def test_how_many_heads_a_fraction_is(fraction: float, heads: int, expected: int) -> None:
    assert how_many(fraction, heads) == expected


@pytest.mark.parametrize("fraction", [0.0, -0.05, 1.01, 5, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(CoreheadError, match="use a fraction in"):
        FIVE.top(fraction)


@pytest.mark.parametrize("score", [np.array([[0.1, np.nan]]), np.array([[np.inf, 0.0]]), np.zeros(3)])
def test_scores_that_are_not_finite_or_not_a_table_are_refused(score: np.ndarray) -> None:
    with pytest.raises(CoreheadError, match="finite numbers"):
        HeadScores(score)


def test_scores_survive_a_file(tmp_path: Path) -> None:
    given = HeadScores(np.random.default_rng(0).normal(size=(8, 16)), {"model": "tiny", "seed": 3})
    given.save(tmp_path / "scores.json")
    read = HeadScores.load(tmp_path / "scores.json")
    np.testing.assert_array_equal(read.score, given.score)
    assert read.provenance == given.provenance


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"score": [[1, 2]',
        "[]",
        '{"provenance": {}}',
        '{"score": [[1, 2], [3]], "provenance": {}}',
        '{"score": [[NaN, 2]], "provenance": {}}',
        '{"score": "high", "provenance": {}}',
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scores.json"
    path.write_text(content)
    with pytest.raises(CoreheadError, match=r"scores\.json does not hold head scores"):
        HeadScores.load(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match=r"none\.json does not hold head scores"):
        HeadScores.load(tmp_path / "none.json")


all_heads = st.sampled_from([Head(layer, head) for layer in range(4) for head in range(6)])


@given(st.sets(all_heads), st.data())
def test_random_draws_avoid_what_they_shall(without: set[Head], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 24 - len(without)))
    rng = np.random.default_rng(data.draw(st.integers(0, 100)))
    drawn = random_heads(number, 4, 6, rng, without)
    assert len(set(drawn)) == len(drawn) == number
    assert not set(drawn) & without
    assert all(0 <= layer < 4 and 0 <= head < 6 for layer, head in drawn)


def test_every_head_can_be_drawn() -> None:
    rng = np.random.default_rng(0)
    seen = Counter(head for _ in range(300) for head in random_heads(2, 2, 3, rng, [Head(0, 0)]))
    assert sorted(seen) == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert min(seen.values()) > 80  # 120 expected of each


def test_more_random_heads_than_there_are_are_refused() -> None:
    with pytest.raises(CoreheadError, match="Cannot draw 6 random heads: only 5 are left"):
        random_heads(6, 2, 3, np.random.default_rng(0), [Head(0, 0)])


@given(
    st.lists(all_heads, unique=True).filter(
        lambda s: max(Counter(h.layer for h in s).values(), default=0) <= 3
    )
)
def test_matched_draws_keep_the_layers_and_avoid_the_selected(selected: list[Head]) -> None:
    drawn = layer_matched_heads(selected, 6, np.random.default_rng(len(selected)))
    assert Counter(h.layer for h in drawn) == Counter(h.layer for h in selected)
    assert len(set(drawn)) == len(drawn)
    assert not set(drawn) & set(selected)
    assert all(0 <= h.head < 6 for h in drawn)


def test_matched_draws_reach_all_other_heads_of_the_layer() -> None:
    rng = np.random.default_rng(0)
    seen = {head for _ in range(100) for head in layer_matched_heads([Head(2, 1)], 4, rng)}
    assert seen == {(2, 0), (2, 2), (2, 3)}


def test_a_layer_with_too_few_others_is_refused() -> None:
    with pytest.raises(CoreheadError, match="Layer 1: 3 of 5 heads are selected"):
        layer_matched_heads([Head(1, h) for h in range(3)], 5, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("score", "share", "expected"),
    [
        ([[4, 3], [2, 1]], 0.5, 2 / 4),  # 4 + 3 of 10
        ([[4, 3], [2, 1]], 0.4, 1 / 4),
        ([[1, 2], [3, 4]], 0.9, 3 / 4),
        ([[1, 1], [1, 1]], 1.0, 4 / 4),
        ([[-9, 1], [0, 1]], 0.6, 2 / 4),  # negative scores hold nothing
    ],
)
def test_concentration_by_hand(score: list[list[float]], share: float, expected: float) -> None:
    assert mass_concentration(np.array(score, dtype=float), share) == expected


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ([[5, 0], [0, 0]], 1),
        ([[2, 2], [2, 2]], 4),
        ([[3, 1], [0, -7]], 1.6),  # 4^2 / (9 + 1)
    ],
)
def test_effective_number_by_hand(score: list[list[float]], expected: float) -> None:
    assert effective_heads(np.array(score, dtype=float)) == pytest.approx(expected)


def test_no_positive_score_has_no_effective_number() -> None:
    with pytest.raises(CoreheadError, match="No head has a positive score"):
        effective_heads(np.array([[0.0, -1.0]]))
    with pytest.raises(CoreheadError, match="No head has a positive score"):
        mass_concentration(np.array([[0.0, -1.0]]))


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ([[2, 2], [2, 2]], 0),
        ([[0, 8], [0, 0]], 3 / 4),
        ([[1, 3]], 1 / 4),
        ([[1, 2], [3, -4]], 5 / 12),  # 0, 1, 2, 3
    ],
)
def test_gini_by_hand(score: list[list[float]], expected: float) -> None:
    values = np.clip(np.array(score, dtype=float).ravel(), 0, None)
    pairs = np.abs(values[:, None] - values).sum() / (2 * values.size * values.sum())  # its definition
    assert gini(np.array(score)) == pytest.approx(expected)
    assert expected == pytest.approx(pairs)


def test_agreement_by_hand() -> None:
    one, other = HeadScores(np.array([[4.0, 3], [2, 1]])), HeadScores(np.array([[4.0, 1], [2, 3]]))
    assert agreement(one, other, 2) == pytest.approx((0.2, 1, 1.0))  # 1 - 6 * (4 + 4) / 60
    assert agreement(one, one, 3) == pytest.approx((1, 3, 9 / 4))
    for first, top, message in (
        (HeadScores(np.ones((1, 4))), 1, "cannot be compared"),
        (HeadScores(np.ones((2, 2))), 1, "no ranking"),
        (one, 5, "from 1 to 4"),
    ):
        with pytest.raises(CoreheadError, match=message):
            agreement(first, other, top)


def test_membership_is_sure_of_what_never_changes_and_draws_whole_groups() -> None:
    target = np.zeros((40, 1, 4))
    target[:, 0, 0] = 1.0  # always first
    target[::2, 0, 1], target[1::2, 0, 2] = 0.5, 0.5  # one or the other, a coin's toss
    share = membership(target, [str(i) for i in range(40)], top=2)
    assert share.shape == (1, 4)
    assert share.sum() == pytest.approx(2)
    assert share[0, 0] == 1
    assert share[0, 3] == 0
    assert 0.4 < share[0, 1] < 0.6
    together = membership(
        target, [str(i // 2) for i in range(40)], top=2
    )  # each group has one of each: a tie
    assert together[0].tolist() == [1, 1, 0, 0]


def test_membership_equals_ranking_each_draw_anew() -> None:
    rng = np.random.default_rng(0)
    target, groups = rng.random((9, 2, 3)), list("aabbbcdde")
    drawn = np.random.default_rng(5).multinomial(5, np.full(5, 0.2), 50)
    found = Counter(
        head
        for times in drawn
        for head in HeadScores(
            np.mean([target[i] for i, g in enumerate(groups) for _ in range(times["abcde".index(g)])], axis=0)
        ).ranking()[:2]
    )
    share = membership(target, groups, top=2, draws=50, seed=5)
    assert {Head(*map(int, at)): value for at, value in np.ndenumerate(share) if value} == {
        head: number / 50 for head, number in found.items()
    }


@pytest.mark.parametrize(("top", "groups"), [(0, 3), (7, 3), (2, 2)])
def test_membership_refuses_what_does_not_fit(top: int, groups: int) -> None:
    with pytest.raises(CoreheadError, match="give a group to each sample"):
        membership(np.zeros((3, 2, 3)), ["g"] * groups, top)
