"""Which of two things rises first? The step at which a noisy curve is half-way up, and the lag between two curves."""

import numpy as np
from scipy.optimize import isotonic_regression

from corehead_lib.errors import CoreheadError


def half_way(steps: np.ndarray, curve: np.ndarray, share: float = 0.5, floor: float | None = None) -> float:
    """The step at which ``curve``, (N,) over increasing ``steps``, has made ``share`` of its way from start to end.

    The curve is first replaced by the best one that never falls (isotonic least squares), so that a single high or low
    value is no crossing; between two steps it is taken as straight.
    floor: where the way begins, if not at the curve's first value: chance, for an accuracy.

    Returns NaN for a curve that does not rise, or not above ``floor``, and the first step for one that begins beyond the point.
    Raises CoreheadError unless both are (N,), N at least two, and steps increase.
    """
    steps, curve = np.asarray(steps, dtype=float), np.asarray(curve, dtype=float)
    if steps.shape != curve.shape or steps.ndim != 1 or len(steps) < 2 or (np.diff(steps) <= 0).any():
        raise CoreheadError(
            f"A curve needs one value for each of two increasing steps or more, not {curve.shape} values at {steps.shape}."
        )
    risen = isotonic_regression(curve).x
    begin = float(risen[0]) if floor is None else floor
    if risen[-1] - max(risen[0], begin) <= 1e-12:
        return float("nan")
    level = begin + share * (risen[-1] - begin)
    after = int(np.argmax(risen >= level - 1e-12))
    before = max(0, after - 1)
    part = (level - risen[before]) / max(risen[after] - risen[before], 1e-12)
    return float(steps[before] + np.clip(part, 0, 1) * (steps[after] - steps[before]))


def lag(
    steps: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    share: float = 0.5,
    resamples: int = 1000,
    seed: int = 0,
    floor: float | None = None,
) -> dict[str, float]:
    """How many steps ``second`` is half-way up after ``first``, both (N, S): N steps, the same S questions.

    Returns ``first`` and ``second``, their own steps, ``lag``, and ``low`` and ``high``, a 95 % percentile bootstrap over questions, drawn
    for both curves together. It speaks of other questions to the same run, not of other runs, and cannot be finer than ``steps``.
    ``floor`` is that of ``second``, as in ``half_way``.
    All are NaN if a curve does not rise, or if there are only two steps, between which there is no order to be seen; draws in which
    one does not are left out, and ``left_out`` is their share.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape or first.ndim != 2:
        raise CoreheadError(
            f"Curves of {first.shape} and {second.shape} are not of the same steps and questions."
        )
    if len(steps) < 3:
        return dict.fromkeys(("first", "second", "lag", "low", "high"), float("nan")) | {"left_out": 1.0}
    both = ((first, None), (second, floor))
    own = [half_way(steps, curve.mean(1), share, level) for curve, level in both]
    rng, draws = np.random.default_rng(seed), np.full(resamples, np.nan)
    for number in range(resamples):
        chosen = rng.integers(first.shape[1], size=first.shape[1])
        at = [half_way(steps, curve[:, chosen].mean(1), share, level) for curve, level in both]
        draws[number] = at[1] - at[0]
    risen = draws[~np.isnan(draws)]
    low, high = np.quantile(risen, [0.025, 0.975]) if len(risen) else (np.nan, np.nan)
    found = {"first": own[0], "second": own[1], "lag": own[1] - own[0], "low": low, "high": high}
    return {k: float(v) for k, v in found.items()} | {"left_out": 1 - len(risen) / resamples}


def since(member: np.ndarray) -> np.ndarray:
    """The first of N snapshots from which on a head is always in the top, from (N, layers, heads) bool.

    Returns (layers, heads) int; N for a head that is not in the last one's top.
    """
    held = np.logical_and.accumulate(member[::-1])[::-1]
    return np.where(held.any(0), held.argmax(0), len(member))
