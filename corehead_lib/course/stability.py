"""Checks of chapter 07."""

from itertools import combinations

import numpy as np

from corehead_lib.course import Expected, exercise, same, unlike
from corehead_lib.heads import HeadScores, agreement


@exercise("ex-stability-read", "answer = ...  # two whole numbers: by correlation, by shared heads")
def read(between, kinds) -> Expected:
    own = [f"{kind}, itself" for kind in kinds]
    found = {name: between[name].to_dict() for name in ("spearman", "shared")}
    least, most = ({n: end(of[k] for k in own) for n, of in found.items()} for end in (min, max))

    def count(says):
        return tuple(sum(says(of[k], name) for k in of if k not in own) for name, of in found.items())

    right = count(lambda value, name: value < least[name])
    mistakes = {
        "Those are the pairs that are *not* to the left of every amber point.": count(
            lambda value, name: value >= least[name]
        ),
        "To the left of one amber point is not yet to the left of all of them.": count(
            lambda value, name: value < most[name]
        ),
        "What stands directly below or above an amber point is not to the left of it.": count(
            lambda value, name: value <= least[name]
        ),
        "Those are points to the right of luck; look at the amber ones.": count(
            lambda value, name: value > between[f"{name}_luck"].max()
        ),
    }
    return Expected(
        right, "Two measures, two answers: say which heads you mean.", unlike(right, mistakes, 0), 0
    )


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
    "ex-stability-luck", "answer = ...  # two numbers of heads: from the whole model, within each layer"
)
def luck(cut, kinds, top) -> Expected:
    (one, _), (other, _) = cut[kinds[0]][0], cut[kinds[1]][1]
    first, second = (HeadScores(x.mean(0)).ranking()[:top] for x in (one, other))
    layers, heads = one.shape[1:]
    met = [sum(h.layer == head.layer for h in second) for head in first]  # others' heads in the same layer
    right = sum([top / (layers * heads)] * top), sum(met) / heads
    mistakes = {
        "The second counts pairs in one layer; a pair is one head only with one chance in a layer's heads.": (
            right[0],
            sum(met),
        ),
        "Those are shares of the top; give numbers of heads.": [n / top for n in right],
        "The second is what the two tops do share; how many would they by luck?": (
            right[0],
            len({*first} & {*second}),
        ),
    }
    return Expected(right, "Depth alone makes tops alike.", unlike(right, mistakes), 0.01)


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


@exercise("ex-stability-own", "answer = ...  # two numbers: Spearman, shared top heads")
def own(apart, usual, top) -> Expected:
    def like(score):
        return agreement(HeadScores(usual.mean(0)), HeadScores(score.mean(0)), top)[:2]

    words, rough = (like(apart[f"scenes, {name}"][1][0]) for name in ("other words", "bfloat16"))
    mistakes = {
        "Nothing has changed: score the changed samples, and compare them with `usual`.": (1.0, top),
        "Those are the chapter's other words; change something else.": words,
        "That is the chapter's bfloat16; change something else.": rough,
    }

    def fine(answer):
        rho, shared = map(float, answer)
        known = any(same(answer, m, 1e-5) for m in mistakes.values())
        return -1 <= rho <= 1 and 0 <= shared <= top and shared == round(shared) and not known

    why = "Did it matter more, or less, than you said? And more than other samples do?"
    return Expected((0.5, top - 1), why, mistakes, 1e-5, fine)
