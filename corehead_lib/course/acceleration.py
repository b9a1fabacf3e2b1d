"""Checks of chapter 10."""

from corehead_lib.course import Expected, exercise
from corehead_lib.hybrid.choice import questions_needed


@exercise("ex-acceleration-amdahl", "answer = ...  # one number of tokens")
def amdahl(backbone) -> Expected:
    length = 1 / (backbone.attention_bound(1) - 1)
    mistakes = {
        "Each token meets n / 2 keys on average, and as many values: that is n multiplications of width D, not n / 2.": 2
        * length,
        "Count keys and values once each, but only half of them: n in all, not 2n.": length / 2,
    }
    return Expected(length, "There attention costs as much as all weights together.", mistakes, 0.02 * length)


@exercise("ex-acceleration-tolerance", "answer = ...  # one whole number of questions a task")
def tolerance() -> Expected:
    least = questions_needed(0.03, 0)
    mistakes = {
        "With so many a plan may lose one question; how many does it take if it may lose none?": questions_needed(
            0.03, 1
        ),
        "That is for a tolerance of 5 %.": questions_needed(0.05, 0),
        "One in 33 is 3 %, but to be *sure* takes more: how probable are no losses among so many?": 33,
    }
    return Expected(least, "No loss among so many makes 3 % improbable.", mistakes, 0)
