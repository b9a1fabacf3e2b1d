"""Does a head look at the evidence, or at as many tokens anywhere? Each sample's target is moved, head by head, with one correction."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.stats import false_discovery_control

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.ram import mass


def shifted(
    targets: torch.Tensor, source: torch.Tensor, draws: int, rng: np.random.Generator
) -> torch.Tensor:
    """Move targets (B, T) along the tokens of ``source`` (B, T), as if these were a ring: (draws, B, T) bool.

    Every number of steps is as likely, none among them, so there are as many target tokens as before, in runs as long. Raises
    CoreheadError for a target outside the source.
    """
    if (targets & ~source).any():
        raise CoreheadError("Some target tokens are no source tokens, so they cannot be moved along these.")
    moved = targets.new_zeros(draws, *targets.shape)
    for row in range(len(targets)):
        places = source[row].nonzero().flatten()
        steps = torch.from_numpy(rng.integers(len(places), size=draws)).to(places.device)
        back = (torch.arange(len(places), device=places.device) - steps[:, None]) % len(places)
        moved[:, row, places] = targets[row, places][back]
    return moved


def shifted_targets(
    loaded: LoadedModel,
    batches: Sequence[Batch],
    queries: str = "last",
    draws: int = 2999,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every head's RAM with its RAM on moved targets of equal size.

    The null hypothesis: the head does not know where in its sample the evidence is. A head that looks where evidence usually
    stands breaks it too.

    Returns a row for each head: ``layer``, ``head``, ``ram``; ``null``, its mean over the draws; ``p``, one-sided, 1 / (draws + 1) at least;
    ``p_adjusted``, by Benjamini-Hochberg over all heads. A single true head is found only with more than 20 draws a head. Raises CoreheadError for no batches, and as ``mass`` does.
    """
    if not len(batches):
        raise CoreheadError("There are no batches to measure RAM on.")
    rng, samples = np.random.default_rng(seed), sum(len(batch.samples) for batch in batches)
    total: np.ndarray | float = 0.0
    for batch in batches:
        own = batch.targets()
        masks = torch.cat([own[None], shifted(own, batch.source, draws, rng)])
        found = mass(loaded, batch, masks, queries)  # (1 + draws, B, layers, heads)
        total = total + found.sum(1, dtype=np.float64)
    means = np.asarray(total) / samples
    ram, null = means[0], means[1:]
    p = (1 + (null >= ram - 1e-12).sum(0)) / (1 + draws)
    layer, head = np.indices(ram.shape).reshape(2, -1)
    table = pd.DataFrame({"layer": layer, "head": head, "ram": ram.ravel(), "null": null.mean(0).ravel()})
    return table.assign(p=p.ravel(), p_adjusted=false_discovery_control(p.ravel(), method="bh"))
