"""Checks of chapter 06."""

import numpy as np

from corehead_lib.course import Expected, exercise
from corehead_lib.heads import HeadScores, agreement


def _shared(one, other, top):
    return len({*HeadScores(one).ranking()[:top]} & {*HeadScores(other).ranking()[:top]})


@exercise("ex-ranking-read", "answer = ...  # two whole numbers: heads for RAM, heads for the picture")
def read(scores, picture) -> Expected:
    def needed(score, share=0.5):
        held = np.cumsum(np.sort(score.ravel())[::-1]) / score.sum()
        return int(np.searchsorted(held, share)) + 1

    both = needed(scores.ram), needed(picture)
    mistakes = {
        "That is where the curves reach all of the score; look for one half.": (
            needed(scores.ram, 0.99),
            needed(picture, 0.99),
        ),
        "The axis is logarithmic: the ticks are at 1, 3, 10, 30 and 100 heads.": (
            both[0] * 10,
            both[1] * 10,
        ),
    }
    return Expected(both, "Fewer heads find the evidence than look at the picture.", mistakes, 3)


@exercise("ex-ranking-few", "answer = ...  # four whole numbers, for 6, 12, 24 and 48 samples")
def few(scores, core) -> Expected:
    parts = [scores.target[:n].mean(0) for n in (6, 12, 24, 48)]
    shared = [_shared(part, scores.ram, len(core)) for part in parts]
    rho = [agreement(HeadScores(p), HeadScores(scores.ram), len(core)).spearman for p in parts]
    mistakes = {
        "Those are correlations over all heads; count the heads that both tops have.": rho,
        "Those are shares; give numbers of heads.": [n / len(core) for n in shared],
        "That counts the heads that are *not* shared.": [len(core) - n for n in shared],
    }
    return Expected(shared, "The top settles long before the order of all heads does.", mistakes, 0)


@exercise("ex-ranking-tasks", "answer = ...  # a dict from task to a number of heads")
def tasks(scores, core, samples) -> Expected:
    names = np.array([sample.task for sample in samples])
    means = {t: scores.target[names == t].mean(0) for t in sorted({*names})}
    shared = {t: _shared(m, scores.ram, len(core)) for t, m in means.items()}
    mistakes = {
        "Those are shares; give numbers of heads.": {t: n / len(core) for t, n in shared.items()},
        "That counts the heads that are *not* shared.": {t: len(core) - n for t, n in shared.items()},
        "That is the number of samples of each task.": {t: int((names == t).sum()) for t in shared},
    }
    return Expected(shared, "Nearly the same heads lead, whatever the question names.", mistakes, 0)


@exercise("ex-ranking-floor", "answer = ...  # two shares, between 0 and 1: of 48 heads, of 288")
def floor() -> Expected:
    heads = np.array([48, 288])
    mistakes = {
        "Half of the score does not take half a head: one head may hold it all.": 0.5 / heads,
        "Those are the shares if all heads hold alike; the smallest possible ones are asked for.": [0.5, 0.5],
    }
    return Expected(1 / heads, "One head of many is a smaller share than one of few.", mistakes, 1e-4)


@exercise("ex-ranking-own", "answer = ...  # an array of scores, layers x heads")
def own(scores) -> Expected:
    def fine(answer):
        array = np.asarray(answer, dtype=float)
        fit = np.isfinite(array).all() and np.ptp(array) > 0
        return bool(fit) and HeadScores(array).ranking() != HeadScores(scores.ram).ranking()

    mistakes = {
        "That is RAM itself; score heads by something else.": scores.ram,
        "All heads have the same score, so there is no ranking.": np.ones_like(scores.ram),
        "There is a dimension too many: take a mean over samples.": scores.visual,
    }
    return Expected(
        scores.target.std(0), "Now say by which evidence you would call it better.", mistakes, 1e-9, fine
    )
