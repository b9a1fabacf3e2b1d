"""Checks of chapter 09."""

import numpy as np

from corehead_lib.course import Expected, exercise
from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.heads import HeadScores
from corehead_lib.study import outcomes


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
    return Expected(right, "Whether the heads are the same is the question of another chapter.", mistakes)
