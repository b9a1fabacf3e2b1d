"""Checks of chapter 11."""

import numpy as np
from scipy.stats import norm

from corehead_lib.answers import QUERIES
from corehead_lib.course import Expected, exercise, unlike
from corehead_lib.heads import HeadScores, how_many
from corehead_lib.study.lag import lag


@exercise("ex-emergence-read", "answer = ...  # two numbers: fall for RAM, fall for all evidence")
def read(past, kind, queries) -> Expected:
    row, ends = QUERIES.index(queries), (past[0], past[-1])
    scores = [
        [end.looks[kind][row].astype(float).mean(0) for end in ends],
        [end.source[kind][row].astype(float) for end in ends],
    ]
    number = np.array([[s.sum() ** 2 / (s**2).sum() for s in score] for score in scores])
    right = number[:, 0] - number[:, 1]
    mistakes = {
        "Those are the numbers at the end; how far did they fall?": number[:, 1],
        "Those are the numbers at the beginning; how far did they fall?": number[:, 0],
        "A fall counts as positive here, a rise as negative.": -right,
        "Those are factors; give the difference.": number[:, 0] / number[:, 1],
    }
    return Expected(
        right, "Only the second tells what is special about the first.", unlike(right, mistakes, 6), 6
    )


@exercise("ex-emergence-rows", "answer = ...  # three numbers of steps: lag, low, high")
def rows(past, kind, steps, right, guess, how, top_fraction) -> Expected:
    def found(rows, first="lag"):
        mass = np.stack([s.mass(kind, rows) for s in past])  # (N, S, L, H)
        end = mass[-1].mean(0)
        chosen = [*zip(*HeadScores(end).ranking()[: how_many(top_fraction, end.size)], strict=True)]
        looks = mass[:, :, chosen[0], chosen[1]].mean(-1)
        got = lag(steps, looks, right[kind], floor=guess[kind], **how)
        return [got[key] for key in (first, "low", "high")]

    value = found("question")
    mistakes = {
        "Those are the rows of the last prompt token.": found("last"),
        "That is answering less looking; you have looking less answering.": [-value[0], -value[2], -value[1]],
        "The first is the step at which looking is half-way; give the lag.": found("question", "first"),
    }
    why = "Where one looks decides what seems to come first."
    return Expected(value, why, unlike(value, mistakes, 0.5), 0.5)


@exercise(
    "ex-emergence-luck", "answer = ...  # two numbers: largest spread of twins, settings of one direction"
)
def luck(grid) -> Expected:
    half = grid.set_index(["setting", "seed"]).half
    others = [s for s in dict.fromkeys(grid.setting) if s != "base"]
    twins = [half[s] - half["base"].reindex(half[s].index) for s in others]
    spread = round(max(float(np.ptp(change)) for change in twins), 3)
    same = sum(bool((change > 0).all() or (change < 0).all()) for change in twins)
    largest = max(float(np.ptp(half[s])) for s in others)
    mistakes = {
        "The second counts settings whose twins do *not* agree.": (spread, len(twins) - same),
        "A change may go down as well.": (spread, sum(bool((change > 0).all()) for change in twins)),
        "The first is about runs of one setting; take changes, each run less its twin.": (largest, same),
        "That is a standard deviation; take the largest less the smallest.": (
            max(float(change.std()) for change in twins),
            same,
        ),
        "The second counts settings, not shares.": (spread, same / len(twins)),
    }
    why = "A mean within the spread of its twins shows little."
    return Expected((spread, same), why, unlike((spread, same), mistakes, 0.001), 0.001)


@exercise("ex-emergence-power", "answer = ...  # one whole number of seeds")
def power(share=0.9, level=0.05) -> Expected:
    sure, found = norm.ppf(1 - level / 2), norm.ppf(share)
    squared = 4 / 3.141592653589793  # (mean difference of two runs / sigma)^2
    number = 2 * (sure + found) ** 2 / squared
    mistakes = {
        "That is the number for one setting measured against a known value; here both are uncertain.": number
        / 2,
        "That has a power of one half only: add the quantile of nine in ten.": 2 * sure**2 / squared,
        "That is for both settings together; give the seeds of each.": 2 * number,
    }
    return Expected(number, "Small effects in noisy runs are dear.", mistakes, 2)


@exercise("ex-emergence-all", "answer = ...  # an array, snapshots x questions")
def free(past, kind, queries, steps, right, guess, how, looks) -> Expected:
    def low(curve):
        return lag(steps, curve, right[kind], floor=guess[kind], **how)["low"]

    def fine(answer):
        curve = np.asarray(answer, float)
        return bool(np.isfinite(curve).all() and (curve != right[kind]).any() and low(curve) > 0)

    mass = np.stack([s.mass(kind, queries) for s in past])
    mistakes = {
        "That is this page's curve, of the heads that end on top.": looks[kind],
        "Those are the answers themselves; measure looking.": right[kind].astype(float),
        "That is a curve of means; keep a column for each question.": mass.sum((2, 3)).mean(1),
        "There are dimensions too many: make one number of all heads.": mass,
        "That curve does not rise.": np.zeros(right[kind].shape),
    }
    alike = {s for s, m in mistakes.items() if np.shape(m) == right[kind].shape and fine(m)}
    why = "Somebody else finds a measure that comes last. Which one had you fixed beforehand?"
    kept = {s: m for s, m in mistakes.items() if s not in alike}
    return Expected(mass.sum((2, 3)), why, kept, 1e-9, fine)
