"""Checks of chapter 08."""

import numpy as np

from corehead_lib.course import Expected, exercise, unlike
from corehead_lib.datasets.judged import judged_outcomes
from corehead_lib.stats import holm, paired_p


@exercise("ex-ablation-read", "answer = ...  # three accuracies, without the first 4, 8 and 16 heads")
def read(curve) -> Expected:
    def left(kind, column="correct"):
        along = curve[column][kind]
        return [float(along[n]) for n in (4, 8, 16) if n in along.index]

    right = left("top")
    mistakes = {
        "That is the curve from the bottom.": left("bottom"),
        "That is a random order.": left("random 0"),
        "That is the right panel, the log-probability.": left("top", "logprob"),
        "Those are losses; give the accuracy that is left.": [
            curve.correct["none"].item() - x for x in right
        ],
    }
    why = "One model, one ranking, three findings."
    return Expected(right, why, unlike(right, mistakes, 0.05), 0.05)


@exercise(
    "ex-ablation-one",
    "answer = ...  # two accuracies: without the first of the larger set, without its others",
)
def one(loaded, retrieval, core, few, more, how) -> Expected:
    n, top = len(core[few]), core[more]
    sets = {"first": top[:n], "others": top[n:], "all": top}
    found = judged_outcomes(loaded, retrieval, sets, **how).groupby("set").correct.mean()
    right = found["first"], found["others"]
    mistakes = {
        "The second is without *all* of them; silence those alone that are not among the first.": (
            right[0],
            found["all"],
        ),
        "Those are losses; give the accuracy that is left.": [found["none"] - r for r in right],
    }
    return Expected(right, "Compare both with what the whole set costs.", unlike(right, mistakes))


@exercise("ex-ablation-logprob", "answer = ...  # two p: in accuracy, in log-probability")
def logprob(asked, few, more) -> Expected:
    wide = {c: asked.pivot_table(c, "id", "set", sort=False).astype(float) for c in ("correct", "logprob")}
    group = asked[asked["set"] == "none"].set_index("id").group

    def tested(other):
        return [paired_p(t["none"], t[other], group[t.index].tolist()) for t in wide.values()]

    right = tested(f"{few} top")
    mistakes = {
        "Those are the costs; give p.": [(t["none"] - t[f"{few} top"]).mean() for t in wide.values()],
        "That is the larger set; take the smaller one.": tested(f"{more} top"),
        "Those are adjusted; give p as they come out.": holm(right),
        "Those are one-sided; count both directions.": [p / 2 for p in right],
        "Those are of the lowest heads by RAM.": tested(f"{few} bottom"),
    }
    why = "The same heads, the same questions: what has the threshold hidden?"
    return Expected(right, why, unlike(right, mistakes))


@exercise("ex-ablation-draws", "answer = ...  # one whole number")
def draws() -> Expected:
    def least(kinds, below=0.01):
        return next(r for r in range(1, 10**4) if max(holm([1 / (r + 1)] * kinds)) < below)

    number = least(4)
    mistakes = {
        "That is without the correction: Holm multiplies the least of four equal p by four.": least(1),
        "With one draw less than needed p is 0.01 exactly, and not below.": number - 1,
        "That is the sum over the four kinds; give the draws of each.": 4 * number,
    }
    return Expected(number, "The least p is 1 / (draws + 1), and four of them are corrected.", mistakes, 0)


@exercise("ex-ablation-own", "answer = ...  # a list of (layer, head)")
def own(core, few, more, scores, ranked) -> Expected:
    layers, heads = scores.score.shape
    taken, number = {*core[more]}, len(core[few])
    bottom = scores.ranking()[::-1][:number]

    def fine(answer):
        found = {tuple(pair) for pair in np.asarray(answer, float).tolist()}
        real = all(layer in range(layers) and head in range(heads) for layer, head in found)
        return real and len(found) == number and not found & taken and found != {*bottom}

    loud = [h for h in ranked["norm"].ranking() if h not in taken]
    mistakes = {
        "That is the top by RAM itself; find others.": core[few],
        "Some of these are in the larger top set; leave that out.": core[more][-number:],
        "Those are the lowest by RAM, which this page has silenced already.": bottom,
        "Those are too many; take as many as the smaller set has.": loud[: number + 1],
        "Those are their places in the ranking; give (layer, head).": [*range(number)],
    }
    why = "As bad to lose, perhaps. What else went with them?"
    return Expected(loud[:number], why, mistakes, 1e-9, fine)
