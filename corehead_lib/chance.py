"""What a model scores that does not look: the lines that an accuracy must stand above to mean anything."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Sample

ALPHA = 0.05  # of the one-sided test that a control is above chance
ROOM = 0.1  # how far above chance it must stand, so that it has something to lose


@dataclass(frozen=True)
class Chance:
    """Accuracies of two models that do not look, over the same samples."""

    constant: float  # always the answer that is most frequent among the gold answers of these very samples
    option: float  # a random one of what the media show, else of the task's options; 0 for free text

    @property
    def line(self) -> float:
        """The higher of the two."""
        return max(self.constant, self.option)


def chance(samples: Sequence[Sample]) -> Chance:
    """Both lines of chance for a set of samples; hand it one task at a time to know the task's.

    The constant answer is chosen with knowledge of the answers, so on few samples it is more than a model could
    know. A random option is drawn from ``Sample.visible`` (each as often as it is there), else from ``Sample.options``.

    Raises CoreheadError without samples.
    """
    if not samples:
        raise CoreheadError("There are no samples, so there is no chance level.")
    most = Counter(sample.answer for sample in samples).most_common(1)[0][1]
    drawn = [
        pool.count(sample.answer) / len(pool)
        for sample in samples
        if (pool := sample.visible or sample.options)
    ]
    return Chance(most / len(samples), sum(drawn) / len(samples))


def is_control(correct: Sequence[bool] | np.ndarray, line: float) -> bool:
    """Whether a task can serve as a control: can the untouched model do it, so that a loss could be seen?

    correct: per sample, whether the untouched model is right.
    line: the task's ``chance(samples).line``.

    True if the accuracy is at least ROOM (0.1) above ``line`` and a one-sided binomial test against ``line`` has p < ALPHA (0.05).
    A task that stands at chance untouched stays there whatever is taken away: it is no control.
    """
    right, number = int(np.sum(correct)), len(correct)
    if not number or right / number < line + ROOM:
        return False
    return bool(binomtest(right, number, min(line, 1.0), alternative="greater").pvalue < ALPHA)
