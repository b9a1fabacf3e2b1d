"""Is a set of heads enough? Activation patching between a clean run and a corrupted one, in both directions."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.interventions import Outputs, Patch, partner_outputs
from corehead_lib.models import LoadedModel
from corehead_lib.samples import MEDIA, Clip, Sample
from corehead_lib.study.sets import UNTOUCHED, Sets, outcomes


def patching(
    loaded: LoadedModel, clean: Sequence[Batch], corrupted: Sequence[Batch], sets: Sets
) -> pd.DataFrame:
    """Put the outputs of each set of heads from the clean run into the corrupted one, and the reverse.

    clean, corrupted: batches of the same samples, the second with another picture or question, of as many tokens up to the last
        visual one (``other_picture`` makes such samples). Both are judged by the clean answer.

    Returns a row for each direction and set: ``direction``, "into corrupted" (are these heads enough?) or "into clean" (are they
    needed?); ``set``, ``heads``, ``accuracy``, ``logprob``, ``samples``; ``effect``, the part of the way in mean log-probability from the
    receiving run to the giving one, NaN where there is no way to go. The set "none" is the receiving run.

    Raises CoreheadError as ``partner_outputs`` and ``outcomes`` do.
    """
    judged = [replace(bad, answers=good.answers) for good, bad in zip(clean, corrupted, strict=True)]
    needed = {head for heads in sets.values() for head in heads}
    tables, levels = [], {}
    for direction, receiving, giving in (("into corrupted", judged, clean), ("into clean", clean, judged)):
        source = partner_outputs(loaded, receiving, giving, needed)
        table = outcomes(loaded, receiving, sets, _patch(source))
        rows = table.groupby(["set", "heads"], sort=False).agg(
            accuracy=("correct", "mean"), logprob=("logprob", "mean"), samples=("id", "size")
        )
        levels[direction] = rows.logprob[UNTOUCHED].item()
        tables.append(rows.reset_index().assign(direction=direction))
    for table, direction, other in zip(tables, levels, reversed(levels), strict=True):
        way = levels[other] - levels[direction]
        table["effect"] = (table.logprob - levels[direction]) / (way if abs(way) > 1e-6 else np.nan)
    found = pd.concat(tables, ignore_index=True)
    return found[["direction", "set", "heads", "accuracy", "logprob", "samples", "effect"]]


def _patch(source: Outputs) -> Callable[[list[Head]], Patch]:
    return lambda heads: Patch(heads, source)


def other_picture(samples: Sequence[Sample], seed: int = 0) -> list[Sample]:
    """Each question about the media and the context of another sample of the same layout and another answer.

    Evidence is dropped, because the question may have none there. Raises CoreheadError for a sample that has no such partner.
    """
    return [
        replace(s, media=p.media, context=p.context, evidence=(), group=p.group or p.id)
        for s, p in zip(samples, _partners(samples, seed, _other_scene), strict=True)
    ]


def with_partners(samples: Sequence[Sample]) -> list[Sample]:
    """Those of ``samples`` for which ``other_picture`` finds a partner among the same ``samples``."""
    return [s for s in samples if any(_other_scene(s, other) for other in samples)]


def other_question(samples: Sequence[Sample], seed: int = 0) -> list[Sample]:
    """Another sample's question about each sample's own media; evidence is dropped, the answer stays. Errors as above."""
    return [
        replace(s, question=p.question, evidence=())
        for s, p in zip(samples, _partners(samples, seed, _other_words), strict=True)
    ]


def _layout(sample: Sample) -> tuple[object, ...]:
    """Samples that agree in this have their tokens at the same places up to the last visual one."""
    sizes = [(len(m.frames), m.frames[0].size) if isinstance(m, Clip) else (0, m.size) for m in sample.media]
    return (*sizes, sample.context.count(MEDIA))


def _other_scene(sample: Sample, other: Sample) -> bool:
    same = (other.group or other.id) == (sample.group or sample.id)
    return not same and other.answer != sample.answer and _layout(other) == _layout(sample)


def _other_words(sample: Sample, other: Sample) -> bool:
    return other.question != sample.question


def _partners(samples: Sequence[Sample], seed: int, fits: Callable[[Sample, Sample], bool]) -> list[Sample]:
    rng, found = np.random.default_rng(seed), []
    for sample in samples:
        pool = [other for other in samples if fits(sample, other)]
        if not pool:
            raise CoreheadError(f"{sample.id}: no other sample can be its partner; take more, or more alike.")
        found.append(pool[int(rng.integers(len(pool)))])
    return found
