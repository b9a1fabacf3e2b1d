"""How alike two rankings of heads are: with intervals by group, against luck, corrected for many comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from corehead_lib.errors import CoreheadError
from corehead_lib.heads import HeadScores, agreement
from corehead_lib.stats import ENOUGH, group_sums, holm

Scored = tuple[np.ndarray, Sequence[str]]  # (S, layers, heads) and the group of each sample


def likeness(
    pairs: Mapping[Any, tuple[Scored, Scored]],
    top: int,
    shuffles: int = 9999,
    resamples: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the heads of each pair by their mean scores; by number, so head 3 of layer 2 with head 3 of layer 2.

    Luck is the second ranking with the heads of each layer in random order: what two models share that have nothing in common but
    their depth. The least p is 1 / (shuffles + 1); take enough shuffles for the correction, which is Holm's over all that is returned.

    Returns a row for each pair, indexed by its key: ``spearman`` over all heads, ``shared`` heads among the first ``top`` of both; each with ``_low``
    and ``_high``, a 95 % percentile bootstrap over groups (NaN with fewer than 24 of them on a side; it leans downwards, since samples
    drawn twice are noisier than fresh ones), ``_luck``, its mean under luck, ``_p``, one-sided, and ``_adjusted``. Pairs of
    the same samples, by group and order, are drawn together.

    Raises CoreheadError for no pairs, and as ``agreement`` does.
    """
    if not pairs:
        raise CoreheadError("There are no pairs of rankings to compare.")
    rows = {}
    for key, ((one, groups), (other, others)) in pairs.items():
        rng = np.random.default_rng(seed)
        a, b = one.mean(0), other.mean(0)
        found = agreement(HeadScores(a), HeadScores(b), top)
        value = np.array([found.spearman, found.shared])
        luck = _luck(a, b, top, shuffles, rng)  # (2, shuffles)
        p = (1 + (luck >= value[:, None] - 1e-9).sum(1)) / (1 + shuffles)
        drawn = _drawn(one, groups, other, others, top, resamples, rng)
        row: dict[str, float] = {}
        for i, name in enumerate(("spearman", "shared")):
            row |= {name: value[i], f"{name}_low": drawn[0, i], f"{name}_high": drawn[1, i]}
            row |= {f"{name}_luck": luck[i].mean(), f"{name}_p": p[i]}
        rows[key] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    tested = table[["spearman_p", "shared_p"]].to_numpy()
    table[["spearman_adjusted", "shared_adjusted"]] = holm(tested.ravel()).reshape(tested.shape)
    return table


def _luck(a: np.ndarray, b: np.ndarray, top: int, shuffles: int, rng: np.random.Generator) -> np.ndarray:
    """(2, shuffles): correlation and shared heads when the heads of each layer of ``b`` change places."""
    place = rng.permuted(np.tile(np.arange(b.shape[1]), (shuffles, *b.shape[:1], 1)), axis=-1)
    ranks = [rankdata(x).reshape(x.shape) for x in (a, b)]
    ranks = [(r - r.mean()) / r.std() / np.sqrt(r.size) for r in ranks]
    first = [np.zeros(x.shape) for x in (a, b)]
    for mask, x in zip(first, (a, b), strict=True):
        mask[tuple(np.array(HeadScores(x).ranking()[:top]).T)] = 1
    layer = np.arange(len(b))[None, :, None]
    return np.stack([np.einsum("lh,slh->s", x, y[layer, place]) for x, y in (ranks, first)])


def _drawn(
    one: np.ndarray,
    groups: Sequence[str],
    other: np.ndarray,
    others: Sequence[str],
    top: int,
    resamples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(2, 2): low and high of correlation and shared heads, when groups are drawn again."""
    sides = [_sums(one, groups), _sums(other, others)]
    if min(len(count) for _, count in sides) < ENOUGH:
        return np.full((2, 2), np.nan)
    together, found = list(groups) == list(others), []
    for _ in range(resamples):
        means, at = [], np.arange(0)
        for number, (total, count) in enumerate(sides):
            if number == 0 or not together:
                at = rng.integers(len(count), size=len(count))
            means.append(HeadScores(total[at].sum(0) / count[at].sum()))
        found.append(agreement(means[0], means[1], top)[:2])
    return np.quantile(found, [0.025, 0.975], axis=0)


def _sums(scores: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(G, layers, heads) sums over the samples of each group, and their numbers (G,)."""
    if len(groups) != len(scores):
        raise CoreheadError(f"{len(scores)} samples and {len(groups)} groups: name the group of every one.")
    return group_sums(scores, groups)
