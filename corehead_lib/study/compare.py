"""Which ranking of heads finds those that retrieval needs, and retrieval alone?"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from corehead_lib.chance import chance, is_control
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.heads import HeadScores, how_many
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.stats import holm
from corehead_lib.study.sets import UNTOUCHED, Intervention, Sets, outcomes
from corehead_lib.study.summary import difference


def compare_rankings(
    loaded: LoadedModel,
    ranked: Mapping[str, HeadScores],
    retrieval: Sequence[Batch],
    control: Sequence[Batch] = (),
    fraction: float = 0.05,
    reference: str = "ram-last",
    intervention: Intervention = ZeroAblation,
    progress: bool = False,
) -> pd.DataFrame:
    """Take the same number of heads from the top of each ranking, and see what is lost in retrieval and in control tasks.

    ranked: scores by name, from ``rankings.rank`` on other samples. Control tasks that the untouched model cannot do, by
        ``chance.is_control``, do not count.

    Returns ``verdicts`` on the rankings' tops: ``set`` is the ranking's name. Fewer samples than ``stats`` trusts give wide intervals.

    Raises CoreheadError if ``reference`` is not among the rankings, and as ``outcomes`` does.
    """
    if reference not in ranked:
        raise CoreheadError(f"There is no ranking {reference!r}.{did_you_mean(reference, ranked)}")
    number = how_many(fraction, ranked[reference].score.size)
    sets = {name: scores.ranking()[:number] for name, scores in ranked.items()}
    asked = outcomes(loaded, retrieval, sets, intervention, progress)
    other = outcomes(loaded, control, sets, intervention, progress) if len(control) else None
    if other is not None:
        other = other[other.task.isin(able(other, control))]
    return verdicts(asked, other, sets, reference)


def verdicts(asked: pd.DataFrame, other: pd.DataFrame | None, sets: Sets, reference: str) -> pd.DataFrame:
    """What each of ``sets`` costs in retrieval and elsewhere, side by side.

    asked, other: ``outcomes`` of these sets on retrieval, and on control tasks that count (``able``; None: there are none).

    Returns a row for each set: ``set``; ``k``, the heads taken; ``drop``, of accuracy in retrieval, with ``low`` and ``high`` (95 %, paired,
    by group); ``nats``, the drop of the gold log-probability; ``drop_control``, over all control tasks, with ``control_low`` and
    ``control_high``, NaN if there are none; ``ratio`` of the two, NaN where controls lose nothing; ``p``, two-sided, of the drop in
    retrieval; ``p_adjusted``, by Holm over the sets; ``shared``, heads that are also in the set ``reference``.
    """
    rows = []
    for name, heads in sets.items():
        lost = difference(asked, UNTOUCHED, name)
        row = {"set": name, "k": len(heads), "drop": lost.mean}
        row |= dict(zip(("low", "high"), lost.interval, strict=True))
        mean = asked.groupby("set").logprob.mean()
        row["nats"] = mean[UNTOUCHED] - mean[name]
        row |= dict.fromkeys(("drop_control", "control_low", "control_high", "ratio"), np.nan)
        if other is not None and len(other):
            kept = difference(other, UNTOUCHED, name)
            row |= {"drop_control": kept.mean, "ratio": lost.mean / kept.mean if kept.mean > 0 else np.nan}
            row |= dict(zip(("control_low", "control_high"), kept.interval, strict=True))
        rows.append({**row, "p": lost.p, "shared": len(set(heads) & set(sets[reference]))})
    table = pd.DataFrame(rows)
    table.insert(len(table.columns) - 1, "p_adjusted", holm(table.p.to_numpy()))
    return table


def able(table: pd.DataFrame, batches: Sequence[Batch]) -> list[str]:
    """The tasks in a table of ``outcomes`` on ``batches`` that the untouched model can do, by ``chance.is_control``."""
    samples = [sample for batch in batches for sample in batch.samples]
    untouched = table[table["set"] == UNTOUCHED]
    return [
        str(task)
        for task, part in untouched.groupby("task", sort=False)
        if is_control(part.correct.to_numpy(), chance([s for s in samples if s.task == task]).line)
    ]
