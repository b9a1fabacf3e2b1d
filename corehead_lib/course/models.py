"""Checks of chapter 14."""

import numpy as np
from scipy.stats import binomtest

from corehead_lib.course import Expected, exercise, unlike
from corehead_lib.stats import mean_interval


@exercise("ex-models-read", "answer = ...  # two accuracies, the lower one first")
def read(natural, table, kinds) -> Expected:
    def ends(column, rows=natural):
        left = rows[column].xs(kinds[0], level="evidence").astype(float)
        return float(left.min()), float(left.max())

    right = ends("without 6%")
    mistakes = {
        "That is at 12 %; six is one step to the left.": ends("without 12%"),
        "That is at 3 %; six is one step to the right.": ends("without 3%"),
        "That is at 5 %, where the ticks are.": ends("without 5%"),
        "The dashed line is the treated model, which is no natural one.": ends("without 6%", table),
    }
    why = "Each of the two papers would be right about its model."
    return Expected(right, why, unlike(right, mistakes, 0.05), 0.05)


@exercise("ex-models-line", "answer = ...  # four whole numbers, for 3, 5, 6 and 12 %")
def line(natural, table) -> Expected:
    def lost(rows, part=0.5):
        chance = rows["chance"]
        left = [rows[f"without {n}%"] <= chance + part * (rows["accuracy"] - chance) for n in (3, 5, 6, 12)]
        return [int(one.sum()) for one in left]

    right, cases = lost(natural), len(natural)
    mistakes = {
        "The treated model is among these; take the natural ones.": lost(table),
        "Those are shares of the cases; give numbers.": [n / cases for n in right],
        "Those are the cases in which half is *kept*.": [cases - n for n in right],
        "Half of what a model has *beyond chance*, not of its accuracy.": [
            int((natural[f"without {n}%"] <= natural["accuracy"] / 2).sum()) for n in (3, 5, 6, 12)
        ],
        "That is the sum; give a number for each share.": sum(right),
        "Those are accuracies; count the cases.": [
            float(natural[f"without {n}%"].mean()) for n in (3, 5, 6, 12)
        ],
    }
    why = "The count follows the share that one happens to fix."
    return Expected(right, why, unlike(right, mistakes, 0), 0)


@exercise("ex-models-cases", "answer = ...  # four numbers: low and high by case, low and high by model")
def cases(natural) -> Expected:
    def broken(column="without 12%"):
        chance = natural["chance"].astype(float)
        return ((natural[column] - chance) / (natural["accuracy"] - chance) <= 0.5).to_numpy(bool)

    def alone(truths, method="wilson"):
        return [*binomtest(int(truths.sum()), len(truths)).proportion_ci(0.95, method)]

    def together(truths):
        return [*mean_interval(truths, groups=natural.index.get_level_values("model").tolist())]

    truths, five = broken(), broken("without 5%")
    right = [*alone(truths), *together(truths)]
    mistakes = {
        "The second interval does not know yet which cases are of one model.": alone(truths) * 2,
        "That is for the top 5 %.": [*alone(five), *together(five)],
        "Those are for shares in which half is *kept*.": [*alone(~truths), *together(~truths)],
    }
    why = "Four cases of one model are hardly more evidence than one."
    return Expected(right, why, unlike(right, mistakes))


@exercise("ex-models-own", "answer = ...  # an array of truths, one for each row of `natural`")
def own(natural, holds) -> Expected:
    known = [column.to_numpy(float) for _, column in holds.items()] if len(natural) > 1 else []

    def fine(answer):
        truths = np.asarray(answer, float)
        return bool(np.isin(truths, (0, 1)).all()) and not any((truths == one).all() for one in known)

    example = (natural["without 5%"] < natural["matched low"]).to_numpy()
    mistakes = {
        "Those are measurements; a claim is true or false of each.": natural["gini"].to_numpy(float),
        "That is a count; give a truth for each case.": float(example.sum()),
        "Those are the page's claims; give the cases of one claim.": holds.sum().to_numpy(float),
        "That has a row too many: give the natural models' cases alone, in one row.": [example, example],
    }
    if known:
        mistakes["The page has counted that, or a claim that comes out the same in all cases."] = known[0]
    why = "Now the samples that you did not look at: does it hold there?"
    return Expected(example, why, mistakes, 1e-9, fine)
