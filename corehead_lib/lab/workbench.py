"""The lab with a kernel: any model of the zoo, any sample, any intervention on any heads, as ipywidgets."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from corehead_lib.answers import QUERIES
from corehead_lib.data import load_samples
from corehead_lib.encode import Batch, encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.explorer import explorer
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
from corehead_lib.models import LoadedModel, load_model, zoo_names
from corehead_lib.ram import measure_ram
from corehead_lib.samples import Sample
from corehead_lib.study import other_picture, other_question, with_partners

DATASETS = ("scenes", "documents", "clips", "haystacks", "interleaved")  # those with evidence
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
    def _scores(self) -> dict[str, HeadScores]:
        return {
            rows: HeadScores(ram.ram)
            for rows, ram in measure_ram(self.loaded, self._batches, QUERIES).items()
        }

    @cached_property
    def _means(self) -> Means:
        return mean_outputs(self.loaded, self._batches)

    def scores(self, rows: str) -> HeadScores:
        """RAM over the reference set, at one of ``answers.QUERIES``."""
        return self._scores[rows]

    def heads(self, which: str, number: int, typed: str, rows: str) -> list[Head]:
        """Heads by one of ``HEADS``; ``typed`` are names such as "L3H5 L2H1". Raises CoreheadError for what it cannot read."""
        ranking = self.scores(rows).ranking()
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


def workbench(
    models: Sequence[str] = (),
    datasets: Sequence[str] = DATASETS,
    samples: int = 100,
    reference: int = 24,
    seed: int = 0,
) -> Any:
    """The live lab in Jupyter: choose a model, a sample, heads and an intervention; see answers before and after, and the map.

    models: names that ``load_model`` takes; the zoo if none. datasets: generated ones with evidence.
    samples: how many of each can be chosen; reference: how many others rank the heads, by RAM.

    Returns an ipywidgets box; each control is in ``.controls``, by name. What cannot be done is said in the box.
    """
    import ipywidgets as widgets

    def choice(name: str, options: Sequence[str]) -> Any:
        return widgets.Dropdown(options=options, description=name)

    models = list(models) or sorted(zoo_names(), key=lambda name: name != "tiny-qwen3-vl")
    controls = {
        "model": choice("model", models),
        "dataset": choice("dataset", datasets),
        "sample": widgets.BoundedIntText(0, min=0, max=samples - 1, description="sample"),
        "rows": choice("rows", ("last", "question", "answer")),
        "heads": choice("heads", HEADS),
        "number": widgets.BoundedIntText(6, min=1, max=10_000, description="how many"),
        "typed": widgets.Text("L2H3", description="typed"),
        "change": choice("change", KINDS),
        "when": choice("phase", ("both", "prefill", "decode")),
        "queries": choice("cut off", ("text", "question", "last", "all")),
        "keys": choice("from", ("targets", "visual", "source", "question", "everything")),
        "map": choice("map", ("untouched", "changed")),
    }
    said, shown = widgets.HTML(), widgets.Output()
    benches: dict[tuple[str, str], Bench] = {}
    loaded: dict[str, LoadedModel] = {}
    asked: dict[str, list[Sample]] = {}

    def bench(model: str, dataset: str) -> Bench:
        loaded[model] = loaded.get(model) or load_model(model)
        if (model, dataset) not in benches:
            benches[model, dataset] = Bench(
                loaded[model], load_samples(dataset, "detection", reference, seed)
            )
        return benches[model, dataset]

    def look(_: Any = None) -> None:
        chosen = {name: control.value for name, control in controls.items()}
        for name, fits in (
            ("typed", chosen["heads"] == "typed"),
            ("number", chosen["heads"] != "typed"),
            ("queries", chosen["change"] == "knockout"),
            ("keys", chosen["change"] == "knockout"),
        ):
            controls[name].layout.display = "" if fits else "none"
        try:
            said.value, html = _look(
                bench(chosen["model"], chosen["dataset"]), chosen, pool(chosen["dataset"])
            )
        except CoreheadError as error:
            said.value, html = f"<p><b>{escape(str(error))}</b></p>", ""
        data = {"text/html": html, "text/plain": "the map of heads"}
        shown.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},) if html else ()

    def pool(dataset: str) -> list[Sample]:
        if dataset not in asked:
            asked[dataset] = load_samples(dataset, "evaluation", samples, seed)
        return asked[dataset]

    for control in controls.values():
        control.observe(look, "value")
    look()
    rows = widgets.Layout(display="flex", flex_flow="row wrap")
    box = widgets.VBox([widgets.Box([*controls.values()], layout=rows), said, shown])
    box.controls, box.said, box.shown = controls, said, shown
    return box


def _look(bench: Bench, chosen: Mapping[str, Any], samples: Sequence[Sample]) -> tuple[str, str]:
    """What the box says about one choice: a table of answers, and the explorer."""
    sample = samples[min(chosen["sample"], len(samples) - 1)]
    heads = bench.heads(chosen["heads"], chosen["number"], chosen["typed"], chosen["rows"])
    names = ("when", "queries", "keys") if chosen["change"] == "knockout" else ("when",)
    options = {name: chosen[name] for name in names}

    def change(batch: Batch) -> Intervention:
        return bench.operator(chosen["change"], heads, batch, **options)

    before, after = bench.answers(sample), bench.answers(sample, change)
    under: AbstractContextManager = nullcontext()
    if chosen["map"] == "changed":
        under = change(encode(bench.loaded, [sample]))(bench.loaded.model)
    with under:
        made = explorer(bench.loaded, [sample], bench.scores(chosen["rows"]), queries=chosen["rows"])
    return _table(sample, heads, before, after), made.html


def _table(
    sample: Sample, heads: Sequence[Head], before: Mapping[str, float], after: Mapping[str, float]
) -> str:
    lines = "".join(
        f"<tr><th scope='row'>{escape(name)}{' (right)' if name == sample.answer else ''}</th>"
        + "".join(
            f"<td><meter min='0' max='1' value='{p:.4f}' aria-label='probability'></meter> {p:.3f}</td>"
            for p in (before[name], after[name])
        )
        + "</tr>"
        for name in before
    )
    return (
        f"<p>{escape(sample.question)} Changed: {' '.join(head.name for head in heads) or 'no head'}.</p><table>"
        f"<thead><tr><th scope='col'>answer</th><th scope='col'>untouched</th><th scope='col'>changed</th></tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )
