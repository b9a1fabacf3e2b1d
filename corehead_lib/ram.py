"""Retrieval Attention Mass: how much attention the question gives to the evidence, head by head.

For head h, question tokens Q and target tokens V* (arXiv 2606.05843; its exact normalisation is
not known to us, so this is our documented choice, in the form of arXiv 2605.27243, eq. 1):

    RAM_h = mean over samples of  1/|Q| * sum_{q in Q} sum_{v in V*} A_h[q, v]

A_h is the attention after the softmax. Only the rows of Q are computed, in float32, beside the plain
sdpa forward pass, whose output stays bit-identical. Q is one of three sets, all to be had from one pass:

    "question"  the tokens of the question's own text
    "last"      the last prompt token alone
    "answer"    the rows that predict the gold answer's tokens (``answers.query_rows``), teacher forced:
                the output tokens of arXiv 2608.27417, each taken where the model is about to write it
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from torch.nn.functional import pad

from corehead_lib.answers import Queries, query_rows, with_answers
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched
from corehead_lib.ram_operator import RetrievalAttentionMass
from corehead_lib.targets import Groups, Overlap, Views

TINY = 1e-12  # a head that never looks at the picture has lift and selectivity zero


def mass(
    loaded: LoadedModel,
    batch: Batch,
    targets: torch.Tensor,
    queries: Queries | Sequence[Queries] = "question",
) -> np.ndarray:
    """Attention from queries to targets in one forward pass: (B, layers, heads), float32.

    targets: (B, T) bool, or (K, B, T) for K sets: (K, B, layers, heads). One may be empty; its mass is zero.
    queries: as in ``answers.query_rows``, or a mask (B, T); a sequence of Q of them adds Q as first dimension.

    Raises CoreheadError for other names, and for "answer" if a gold answer is empty.
    """
    several = not isinstance(queries, str | torch.Tensor)
    asked: list[Queries] = [*queries] if several else [queries]  # type: ignore[list-item]
    inputs, longer = dict(batch.inputs), 0
    if "answer" in [query for query in asked if isinstance(query, str)]:
        inputs, labels = with_answers(batch)
        longer = labels.shape[1]
    rows = torch.stack([query_rows(batch, query, longer) for query in asked])
    empty = ~targets.any(-1, keepdim=True)
    filled = pad(targets | (empty & batch.last), (0, longer))
    operator = RetrievalAttentionMass(rows if several else rows[0], filled)
    with torch.inference_mode(), operator(loaded.model):
        loaded.model(**inputs, use_cache=False, logits_to_keep=1)
    return (operator.mass * ~empty[..., None]).cpu().numpy()


@dataclass(frozen=True)
class RamScores:
    """RAM of S samples: what the question gives to the target, and to all tokens that could be it."""

    target: np.ndarray  # (S, layers, heads) mass on the target tokens
    visual: np.ndarray  # (S, layers, heads) mass on Batch.source: visual tokens, and the context's text
    share: np.ndarray  # (S,) target tokens / source tokens

    @property
    def ram(self) -> np.ndarray:
        """(layers, heads): mean target mass."""
        return self.target.mean(0)

    @property
    def selectivity(self) -> np.ndarray:
        """(layers, heads): of the mass on the picture, the part on the target."""
        return self.target.mean(0) / np.maximum(self.visual.mean(0), TINY)

    @property
    def lift(self) -> np.ndarray:
        """(layers, heads): selectivity over what even attention to the picture would give; 1 is chance."""
        return (self.target / np.maximum(self.visual, TINY) / self.share[:, None, None]).mean(0)


@overload
def measure_ram(
    loaded: LoadedModel, batches: Sequence[Batch], queries: str = ..., *args: Any, **options: Any
) -> RamScores: ...
@overload
def measure_ram(
    loaded: LoadedModel, batches: Sequence[Batch], queries: tuple[str, ...], *args: Any, **options: Any
) -> dict[str, RamScores]: ...
def measure_ram(
    loaded: LoadedModel,
    batches: Sequence[Batch],
    queries: str | tuple[str, ...] = "question",
    overlap: Overlap = "any",
    progress: bool = False,
    *,
    views: Views = "both",
    groups: Groups = "any",
) -> RamScores | dict[str, RamScores]:
    """Run every batch once and collect RAM per sample and head.

    queries: "question", "last" or "answer"; several, as a tuple, give a dict of scores from the same passes.
    overlap, views, groups: which cells the evidence takes, as in ``targets.target_cells``.
    """
    found, share, names = [], [], (queries,) if isinstance(queries, str) else queries
    for batch in watched(batches, "RAM", progress):
        masks = torch.stack([batch.targets(overlap, views, groups), batch.source])
        found.append(mass(loaded, batch, masks, names))
        share.append((masks[0].sum(1) / masks[1].sum(1)).cpu().numpy())
    if not found:
        raise CoreheadError("There are no batches to measure RAM on.")
    both = np.concatenate(found, axis=2)  # (Q, 2, S, layers, heads)
    scores = {
        name: RamScores(on[0], on[1], np.concatenate(share)) for name, on in zip(names, both, strict=True)
    }
    return scores[queries] if isinstance(queries, str) else scores
