"""Checks of chapter 10."""

from dataclasses import replace

import numpy as np
from scipy.stats import binom, binomtest

from corehead_lib.course import Expected, exercise, unlike
from corehead_lib.heads import HeadScores
from corehead_lib.hybrid.trial import trial


@exercise(
    "ex-acceleration-read", "answer = ...  # three accuracies: top 5 %, best drawn set, dash-dotted line"
)
def read(table, against, lines, names) -> Expected:
    own = table[table.dataset == names[0]].groupby("way").correct.mean()
    found = against[against.dataset == names[0]].groupby(["kind", "way"]).correct.mean()
    drawn = found[[kind for kind in ("model", "layer") if kind in found]]
    first, best, guess = right = float(own["top 5 %"]), float(drawn.max()), lines[names[0]].option
    mistakes = {
        "The second is the mean of the drawn sets, or near it; take the best.": (first, drawn.mean(), guess),
        "The first is the chosen plan; take the top 5 %.": (float(own["plan"]), best, guess),
        "The first is the dashed line, all heads dense.": (float(own["dense"]), best, guess),
        "The third is the dotted line, always the same answer.": (first, best, lines[names[0]].constant),
        "The last two are the other way round.": (first, guess, best),
        "The third is a mean over the groups; take the line of the first.": (
            first,
            best,
            np.mean([line.option for line in lines.values()]),
        ),
    }
    why = "Below the line more may be lost than finding."
    return Expected(right, why, unlike(right, mistakes, 0.05), 0.05)


@exercise(
    "ex-acceleration-sinks", "answer = ...  # two whole numbers: only right with 4, only right with none"
)
def sinks(loaded, plan, some, rule) -> Expected:
    table = trial(loaded, some, {f"{n}": replace(plan, sinks=n).operator() for n in (4, 0)}, rule)
    four, none = (table.correct[table.way == n].to_numpy() for n in ("4", "0"))
    change = np.sign(four - none)
    right = int((change == 1).sum()), int((change == -1).sum())
    mistakes = {
        "Those are accuracies; count questions.": (four.mean(), none.mean()),
        "Those are all questions that are right; count those that change.": (four.sum(), none.sum()),
        "That is the difference of the two; give both.": right[0] - right[1],
        "That is how many change; say which way.": sum(right),
    }
    why = "Only questions that change can tell two plans apart."
    return Expected(right, why, unlike(right, mistakes, 0), 0)


@exercise("ex-acceleration-amdahl", "answer = ...  # one number of tokens")
def amdahl(backbone) -> Expected:
    length = 1 / (backbone.attention_bound(1) - 1)
    mistakes = {
        "Each token meets n / 2 keys on average, and as many values: that is n multiplications of width D, not n / 2.": 2
        * length,
        "Count keys and values once each, but only half of them: n in all, not 2n.": length / 2,
    }
    return Expected(length, "There attention costs as much as all weights together.", mistakes, 0.02 * length)


@exercise("ex-acceleration-tolerance", "answer = ...  # two probabilities: passes in one task, passes in all")
def tolerance(tolerance, tuning_samples, held, true=0.01) -> Expected:
    def fits(lost):
        limits = binomtest(lost, tuning_samples).proportion_ci(0.95, "wilson")
        return limits.high <= tolerance

    most, tasks = sum(map(fits, range(tuning_samples))) - 1, len(held)
    one, none = (float(binom.cdf(n, tuning_samples, true)) for n in (most, 0))
    right = one, one**tasks
    mistakes = {
        "That is without a single loss; how many may there be at most?": (none, none**tasks),
        "The second is to pass in at least one task; it must pass in all.": (one, 1 - (1 - one) ** tasks),
        "It must pass in every task, so the second is smaller.": (one, one),
        "Those are probabilities to be refused.": (1 - one, 1 - one**tasks),
        "That many losses *exactly* is not all: fewer will do, too.": tuple(
            float(binom.pmf(most, tuning_samples, true)) ** n for n in (1, tasks)
        ),
        "That takes no account of luck: one loss more or less is a matter of chance.": (1, 1),
    }
    why = "A rule that is strict in every task refuses many that are good."
    return Expected(right, why, unlike(right, mistakes, 0.002), 0.002)


@exercise("ex-acceleration-own", "answer = ...  # an array of zeros and ones, layers x heads")
def own(ranked, fixed, shape) -> Expected:
    order, most = HeadScores(ranked.score).ranking(), len(fixed.full_groups)

    def mask(heads):
        dense = np.zeros(ranked.score.shape)
        for head in heads:
            dense[head] = 1
        return dense

    def fine(answer):
        dense = np.asarray(answer, float)
        groups = dense.reshape(shape.layers, shape.kv_heads, -1).any(-1).sum()
        by_ram = mask(order[: int(dense.sum())]) if np.isin(dense, (0, 1)).all() else dense
        return bool(0 < groups <= most and (dense != by_ram).any())

    wide = mask(fixed.dense).reshape(shape.layers, shape.kv_heads, -1)
    whole = np.repeat(wide.max(-1), shape.group, 1)
    mistakes = {
        "Those are the first by RAM themselves; find another rule.": mask(fixed.dense),
        "That keeps no head dense, and no group.": mask([]),
        "That keeps more groups than the top 5 %.": mask(order[: 4 * len(fixed.dense)]),
        "Those are scores; say of each head whether it stays dense.": ranked.score,
        "Those are groups; give a number for each head.": wide.max(-1),
    }
    kept = {s: m for s, m in mistakes.items() if np.shape(m) != whole.shape or not fine(m)}
    why = "Equal memory is one fair comparison, equal work another."
    return Expected(whole, why, kept, 1e-9, fine)
