"""Ways to rank heads, to compare RAM with: by where they look, by what they write, by how the answer hangs on them, by chance."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from corehead_lib.answers import QUERIES
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.heads import HeadScores
from corehead_lib.models import LoadedModel
from corehead_lib.study.survey import Survey

Ranking = Callable[[Survey], np.ndarray]  # (layers, heads), high scores first


def ram(survey: Survey, rows: str = "last") -> np.ndarray:
    """Mean attention to the evidence."""
    return survey.mean("target", rows)


def calibrated(survey: Survey, rows: str = "last") -> np.ndarray:
    """RAM less what it is when the question is "N/A" (arXiv 2605.27243, there over the question's rows)."""
    return ram(survey, rows) - survey.null[QUERIES.index(rows)].mean(0)


def selectivity(survey: Survey, rows: str = "last") -> np.ndarray:
    """Of the attention to all that can be evidence, the part on the evidence."""
    return survey.ram(rows).selectivity


def lift(survey: Survey, rows: str = "last") -> np.ndarray:
    """Selectivity of each sample over the evidence's share of tokens, then the mean."""
    return survey.ram(rows).lift


def hits(survey: Survey, rows: str = "answer") -> np.ndarray:
    """How often the most attended token is evidence (as in arXiv 2404.15574, without its demand that it be copied)."""
    return survey.mean("hit", rows)


def write(survey: Survey, rows: str = "answer") -> np.ndarray:
    """What a head adds to the gold token's logit from the evidence, less what it adds from all other tokens.

    The idea of arXiv 2607.01002: attention times value, through the output projection, on the unembedding direction of the gold token.
    Our choices where its text was not at hand: sums, not means, over tokens; the mean unembedding is taken off; the last norm
    is its weight alone, without the division by the length of the residual stream.
    """
    return survey.mean("write", rows)


def visual(survey: Survey, rows: str = "last") -> np.ndarray:
    """Attention to all that can be evidence, wherever in it."""
    return survey.mean("source", rows)


def attention(survey: Survey, rows: str = "last") -> np.ndarray:
    """Attention to anything but the first token, where idle heads look."""
    return survey.mean("nonsink", rows)


def norm(survey: Survey) -> np.ndarray:
    """Mean length of what a head writes into the residual stream, over all tokens."""
    return survey.mean("norm")


def entropy(survey: Survey, rows: str = "last") -> np.ndarray:
    """Sharpness: minus the entropy of attention, in nats."""
    return -survey.mean("entropy", rows)


def gradient(survey: Survey) -> np.ndarray:
    """Gradient times output: what zero ablation would cost in log-probability of the gold answer, to first order."""
    return survey.gradient.mean(0)


def layer(survey: Survey, rows: str = "last", seed: int = 0) -> np.ndarray:
    """The layer alone: layers in the order of their mean RAM, heads within one by lot."""
    means = ram(survey, rows).mean(1, keepdims=True)
    place = means.argsort(0).argsort(0).astype(float)
    return place + chance(survey, seed)


def chance(survey: Survey, seed: int = 0) -> np.ndarray:
    """By lot, between 0 and 1."""
    shape = survey.loaded.backbone
    return np.random.default_rng(seed).random((shape.layers, shape.heads))


RANKINGS: dict[str, Ranking] = {
    **{f"ram-{rows}": partial(ram, rows=rows) for rows in QUERIES},
    "calibrated-question": partial(calibrated, rows="question"),
    "calibrated-last": calibrated,
    "selectivity": selectivity,
    "lift": lift,
    "hits": hits,
    "write": write,
    "visual": visual,
    "attention": attention,
    "norm": norm,
    "entropy": entropy,
    "gradient": gradient,
    "layer": layer,
    "random": chance,
}


def rank(
    loaded: LoadedModel,
    batches: Sequence[Batch],
    names: Sequence[str] | None = None,
    rankings: Mapping[str, Ranking] = RANKINGS,
) -> dict[str, HeadScores]:
    """Scores by each of ``names`` (all if None), from as few passes over ``batches`` as they need: three at most.

    Raises CoreheadError for an unknown name, for no batches, and for samples without evidence or answer.
    """
    survey = Survey(loaded, batches)
    found = {}
    for name in rankings if names is None else names:
        if name not in rankings:
            raise CoreheadError(f"There is no ranking {name!r}.{did_you_mean(name, rankings)}")
        samples = sum(len(batch.samples) for batch in batches)
        found[name] = HeadScores(
            rankings[name](survey).astype(np.float64), {"ranking": name, "samples": samples}
        )
    return found
