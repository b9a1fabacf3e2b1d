"""Heads that a ranking puts into its lower half though the model needs them: which one, and whose look at what it is."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from corehead_lib.encode import Batch
from corehead_lib.heads import HeadScores
from corehead_lib.interventions import Knockout
from corehead_lib.interventions.edges import Keys, Queries
from corehead_lib.models import LoadedModel
from corehead_lib.stats import paired_p
from corehead_lib.study.sets import UNTOUCHED, outcomes

CUTS: dict[str, tuple[Queries, Keys]] = {  # rows and keys; narrow cuts first
    "last to question": ("last", "question"),
    "last to source": ("last", "source"),
    "question to question": ("question", "question"),
    "question to source": ("question", "source"),
    "text to everything": ("text", "everything"),
    "all to source": ("all", "source"),
    "all to everything": ("all", "everything"),
}


def overlooked(
    loaded: LoadedModel,
    choosing: Sequence[Batch],
    fresh: Sequence[Batch],
    ranked: HeadScores,
    number: int = 5,
) -> dict[str, Any]:
    """Silence every head of the lower half of ``ranked`` alone on ``choosing``; measure the one that costs most on ``fresh``, and cut its edges.

    Returns, by name: ``head`` and its ``place`` in the ranking, from 1; ``nats``, what its silence costs in gold log-probability, and ``drop``,
    in accuracy; ``p``, two-sided, by group, before any correction; ``together``, the nats of the ``number`` that cost most, as one set; ``best``,
    those of the first head of the ranking; for each of CUTS its nats on this head ("source": all that can be evidence); ``by``, the first cut that
    makes half of what silence does, or "none".

    Raises CoreheadError as ``outcomes`` does.
    """
    order = ranked.ranking()
    low = {head.name: [head] for head in order[len(order) // 2 :]}
    worst = list(_nats(outcomes(loaded, choosing, low)).drop(UNTOUCHED).nlargest(number).index)
    head = low[worst[0]]
    sets = {"head": head, "together": [h for name in worst for h in low[name]], "best": order[:1]}
    found = outcomes(loaded, fresh, sets)
    nats, right = _nats(found), found.groupby("set").correct.mean()
    whole, without = (found[found["set"] == name] for name in (UNTOUCHED, "head"))
    row = {"head": worst[0], "place": 1 + order.index(head[0]), "nats": nats["head"]}
    row["drop"] = right[UNTOUCHED] - right["head"]
    row["p"] = paired_p(whole.logprob.to_numpy(), without.logprob.to_numpy(), whole.group.tolist())
    row |= {name: nats[name] for name in ("together", "best")}
    for name, (rows, keys) in CUTS.items():
        cut = partial(Knockout, queries=rows, keys=keys, when="prefill")
        row[name] = _nats(outcomes(loaded, fresh, {"head": head}, cut))["head"]
    return row | {
        "by": next((name for name in CUTS if row["nats"] > 0 and row[name] >= row["nats"] / 2), "none")
    }


def _nats(table: pd.DataFrame) -> pd.Series:
    """By set, how much less likely the gold answer is than with all heads, in nats."""
    mean = table.groupby("set", sort=False).logprob.mean()
    return mean[UNTOUCHED] - mean
