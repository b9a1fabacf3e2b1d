"""From outcomes to statements: the spread of controls, and the difference between two sets of heads."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.stats import Interval, control_p, mean_interval, paired_p
from corehead_lib.study.sets import UNTOUCHED


def summarise(
    table: pd.DataFrame, of: str = "top", column: Literal["accuracy", "logprob"] = "accuracy"
) -> pd.DataFrame:
    """Compare one set with the spread of each kind of control, over all tasks that ``table`` (of ``by_task``) holds.

    Returns a row for each kind, "none" first: ``sets``, how many; ``median``, ``low`` and ``high`` of ``column``; ``drop``, of the median
    below the untouched model; ``p`` = (1 + #{drop of a control >= drop of ``of``}) / (1 + sets), one-sided, before any correction; its
    least value is 1 / (1 + sets). It is NaN for kinds of a single set, and for "none".

    Raises CoreheadError if there is no set ``of``.
    """
    if of not in set(table["set"]):
        raise CoreheadError(f"The table holds no set {of!r}.{did_you_mean(of, set(table['set']))}")
    sums = table.assign(total=table[column] * table.samples).groupby(["set", "kind"], sort=False)
    value = (sums.total.sum() / sums.samples.sum()).reset_index(name="value")
    dense = value.loc[value["set"] == UNTOUCHED, "value"].item()
    drop = dense - value.loc[value["set"] == of, "value"].item()
    rows = []
    for kind, part in value.groupby("kind", sort=False).value:
        p = np.nan if len(part) < 2 else control_p(drop, list(dense - part))
        middle = part.median()
        rows.append((kind, len(part), middle, part.min(), part.max(), dense - middle, p))
    return pd.DataFrame(rows, columns=["kind", "sets", "median", "low", "high", "drop", "p"])


class Difference(NamedTuple):
    """How much less one set of heads leaves than another, on the same samples."""

    mean: float
    interval: Interval
    p: float


def difference(
    table: pd.DataFrame,
    first: str,
    second: str,
    column: Literal["correct", "logprob"] = "correct",
    resamples: int = 9_999,
) -> Difference:
    """The mean of ``first`` minus ``second`` in a table of ``outcomes``, with a paired interval and a permutation p by group.

    first, second: names of sets, or of a kind such as "layer": then the mean over its sets, sample by sample.

    ``difference(table, "none", "top")`` is what the top set costs. Two-sided, before any correction. Interval and p say
    how sure the difference is over other samples, not over other draws: for these see ``summarise``.
    resamples: exchanges behind p, see ``paired_p``.
    Raises CoreheadError for a set that is not in the table, for sets of different samples, and as ``mean_interval`` does.
    """
    missing = {first, second} - set(table["set"]) - set(table.get("kind", ()))
    if missing:
        raise CoreheadError(f"The table holds no set {missing.pop()!r}.")
    one, other = (_by_sample(table, name, column) for name in (first, second))
    a, b = one.to_numpy(), other.to_numpy()
    if not one.index.equals(other.index):
        raise CoreheadError(
            f"{a.shape} and {b.shape} values are not pairs: measure both on the same samples."
        )
    groups = table[table["set"] == UNTOUCHED].group.tolist()
    bounds = (-1.0, 1.0) if column == "correct" else None
    found = mean_interval(a - b, groups=groups, bounds=bounds)
    return Difference(float(a.mean() - b.mean()), found, paired_p(a, b, groups, resamples=resamples))


def _by_sample(table: pd.DataFrame, name: str, column: str) -> pd.Series:
    part = table[table["set"] == name] if name in set(table["set"]) else table[table["kind"] == name]
    return part[column].astype(float).groupby(part.id, sort=False).mean()
