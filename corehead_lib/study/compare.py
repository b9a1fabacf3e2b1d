"""Which ranking of heads finds those that retrieval needs, and retrieval alone?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from corehead_lib.chance import chance, is_control
from corehead_lib.encode import Batch
from corehead_lib.stats import holm
from corehead_lib.study.sets import UNTOUCHED, Sets
from corehead_lib.study.summary import difference


def verdicts(
    asked: pd.DataFrame, other: pd.DataFrame | None, sets: Sets, reference: str, resamples: int = 9_999
) -> pd.DataFrame:
    """What each of ``sets`` costs in retrieval and elsewhere, side by side.

    asked, other: ``outcomes`` of these sets on retrieval, and on control tasks that count (``able``; None: there are none).

    Returns a row for each set: ``set``; ``k``, the heads taken; ``drop``, of accuracy in retrieval, with ``low`` and ``high`` (95 %, paired,
    by group); ``nats``, the drop of the gold log-probability; ``drop_control``, over all control tasks, with ``control_low`` and
    ``control_high``, NaN if there are none; ``ratio`` of the two, NaN where controls lose nothing; ``p``, two-sided, of the drop in
    retrieval; ``p_adjusted``, by Holm over the sets; ``shared``, heads that are also in the set ``reference``.

    resamples: exchanges behind each p, see ``stats.paired_p``.
    """
    rows = []
    for name, heads in sets.items():
        lost = difference(asked, UNTOUCHED, name, resamples=resamples)
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
