"""Checks of chapter 07."""

from itertools import combinations

import numpy as np

from corehead_lib.course import Expected, exercise
from corehead_lib.heads import HeadScores, agreement


@exercise(
    "ex-stability-lift",
    "answer = ...  # two numbers, not rounded: mean Spearman between kinds, by RAM and by lift",
)
def lift(ram, kinds, top) -> Expected:
    def mean(score, part=0):
        scores = {kind: HeadScores(getattr(ram[kind], score)) for kind in kinds}
        return float(np.mean([agreement(scores[a], scores[b], top)[part] for a, b in combinations(kinds, 2)]))

    both = [mean(score) for score in ("ram", "lift")]
    mistakes = {
        "Those are heads in both tops; Spearman is asked for.": [mean(score, 1) for score in ("ram", "lift")],
        "That is selectivity; divide it by the target's share, sample by sample.": (
            both[0],
            mean("selectivity"),
        ),
    }
    return Expected(both, "Lift is unsteady where heads hardly look.", mistakes, 1e-4)


@exercise(
    "ex-stability-samples", "answer = ...  # four numbers: Spearman with 2, 4, 8 and 16 samples in each half"
)
def samples(cut, kinds, top) -> Expected:
    (one, _), (other, _) = cut[kinds[0]]
    sizes = [n for n in (2, 4, 8, 16) if n <= min(len(one), len(other))]
    means = [[HeadScores(x[:n].mean(0)) for x in (one, other)] for n in sizes]
    found = [agreement(first, second, top) for first, second in means]
    mistakes = {
        "Those are heads in both tops; Spearman is asked for.": [f.shared for f in found],
        "You compared a part with the whole of the same half. Compare the two halves.": [
            agreement(HeadScores(one[:n].mean(0)), HeadScores(one.mean(0)), top).spearman for n in sizes
        ],
    }
    return Expected([f.spearman for f in found], "Samples make the ceiling; where does it flatten?", mistakes)
