"""Mean ablation: a head says what it says on average at such a place."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch

from corehead_lib.attention import Call
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.interventions.base import Replacement
from corehead_lib.interventions.recorded import head_outputs
from corehead_lib.models import LoadedModel

CLASSES = ("visual", "question", "other", "last", "answer")


def position_classes(batch: Batch) -> torch.Tensor:
    """(B, T) int64, places in ``CLASSES``: visual tokens, the question's, the last one, other text; padding counts as other."""
    found = torch.full_like(batch.question, CLASSES.index("other"), dtype=torch.int64)
    for name, mask in (("visual", batch.visual), ("question", batch.question), ("last", batch.last)):
        found[mask] = CLASSES.index(name)
    return found


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
        outputs = head_outputs(loaded, batch)
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
        kind[:, inside] = self.classes.to(places.device)[:, places[inside]]
        return self.means.mean[call.layer].to(call.query.device)[kind][:, :, heads].nan_to_num()
