"""Checks of chapter 08."""

from corehead_lib.course import Expected, exercise
from corehead_lib.datasets.judged import judged_outcomes
from corehead_lib.stats import holm


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
    return Expected(right, "Compare both with what the whole set costs.", mistakes)


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
