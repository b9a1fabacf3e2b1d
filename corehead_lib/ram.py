"""Retrieval Attention Mass: how much attention the question gives to the evidence, head by head.

For head h, question tokens Q and target tokens V* (arXiv 2606.05843; its exact normalisation is
not known to us, so this is our documented choice, in the form of arXiv 2605.27243, eq. 1):

    RAM_h = mean over samples of  1/|Q| * sum_{q in Q} sum_{v in V*} A_h[q, v]

A_h is the attention after the softmax. Only the question's rows are computed, in float32, beside
the plain sdpa forward pass, whose output stays bit-identical.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from corehead_lib.attention import Attend, Call, Operator, allowed
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.targets import Groups, Overlap, Views

ROWS_AT_ONCE = 64
TINY = 1e-12  # a head that never looks at the picture has lift and selectivity zero


@dataclass
class RetrievalAttentionMass(Operator):
    """Sums the attention that query tokens give to target tokens; changes nothing.

    queries: (B, T) bool, the query tokens; the mean is taken over them (floats: a weighted mean).
    targets: (B, T) bool, or (K, B, T) for K target sets at once.

    After one forward pass over these T tokens, ``mass`` is (B, layers, heads), or (K, B, layers,
    heads), float32. Decoding steps (one new token) are left out.
    Raises CoreheadError for empty queries or targets, or another number of tokens.
    """

    queries: torch.Tensor
    targets: torch.Tensor
    _layers: dict[int, torch.Tensor] = field(default_factory=dict, init=False, repr=False)

    def begin(self, model: PreTrainedModel) -> None:
        if self.targets.shape[-2:] != self.queries.shape:
            raise CoreheadError(
                f"queries are {tuple(self.queries.shape)}, targets {tuple(self.targets.shape)}: "
                "both end in (batch, tokens)."
            )
        for name, mask in (("query", self.queries), ("target", self.targets)):
            if not mask.any(-1).all():
                raise CoreheadError(
                    f"At least one sample has no {name} token: its mass would be meaningless."
                )
        self._layers.clear()

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        if call.query.shape[2] > 1 or self.queries.shape[1] == 1:
            self._layers[call.layer] = self._reduce(call)
        return inner(call)

    def _reduce(self, call: Call) -> torch.Tensor:
        """(K, B, H) mass of one layer."""
        batch, heads, tokens, width = call.query.shape
        if (batch, tokens) != tuple(self.queries.shape) or call.key.shape[2] != tokens:
            raise CoreheadError(
                f"The forward pass holds {batch} x {tokens} tokens, the masks {tuple(self.queries.shape)}: "
                "encode the same batch for both."
            )
        targets = self.targets.reshape(-1, batch, tokens).float()
        weights = self.queries.float() / self.queries.sum(1, keepdim=True)
        key = call.key.float().transpose(2, 3)  # (B, G, D, T)
        mass = targets.new_zeros(len(targets), batch, heads)
        for rows in self.queries.any(0).nonzero().flatten().split(ROWS_AT_ONCE):
            query = call.query[:, :, rows].float().reshape(batch, key.shape[1], -1, width)
            logits = (query @ key).reshape(batch, heads, len(rows), tokens) * call.scaling
            attention = logits.masked_fill(~allowed(call, rows), -torch.inf).softmax(-1)
            attention = attention.nan_to_num()  # rows of padding see nothing; their weight is zero
            on_target = torch.einsum("bhrt,kbt->kbhr", attention, targets)
            mass += torch.einsum("kbhr,br->kbh", on_target, weights[:, rows])
        return mass

    @property
    def mass(self) -> torch.Tensor:
        """The result; raises CoreheadError before a forward pass."""
        if not self._layers:
            raise CoreheadError("No forward pass has run inside this operator's `with` block yet.")
        mass = torch.stack([self._layers[layer] for layer in sorted(self._layers)], dim=2)
        return mass if self.targets.ndim == 3 else mass[0]


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


def measure_ram(
    loaded: LoadedModel,
    batches: Sequence[Batch],
    queries: Literal["question", "last"] = "question",
    overlap: Overlap = "any",
    progress: bool = True,
    *,
    views: Views = "both",
    groups: Groups = "any",
) -> RamScores:
    """Run every batch once and collect RAM per sample and head.

    queries: the tokens of the question's own text, or the last prompt token alone.
    overlap, views, groups: which cells the evidence takes, as in ``targets.target_cells``.
    """
    target, visual, share = [], [], []
    for batch in tqdm(batches, desc="RAM", disable=not progress, leave=False):
        masks = torch.stack([batch.targets(overlap, views, groups), batch.source])
        rows = batch.question if queries == "question" else batch.last
        with torch.inference_mode(), RetrievalAttentionMass(rows, masks)(loaded.model) as operator:
            loaded.model(**batch.inputs, use_cache=False, logits_to_keep=1)
        on_target, on_visual = operator.mass.cpu().numpy()
        target.append(on_target)
        visual.append(on_visual)
        share.append((masks[0].sum(1) / masks[1].sum(1)).cpu().numpy())
    return RamScores(np.concatenate(target), np.concatenate(visual), np.concatenate(share))
