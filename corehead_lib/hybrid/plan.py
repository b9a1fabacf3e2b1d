"""Which heads stay dense, how wide the others' window is, and what that saves: a plan, chosen on a tuning split."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head, HeadScores, how_many
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.hybrid.timing import arithmetic_limit
from corehead_lib.models import Backbone, LoadedModel

FRACTIONS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class HybridPlan:
    """Heads that stay dense in a model of this geometry, and the window and sinks (tokens) of all others."""

    dense: tuple[Head, ...]
    window: int
    sinks: int
    backbone: Backbone
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.backbone
        wrong = [h for h in self.dense if not (0 <= h[0] < shape.layers and 0 <= h[1] < shape.heads)]
        if wrong or len(set(self.dense)) < len(self.dense):
            what = (
                f"layer {wrong[0][0]}, head {wrong[0][1]}, which does not exist" if wrong else "a head twice"
            )
            raise CoreheadError(f"A plan for {shape.layers} layers of {shape.heads} heads names {what}.")
        if self.window < 1 or self.sinks < 0:
            raise CoreheadError(f"A plan has window={self.window} and sinks={self.sinks}: at least 1 and 0.")

    @property
    def fraction(self) -> float:
        """Share of the query heads that stay dense."""
        return len(self.dense) / (self.backbone.layers * self.backbone.heads)

    @property
    def full_groups(self) -> list[tuple[int, int]]:
        """(layer, KV group) of every group that keeps all keys, because at least one of its heads is dense."""
        return sorted({(layer, head // self.backbone.group) for layer, head in self.dense})

    def compute_gain(self, length: int) -> float:
        """How many times fewer query-key pairs a prompt of ``length`` tokens takes: query heads count."""
        heads = self.backbone.layers * self.backbone.heads
        return arithmetic_limit(length, heads, len(self.dense), self.window, self.sinks)

    def cache_gain(self, length: int) -> float:
        """How many times smaller the cache of ``length`` tokens is: KV groups count."""
        groups, full = self.backbone.layers * self.backbone.kv_heads, len(self.full_groups)
        kept = min(length, self.sinks + self.window - 1)
        return groups * length / (full * length + (groups - full) * kept)

    def operator(self, dense_rows: int = 0, fall_back: bool = False) -> HybridAttention:
        """The operator that carries this plan out."""
        return HybridAttention(self.dense, self.window, self.sinks, dense_rows, fall_back)

    def check(self, loaded: LoadedModel) -> "HybridPlan":
        """Return the plan itself; raises CoreheadError if ``loaded`` is of another geometry."""
        if loaded.backbone != self.backbone:
            raise CoreheadError(f"The plan is for {self.backbone}, but {loaded.name!r} is {loaded.backbone}.")
        return self


def by_fraction(
    scores: HeadScores, backbone: Backbone, fraction: float, window: int, sinks: int = 4
) -> HybridPlan:
    """Keep the highest-scoring ``fraction`` of all heads dense, rounded to nearest; 0 for none."""
    if scores.score.shape != (backbone.layers, backbone.heads):
        raise CoreheadError(
            f"The scores are of {scores.score.shape[0]} layers of {scores.score.shape[1]} heads, the model has "
            f"{backbone.layers} of {backbone.heads}."
        )
    number = how_many(fraction, scores.score.size) if fraction else 0
    origin = {"scores": scores.provenance, "rule": {"fraction": fraction}}
    return HybridPlan(tuple(scores.ranking()[:number]), window, sinks, backbone, origin)


def candidates(
    scores: HeadScores,
    backbone: Backbone,
    fractions: Iterable[float],
    windows: Iterable[int],
    sinks: Iterable[int],
) -> list[HybridPlan]:
    """All combinations, for ``choice.choose``."""
    grid = product(fractions, windows, sinks)
    return [by_fraction(scores, backbone, fraction, window, s) for fraction, window, s in grid]
