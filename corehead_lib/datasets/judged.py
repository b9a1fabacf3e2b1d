"""Heads on a dataset that has a score of its own: what is written without them, or with few of them dense, judged as it does."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pandas as pd

from corehead_lib.chance import Chance, chance
from corehead_lib.datasets.judge import in_its_units, judge, judge_batch
from corehead_lib.datasets.scores import OF, SCORES, score_of
from corehead_lib.encode import Batch, encode_all
from corehead_lib.hybrid.trial import EXACT
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched
from corehead_lib.samples import Sample
from corehead_lib.study import said
from corehead_lib.study import sets as study
from corehead_lib.tokens import count_tokens

CONSTANTS = 200  # different answers that are tried as the one that is always given


def judged_outcomes(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    sets: study.Sets,
    batch_size: int = 8,
    max_pixels: int = 0,
    max_new_tokens: int = 64,
    progress: bool = False,
) -> pd.DataFrame:
    """Silence each set of heads (zero ablation), and see what is still right: a table as ``study.outcomes`` returns it, and ``said``.

    Generated worlds: ``correct`` is whether the gold answer would be written, and end, exactly so; no text is generated; ``said`` as in
    ``study.said``. Datasets with a score of their own: ``correct`` is that score of a generated answer, in [0, 1] (``judge``); every
    set generates anew, which takes far longer; ``said`` is "parsed", or "none" for a text that cannot be read as an answer.
    ``logprob`` is always that of the gold answer as the dataset has it, boxes in the model's own units.

    Prompts of about one length share a batch, whatever the order of ``samples``; rows are in that order.

    Raises CoreheadError as ``study.outcomes``, ``judge`` and ``score_of`` do.
    """
    rules = [score_of(sample) for sample in samples]
    asked = [
        in_its_units(loaded, s, max_pixels)[0] if rule == "box" else s
        for s, rule in zip(samples, rules, strict=True)
    ]
    order = np.argsort([count_tokens(loaded, s, max_pixels) for s in asked], kind="stable")
    batches = encode_all(loaded, [asked[n] for n in order], batch_size, max_pixels=max_pixels)
    table = study.outcomes(loaded, batches, sets, progress=progress)
    rows = np.arange(0, len(table), len(asked))[:, None] + np.argsort(order)
    table = table.iloc[rows.ravel()].reset_index(drop=True)
    if set(rules) == {"exact"}:
        return table.assign(said=said(loaded, table, asked))
    found, read = [], []
    for name in watched(table["set"].unique(), "judge", progress):
        heads = list(sets.get(name, []))
        with ExitStack() as silent:
            if heads:
                silent.enter_context(ZeroAblation(heads)(loaded.model))
            judged = judge(loaded, samples, "", max_new_tokens, batch_size, max_pixels=max_pixels)
        found.append(judged.score.to_numpy())
        read.append(judged.parsed.to_numpy(dtype=bool))
    parsed = np.concatenate(read)
    return table.assign(correct=np.concatenate(found), said=np.where(parsed, "parsed", "none"))


@dataclass(frozen=True)
class OwnScore:
    """The rule of ``hybrid.trial`` for any data: generated worlds as ``EXACT``, other datasets by their own score.

    max_new_tokens, max_pixels: as in ``judge``. Every score of such a dataset takes a generation.
    """

    max_pixels: int = 0
    max_new_tokens: int = 64

    def score(self, loaded: LoadedModel, batch: Batch) -> np.ndarray:
        """(B,) in [0, 1]; NaN for a sample that cannot be asked, or that no rule scores."""
        if all(sample.id.split("/")[0] not in OF for sample in batch.samples):
            return EXACT.score(loaded, batch)
        rows = judge_batch(loaded, batch.samples, "", self.max_new_tokens, self.max_pixels)
        return np.array([row["score"] for row in rows])

    def chance(self, loaded: LoadedModel, samples: Sequence[Sample]) -> Chance:
        """What is scored without looking (``own_chance``)."""
        return own_chance(loaded, samples, self.max_pixels)


def own_chance(loaded: LoadedModel, samples: Sequence[Sample], max_pixels: int = 0) -> Chance:
    """Both lines of ``chance``, the constant answer scored as the samples' dataset scores it, boxes in the model's units.

    The constant is the best of the gold answers, such as one box or one range of seconds that is said of every picture or clip (of
    more than ``CONSTANTS`` different ones the most frequent are tried). Generated worlds: as ``chance``.

    Raises CoreheadError as ``chance``, ``score_of`` and ``in_its_units`` do.
    """
    line, rules = chance(samples), [score_of(sample) for sample in samples]
    if set(rules) == {"exact"}:
        return line
    asked = [
        (SCORES[rule], *(in_its_units(loaded, sample, max_pixels) if rule == "box" else (sample, None)))
        for rule, sample in zip(rules, samples, strict=True)
    ]
    answers = Counter(sample.answer for _, sample, _ in asked).most_common(CONSTANTS)
    said = [sum(rule.judge(answer, *what)[1] for rule, *what in asked) for answer, _ in answers]
    return Chance(max(said) / len(samples), line.option)
