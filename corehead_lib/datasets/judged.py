"""Sets of heads on a dataset that has a score of its own: what is written without them, judged as the dataset does."""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import pandas as pd

from corehead_lib.datasets.judge import in_its_units, judge
from corehead_lib.datasets.scores import score_of
from corehead_lib.encode import encode_all
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched
from corehead_lib.samples import Sample
from corehead_lib.study import sets as study


def judged_outcomes(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    sets: study.Sets,
    batch_size: int = 8,
    max_pixels: int = 0,
    max_new_tokens: int = 64,
    progress: bool = False,
) -> pd.DataFrame:
    """Silence each set of heads (zero ablation), and see what is still right: a table as ``study.outcomes`` returns it.

    Generated worlds: ``correct`` is whether the gold answer would be written, and end, exactly so; no text is generated.
    Datasets with a score of their own: ``correct`` is that score of a generated answer, in [0, 1] (``judge``); every
    set generates anew, which takes far longer. ``logprob`` is always that of the gold answer as the dataset has it, boxes in the
    model's own units.

    Raises CoreheadError as ``study.outcomes``, ``judge`` and ``score_of`` do.
    """
    rules = [score_of(sample) for sample in samples]
    asked = [
        in_its_units(loaded, s)[0] if rule == "box" else s for s, rule in zip(samples, rules, strict=True)
    ]
    batches = encode_all(loaded, asked, batch_size, max_pixels=max_pixels)
    table = study.outcomes(loaded, batches, sets, progress=progress)
    if set(rules) == {"exact"}:
        return table
    found = []
    for name in watched(table["set"].unique(), "judge", progress):
        heads = list(sets.get(name, []))
        with ExitStack() as silent:
            if heads:
                silent.enter_context(ZeroAblation(heads)(loaded.model))
            judged = judge(loaded, samples, "", max_new_tokens, batch_size, max_pixels=max_pixels)
        found.append(judged.score.to_numpy())
    return table.assign(correct=np.concatenate(found))
