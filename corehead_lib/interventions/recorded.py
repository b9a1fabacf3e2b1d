"""Interventions with outputs from other runs: their mean, or those of a partner, token by token."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head
from corehead_lib.interventions.base import Replacement
from corehead_lib.models import LoadedModel

CLASSES = ("visual", "question", "other", "last", "answer")


def position_classes(batch: Batch) -> torch.Tensor:
    """(B, T) int64, places in ``CLASSES``: visual tokens, the question's, the last one, other text; padding counts as other."""
    found = torch.full_like(batch.question, CLASSES.index("other"), dtype=torch.int64)
    for name, mask in (("visual", batch.visual), ("question", batch.question), ("last", batch.last)):
        found[mask] = CLASSES.index(name)
    return found


@dataclass
class Record(Operator):
    """Keeps heads' outputs in one forward pass, (B, T, heads, D) for each layer; changes nothing."""

    outputs: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        output = inner(call)
        self.outputs[call.layer] = output
        return output


@dataclass(frozen=True)
class Means:
    """Mean outputs of all heads over a reference set, for each class of places."""

    mean: torch.Tensor = field(repr=False)  # (layers, classes, heads, D), float32
    count: tuple[int, ...]  # tokens of each class


def mean_outputs(loaded: LoadedModel, batches: Sequence[Batch]) -> Means:
    """Run ``batches`` with their answers, and take the mean of each head's output over the tokens of each class.

    Raises CoreheadError if there are no batches.
    """
    if not batches:
        raise CoreheadError("There is no reference set to take a mean of.")
    shape, kinds = loaded.backbone, len(CLASSES)
    total = torch.zeros(shape.layers, kinds, shape.heads, shape.head_dim, dtype=torch.float64)
    count = torch.zeros(kinds, dtype=torch.float64)
    for batch in batches:
        outputs = _outputs(loaded, batch)
        classes = position_classes(batch).cpu()
        rows = outputs[0].shape[1]
        answer = torch.full((len(classes), rows - classes.shape[1]), CLASSES.index("answer"))
        real = torch.ones(len(classes), rows, dtype=torch.bool)
        real[:, : classes.shape[1]] = batch.inputs["attention_mask"].bool().cpu()
        for row, written in enumerate(batch.answers):  # shorter answers are filled up
            real[row, classes.shape[1] + len(written) :] = False
        member = torch.nn.functional.one_hot(torch.cat([classes, answer], 1), kinds).double()
        member *= real[..., None]
        count += member.sum((0, 1))
        for layer, output in outputs.items():
            total[layer] += torch.einsum("btc,bthd->chd", member, output.cpu().double())
    return Means((total / count[:, None, None]).float(), tuple(count.long().tolist()))


@dataclass(frozen=True, eq=False)
class MeanAblation(Replacement):
    """Puts a head's mean output over a reference set in the place of its own: what it says of this sample is gone.

    The mean is that of the token's class (visual, question, other text, last, answer), so that a head which always says
    the same to the last token still does. Raises CoreheadError for a class that the reference set does not have.
    """

    means: Means
    classes: torch.Tensor | None = field(default=None, kw_only=True, repr=False)  # (B, T)

    _needs_batch = True

    def on(self, batch: Batch) -> Self:
        classes = position_classes(batch)
        for number in set(classes[batch.inputs["attention_mask"].bool()].tolist()):
            if not self.means.count[number]:
                raise CoreheadError(
                    f"{batch.samples[0].id}: the reference set has no {CLASSES[number]} tokens; take one like it."
                )
        return replace(super().on(batch), classes=classes)

    def values(self, call: Call, heads: list[int], rows: torch.Tensor) -> torch.Tensor:
        assert self.classes is not None
        assert self.prompt is not None
        places = self.places(call)[rows]
        if len(self.classes) != len(call.query):
            raise CoreheadError(f"{len(call.query)} rows are run, the batch has {len(self.classes)}.")
        kind = torch.full((len(call.query), len(places)), CLASSES.index("answer"), device=places.device)
        inside = places < self.prompt
        kind[:, inside] = self.classes[:, places[inside]]
        return self.means.mean[call.layer].to(call.query.device)[kind][:, :, heads].nan_to_num()


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
        outputs = _outputs(loaded, replace(partner, answers=batch.answers))
        length = partner.question.shape[1]
        behind = torch.arange(length, outputs[0].shape[1], device=place.device)
        place = torch.cat([place, behind.expand(len(place), -1)], 1)
        row = torch.arange(len(place), device=place.device)[:, None]
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


def _outputs(loaded: LoadedModel, batch: Batch) -> dict[int, torch.Tensor]:
    with Record()(loaded.model) as kept:
        evaluate(loaded, [batch], progress=False)
    return kept.outputs


def _matched(batch: Batch, partner: Batch) -> torch.Tensor:
    """(B, T) int64: for each token, the place of its counterpart in the partner."""
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
    return place.clamp(min=0).to(batch.question.device)


def _last_visual(batch: Batch) -> list[int]:
    return [int(cells.position.max(initial=-1)) for cells in batch.cells]


def _padding(batch: Batch) -> list[int]:
    return (batch.inputs["attention_mask"] == 0).sum(1).tolist()
