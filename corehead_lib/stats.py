"""Intervals and tests, from scipy."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import stats


def proportion_interval(correct: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Wilson interval of a share, from (S,) booleans."""
    test = stats.binomtest(int(np.sum(correct)), len(correct))
    low, high = test.proportion_ci(level, method="wilson")
    return float(low), float(high)


def mean_interval(values: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over the first axis, (S,) floats."""
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    interval = stats.bootstrap(
        (values,), np.mean, confidence_level=level, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def control_p(observed: float, controls: Sequence[float]) -> float:
    """One-sided p of an effect against R random controls: (1 + #{control >= observed}) / (1 + R)."""
    return (1 + sum(control >= observed for control in controls)) / (1 + len(controls))


def halves(groups: Sequence[str]) -> np.ndarray:
    """Cut S samples in two that share no group: (S,) bool, True in the first; groups turn up in the smaller half.

    With a group for each sample they take turns. With a single group the second half is empty.
    """
    side: dict[str, bool] = {}
    count = {True: 0, False: 0}
    sizes = Counter(groups)
    for group in dict.fromkeys(groups):
        side[group] = count[True] <= count[False]
        count[side[group]] += sizes[group]
    return np.array([side[group] for group in groups], dtype=bool)
