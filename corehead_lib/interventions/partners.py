"""Outputs from a partner run, token by token: resample ablation and activation patching."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch

from corehead_lib.attention import Call
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.interventions.base import Replacement
from corehead_lib.interventions.recorded import head_outputs
from corehead_lib.models import LoadedModel


@dataclass(frozen=True)
class Outputs:
    """Heads' outputs in partner runs, laid over the tokens of the batches that they are meant for."""

    of: dict[tuple[str, ...], dict[int, torch.Tensor]] = field(repr=False)  # ids -> layer -> (B, T + A, H, D)


def partner_outputs(
    loaded: LoadedModel,
    batches: Sequence[Batch],
    partners: Sequence[Batch],
    heads: Collection[Head] | None = None,
) -> Outputs:
    """Run the partner of each sample, with the sample's own answer behind it, and keep what the heads say.

    partners: batches as long as ``batches``: the same questions about other pictures, other questions about the same pictures,
        clean runs for corrupted ones, ... Tokens up to the last visual one are matched from the start, and there must be
        as many in both; those behind it from the end, and where the partner has fewer, its first one stands in.
    heads: layers in which none of them is are not kept; None keeps all.

    Raises CoreheadError if a sample and its partner differ in the number of tokens up to the last visual one.
    """
    found: dict[tuple[str, ...], dict[int, torch.Tensor]] = {}
    layers = set(range(loaded.backbone.layers)) if heads is None else {layer for layer, _ in heads}
    for batch, partner in zip(batches, partners, strict=True):
        place = _matched(batch, partner)
        outputs = head_outputs(loaded, replace(partner, answers=batch.answers))
        length = partner.question.shape[1]
        behind = torch.arange(length, outputs[0].shape[1])
        place = torch.cat([place, behind.expand(len(place), -1)], 1)
        row = torch.arange(len(place))[:, None]
        found[_key(batch)] = {layer: outputs[layer][row, place] for layer in sorted(layers)}
    return Outputs(found)


@dataclass(frozen=True, eq=False)
class Patch(Replacement):
    """Puts a partner run's outputs of ``heads`` in the place of their own, token by token.

    With a run on another picture or question as partner this is resample ablation; with a clean run as the partner of a corrupted
    one, activation patching (denoising); the other way round, noising (arXiv 2404.15255).
    """

    source: Outputs
    taken: dict[int, torch.Tensor] | None = field(default=None, kw_only=True, repr=False)

    _needs_batch = True

    def on(self, batch: Batch) -> Self:
        if _key(batch) not in self.source.of:
            raise CoreheadError(
                f"{batch.samples[0].id}: there are no partner outputs for this batch; encode both alike."
            )
        return replace(super().on(batch), taken=self.source.of[_key(batch)])

    def values(self, call: Call, heads: list[int], rows: torch.Tensor) -> torch.Tensor:
        assert self.taken is not None
        if call.layer not in self.taken:
            raise CoreheadError(f"The partner's outputs of layer {call.layer} were not kept; pass its heads.")
        outputs, places = self.taken[call.layer], self.places(call)[rows]
        if len(outputs) != len(call.query) or int(places[-1]) >= outputs.shape[1]:
            raise CoreheadError(
                f"The partner run has {len(outputs)} x {outputs.shape[1]} tokens, place {int(places[-1])} of "
                f"{len(call.query)} rows is asked for: it holds the prompt and the gold answer, nothing behind."
            )
        return outputs[:, places][:, :, heads]


def _key(batch: Batch) -> tuple[str, ...]:
    return tuple(sample.id for sample in batch.samples)


def _matched(batch: Batch, partner: Batch) -> torch.Tensor:
    """(B, T) int64 on CPU, from where it can index any device: for each token, the place of its counterpart in the partner."""
    if len(batch.samples) != len(partner.samples):
        raise CoreheadError(f"{len(batch.samples)} samples have {len(partner.samples)} partners.")
    length, other = batch.question.shape[1], partner.question.shape[1]
    place = torch.zeros(batch.question.shape, dtype=torch.int64)
    ends = [(_last_visual(one), _padding(one)) for one in (batch, partner)]
    for row, (mine, pad, its, its_pad) in enumerate(zip(*ends[0], *ends[1], strict=True)):
        if mine - pad != its - its_pad and not (mine < 0 and its < 0):
            raise CoreheadError(
                f"{batch.samples[row].id}: {mine + 1 - pad} tokens up to the last visual one, its partner has "
                f"{its + 1 - its_pad}; take a partner whose pictures have the same size."
            )
        begin, its_begin = (pad, its_pad) if mine < 0 else (mine + 1, its + 1)
        place[row, :begin] = torch.arange(begin) + its_begin - begin
        place[row, begin:] = (torch.arange(begin, length) - length + other).clamp(min=its_begin)
    return place.clamp(min=0)


def _last_visual(batch: Batch) -> list[int]:
    return [int(cells.position.max(initial=-1)) for cells in batch.cells]


def _padding(batch: Batch) -> list[int]:
    return (batch.inputs["attention_mask"] == 0).sum(1).tolist()
