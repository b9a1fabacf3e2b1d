"""What the workbench measures: the answers of a model to one sample, before and under an intervention on any heads."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from corehead_lib.answers import QUERIES
from corehead_lib.encode import Batch, encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head, HeadScores, layer_matched_heads
from corehead_lib.interventions import (
    Intervention,
    Knockout,
    MeanAblation,
    Means,
    Patch,
    UniformAttention,
    ZeroAblation,
    check_heads,
    mean_outputs,
    partner_outputs,
)
from corehead_lib.models import LoadedModel
from corehead_lib.ram import measure_ram
from corehead_lib.samples import Sample
from corehead_lib.study import other_picture, other_question, with_partners

HEADS = ("top by RAM", "lowest by RAM", "others of the top's layers", "typed")
KINDS = (
    "zero ablation",
    "mean ablation",
    "outputs for another picture",
    "outputs for another question",
    "uniform attention",
    "knockout",
)
TYPED = re.compile(r"L(\d{1,4})H(\d{1,4})", re.ASCII)
MOST = 12  # options whose probabilities are shown; the gold answer is always among them


@dataclass(frozen=True)
class Bench:
    """A model and a reference set: what heads are ranked on, means are taken of, and partners come from."""

    loaded: LoadedModel
    reference: Sequence[Sample]

    @cached_property
    def _batches(self) -> list[Batch]:
        return [*encode_all(self.loaded, self.reference, 8)]

    @cached_property
    def scores(self) -> dict[str, HeadScores]:
        """RAM over the reference set, by rows of ``answers.QUERIES``."""
        return {
            rows: HeadScores(ram.ram)
            for rows, ram in measure_ram(self.loaded, self._batches, QUERIES).items()
        }

    @cached_property
    def _means(self) -> Means:
        return mean_outputs(self.loaded, self._batches)

    def heads(self, which: str, number: int, typed: str, rows: str) -> list[Head]:
        """Heads by one of ``HEADS``; ``typed`` are names such as "L3H5 L2H1". Raises CoreheadError for what it cannot read."""
        ranking = self.scores[rows].ranking()
        if which == "typed":
            found = [TYPED.fullmatch(word) for word in re.split(r"[\s,]+", typed.strip()) if word]
            if not all(found):
                raise CoreheadError(f"{typed!r}: write heads as L3H5 L2H1: layer and head, counted from 0.")
            heads = [Head(int(one[1]), int(one[2])) for one in found if one]
            check_heads(heads, self.loaded.model)
            return list(dict.fromkeys(heads))
        top = ranking[::-1][:number] if which == "lowest by RAM" else ranking[:number]
        if which == "others of the top's layers":
            return layer_matched_heads(top, self.loaded.backbone.heads, np.random.default_rng(0))
        return top

    def operator(self, kind: str, heads: Sequence[Head], batch: Batch, **options: Any) -> Intervention:
        """One of ``KINDS`` on ``heads``, made ready for a batch of one sample, whatever its answers.

        options: ``when``; and for a knockout ``queries`` and ``keys``. Raises CoreheadError where no partner fits the sample.
        """
        when = {"when": options.get("when", "both")}
        made: dict[str, Callable[[], Intervention]] = {
            "zero ablation": lambda: ZeroAblation(heads, **when),
            "mean ablation": lambda: MeanAblation(heads, self._means, **when),
            "outputs for another picture": lambda: self._patch(other_picture, heads, batch, when),
            "outputs for another question": lambda: self._patch(other_question, heads, batch, when),
            "uniform attention": lambda: UniformAttention(heads, **when),
            "knockout": lambda: Knockout(heads, **options),
        }
        return made[kind]().on(batch)

    def _patch(
        self,
        partner: Callable[[Sequence[Sample]], list[Sample]],
        heads: Sequence[Head],
        batch: Batch,
        when: Mapping[str, Any],
    ) -> Patch:
        """Outputs for the first of the reference set that can be a partner."""
        sample = batch.samples[0]
        for other in self.reference:
            fits = (
                with_partners([sample, other])
                if partner is other_picture
                else other.question != sample.question
            )
            if fits:
                asked = partner([sample, other])[0]
                partners = encode(self.loaded, [replace(asked, answer=s.answer) for s in batch.samples])
                return Patch(heads, partner_outputs(self.loaded, [batch], [partners], heads), **when)
        raise CoreheadError(
            f"{sample.id}: none of the reference set is of the same size; take another sample."
        )

    def answers(
        self, sample: Sample, change: Callable[[Batch], Intervention] | None = None
    ) -> dict[str, float]:
        """The probability of each option, written out whole, under an intervention; natural order."""
        options = [*sample.options] if sample.answer in sample.options else [sample.answer, *sample.options]
        shown = sorted(options, key=lambda option: option != sample.answer)[:MOST]
        names = [option for option in options if option in shown]
        batch = encode(self.loaded, [replace(sample, answer=name) for name in names])
        with change(batch)(self.loaded.model) if change else nullcontext():
            logprob = evaluate(self.loaded, [batch]).logprob
        return dict(zip(names, np.exp(logprob).tolist(), strict=True))
