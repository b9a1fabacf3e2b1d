"""Scores of heads: rank them, take the top fraction, draw matched controls, save and load."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from corehead_lib.errors import CoreheadError
from corehead_lib.stats import group_sums


class Head(NamedTuple):
    """One query head, counted from zero."""

    layer: int
    head: int

    @property
    def name(self) -> str:
        """Such as L3H5."""
        return f"L{self.layer}H{self.head}"


def how_many(fraction: float, heads: int) -> int:
    """Number of heads in the top ``fraction``, rounded to nearest (5 % of 1152 is 58), at least one."""
    if not 0 < fraction <= 1:
        raise CoreheadError(f"top_fraction={fraction}: use a fraction in (0, 1], such as 0.05.")
    return max(1, round(fraction * heads))


@dataclass(frozen=True)
class HeadScores:
    """One score per head, (layers, heads), with where it came from (model, data, seed, ...)."""

    score: np.ndarray
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.score.ndim != 2 or not np.isfinite(self.score).all():
            raise CoreheadError(f"Head scores are finite numbers (layers, heads), not {self.score.shape}.")

    def ranking(self) -> list[Head]:
        """All heads, highest score first; ties go to the earlier layer and head."""
        order = np.argsort(-self.score, axis=None, kind="stable")
        return [Head(int(i // self.score.shape[1]), int(i % self.score.shape[1])) for i in order]

    def top(self, fraction: float) -> list[Head]:
        """The highest-scoring ``fraction`` of heads."""
        return self.ranking()[: how_many(fraction, self.score.size)]

    def bottom(self, fraction: float) -> list[Head]:
        """The lowest-scoring ``fraction`` of heads, lowest first."""
        return self.ranking()[::-1][: how_many(fraction, self.score.size)]

    def save(self, path: Path) -> None:
        """Write JSON: ``score`` as nested lists, and ``provenance``."""
        path.write_text(json.dumps({"score": self.score.tolist(), "provenance": self.provenance}, indent=1))

    @classmethod
    def load(cls, path: Path) -> "HeadScores":
        """Read what ``save`` wrote; CoreheadError if it is missing or damaged."""
        try:
            saved = json.loads(path.read_text())
            return cls(np.array(saved["score"], dtype=np.float64), saved["provenance"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CoreheadError(f"{path} does not hold head scores: {error}.") from error


def random_heads(
    number: int, layers: int, heads: int, rng: np.random.Generator, without: Collection[Head] = ()
) -> list[Head]:
    """Draw ``number`` different heads from the whole model, none of them in ``without``."""
    pool = [head for layer in range(layers) for h in range(heads) if (head := Head(layer, h)) not in without]
    if number > len(pool):
        raise CoreheadError(f"Cannot draw {number} random heads: only {len(pool)} are left to draw from.")
    return [pool[i] for i in sorted(rng.choice(len(pool), number, replace=False))]


def layer_matched_heads(selected: list[Head], heads: int, rng: np.random.Generator) -> list[Head]:
    """Draw as many heads per layer as ``selected`` has there, from that layer's other heads.

    The fair control: depth alone cannot explain a difference. Raises CoreheadError if a layer has
    too few others.
    """
    drawn = []
    for layer, number in sorted(Counter(layer for layer, _ in selected).items()):
        others = [h for h in range(heads) if (layer, h) not in selected]
        if number > len(others):
            raise CoreheadError(f"Layer {layer}: {number} of {heads} heads are selected, too few others.")
        drawn += [Head(layer, others[i]) for i in sorted(rng.choice(len(others), number, replace=False))]
    return drawn


def mass_concentration(score: np.ndarray, share: float = 0.5) -> float:
    """Smallest fraction of heads that holds ``share`` of the positive score (arXiv 2605.27243's rho).

    Raises CoreheadError if no score is positive.
    """
    positive = np.sort(_positive(score))[::-1]
    reached = np.cumsum(positive) >= share * positive.sum() * (1 - 1e-12)  # sums round
    return float((np.argmax(reached) + 1) / positive.size)


def effective_heads(score: np.ndarray) -> float:
    """Effective number of heads, (sum s)^2 / sum s^2 of the positive score: 1 if one head holds all, all if they share evenly.

    Raises CoreheadError if no score is positive.
    """
    positive = _positive(score)
    return float(positive.sum() ** 2 / np.square(positive).sum())


def gini(score: np.ndarray) -> float:
    """Gini coefficient of the positive score: 0 if all heads share evenly, 1 - 1 / heads if one holds all.

    Raises CoreheadError if no score is positive.
    """
    positive = np.sort(_positive(score))
    place = np.arange(1, positive.size + 1)
    return float((2 * place - positive.size - 1) @ positive / (positive.size * positive.sum()))


def _positive(score: np.ndarray) -> np.ndarray:
    """The scores in one row, nothing below zero; there must be something above it."""
    positive = np.clip(score, 0, None).ravel()
    if not positive.any():
        raise CoreheadError("No head has a positive score, so there is nothing to count.")
    return positive


class Agreement(NamedTuple):
    """How alike two rankings of the same heads are."""

    spearman: float  # rank correlation over all heads
    shared: int  # heads in both tops
    expected: float  # shared heads of two tops drawn at random


def agreement(one: HeadScores, other: HeadScores, top: int) -> Agreement:
    """Compare two rankings: Spearman over all heads, and the heads that both have among their first ``top``.

    Raises CoreheadError if the models differ in shape, if ``top`` is out of range, or if a ranking has no order, all scores being equal.
    """
    if one.score.shape != other.score.shape:
        raise CoreheadError(f"Scores of {one.score.shape} and {other.score.shape} heads cannot be compared.")
    if not 1 <= top <= one.score.size:
        raise CoreheadError(f"top={top}: use a number of heads from 1 to {one.score.size}.")
    if np.ptp(one.score) == 0 or np.ptp(other.score) == 0:
        raise CoreheadError("All heads score the same, so there is no ranking to compare.")
    correlation = spearmanr(one.score.ravel(), other.score.ravel()).statistic
    shared = set(one.ranking()[:top]) & set(other.ranking()[:top])
    return Agreement(float(correlation), len(shared), top * top / one.score.size)


def membership(
    target: np.ndarray, groups: Sequence[str], top: int, draws: int = 1000, seed: int = 0
) -> np.ndarray:
    """How sure a head's place in the top is: the share of ``draws`` of the samples in which it is among the first ``top``.

    target: (S, layers, heads), a score of each sample. Whole groups are drawn, with replacement, as in ``stats``.

    Returns (layers, heads); the shares sum to ``top``. Raises CoreheadError if ``top`` is out of range or groups are missing.
    """
    size = target[0].size
    if not 1 <= top <= size or len(groups) != len(target):
        raise CoreheadError(
            f"top={top} of {size} heads, {len(groups)} groups for {len(target)} samples: give a group to each sample."
        )
    sums, _ = group_sums(target.reshape(len(target), -1), groups)
    number = len(sums)
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), draws)
    # the mean has the same order as the sum, draw by draw
    first = np.argsort(-(drawn @ sums), axis=1, kind="stable")[:, :top]
    return (np.bincount(first.ravel(), minlength=size) / draws).reshape(target.shape[1:])
