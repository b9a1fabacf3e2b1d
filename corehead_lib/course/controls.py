"""Checks of chapter 09."""

import numpy as np
from scipy.stats import pearsonr, rankdata, spearmanr

from corehead_lib.course import Expected, exercise, unlike
from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.heads import HeadScores
from corehead_lib.study import outcomes


@exercise("ex-controls-read", "answer = ...  # two numbers: cost in retrieval, cost in the controls")
def read(asked, counted, k) -> Expected:
    def costs(name, tables=(asked, counted)):
        right = [t.groupby("set").correct.mean() for t in tables if len(t)]
        return [float(mean["none"] - mean[name]) for mean in right]

    right = costs(f"entropy/{k}")
    mistakes = {
        "That is the right panel, with twice as many heads.": costs(f"entropy/{2 * k}"),
        "That is the row of RAM.": costs(f"ram-last/{k}"),
        "The points are retrieval, the rings are controls.": right[::-1],
        "Those are accuracies; the figure shows what is lost.": [
            float(t[t["set"] == f"entropy/{k}"].correct.mean()) for t in (asked, counted) if len(t)
        ],
    }
    why = "What costs much need not be about retrieval."
    return Expected(right, why, unlike(right, mistakes, 0.05), 0.05)


@exercise("ex-controls-ratio", "answer = ...  # three ratios: one, two, four control questions lost")
def ratio(asked, twice, rest) -> Expected:
    lost = np.array([1, 2, 4])
    drop = asked[asked["set"] == "none"].correct.mean() - asked[asked["set"] == twice].correct.mean()
    right = drop * len(rest) / lost
    mistakes = {
        "A drop is a share of the questions: divide by one of them as a share of all.": drop / lost,
        "Those are differences; a ratio is a quotient.": drop - lost / len(rest),
        "That is the drop in the controls divided by that in retrieval.": 1 / right
        if drop
        else np.full(3, np.nan),
        "That is accuracy without the heads over the drop; what do they *cost* in retrieval?": (
            asked[asked["set"] == twice].correct.mean() * len(rest) / lost
        ),
    }
    why = "One question more, and it is half as large."
    return Expected(right, why, unlike(right, mistakes, 0.05), 0.05)


@exercise(
    "ex-controls-evidence",
    "answer = ...  # two accuracies on texts: without the top heads, without as many at random",
)
def evidence(loaded, probe_samples, seed, batch_size, tops, twice, k) -> Expected:
    texts = encode_all(loaded, load_samples("haystacks", "evaluation", probe_samples, seed), batch_size)
    two = {n: tops[n] for n in (twice, f"random/{2 * k}")}
    table = outcomes(loaded, texts, two).groupby("set")[["correct", "logprob"]].mean()
    right = table.correct[[*two]].tolist()
    mistakes = {
        "Those are log-probabilities; accuracies are asked for.": table.logprob[[*two]].tolist(),
        "The first row of the table is the untouched model.": (float(table.correct["none"]), right[0]),
    }
    why = "Whether the heads are the same is the question of another chapter."
    return Expected(right, why, unlike(right, mistakes))


@exercise("ex-controls-tasks", "answer = ...  # a dict from task to a correlation")
def tasks(many, mass, judged) -> Expected:
    names = np.array([sample.task for sample in many])
    each = {str(task): names == task for task in sorted({*names})}

    def within(way, one=mass, other=judged.logprob):
        return {task: float(way(one[part], other[part])[0]) for task, part in each.items()}

    right = {
        task: float(np.corrcoef(rankdata(mass[part]), rankdata(judged.logprob[part]))[0, 1])
        for task, part in each.items()
    }
    whole = float(spearmanr(mass, judged.logprob).statistic)
    mistakes = {
        "That is the correlation over all questions, for each task.": dict.fromkeys(each, whole),
        "That is Pearson's, of the numbers themselves; Spearman's is of their ranks.": within(pearsonr),
        "That has the sign turned round.": {task: -r for task, r in right.items()},
        "That is how often the answer is right; correlate.": {
            task: float(judged.correct[part].mean()) for task, part in each.items()
        },
        "Those are mean masses; correlate.": {task: float(mass[part].mean()) for task, part in each.items()},
    }
    why = "What stands within a task cannot come from the mix of tasks."
    return Expected(right, why, unlike(right, mistakes))


@exercise("ex-controls-own", "answer = ...  # an array of scores, layers x heads")
def own(ranked) -> Expected:
    def order(score):
        return HeadScores(np.asarray(score, float)).ranking()

    known = [order(r.score) for r in ranked.values()]

    def fine(answer):
        return bool(np.isfinite(answer).all()) and order(answer) not in known

    mistakes = {
        "That is RAM itself; change it.": ranked["ram-last"].score,
        "That is how much a head writes, alone.": ranked["norm"].score,
        "That is a ranking; give the scores that it came from.": np.array(known[0]),
    }
    example = ranked["ram-last"].score * ranked["norm"].score
    return Expected(example, "Test it on samples that you did not choose it by.", mistakes, 1e-9, fine)
