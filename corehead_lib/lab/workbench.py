"""The lab with a kernel: any model of the zoo, any sample, any intervention on any heads, as ipywidgets."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from html import escape
from typing import Any

from corehead_lib.data import load_samples
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.explorer import explorer
from corehead_lib.heads import Head
from corehead_lib.interventions import Intervention
from corehead_lib.lab.bench import HEADS, KINDS, Bench
from corehead_lib.models import LoadedModel, load_model, zoo_names
from corehead_lib.samples import Sample

DATASETS = ("scenes", "documents", "clips", "haystacks", "interleaved")  # those with evidence


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
        "typed": widgets.Text("L2H3", description="typed", continuous_update=False),  # Enter, not each letter
        "change": choice("change", KINDS),
        "when": choice("phase", ("both", "prefill", "decode")),
        "queries": choice("cut off", ("text", "question", "last", "all")),
        "keys": choice("from", ("targets", "visual", "source", "question", "everything")),
        "map": choice("map", ("untouched", "changed")),
    }
    said, shown = widgets.HTML(), widgets.Output()

    @cache
    def load(model: str) -> LoadedModel:
        return load_model(model)

    @cache
    def bench(model: str, dataset: str) -> Bench:
        return Bench(load(model), load_samples(dataset, "detection", reference, seed))

    @cache
    def pool(dataset: str) -> list[Sample]:
        return load_samples(dataset, "evaluation", samples, seed)

    def look(_: Any = None) -> None:
        chosen = {name: control.value for name, control in controls.items()}
        for name, fits in (
            ("typed", chosen["heads"] == "typed"),
            ("number", chosen["heads"] != "typed"),
            ("queries", chosen["change"] == "knockout"),
            ("keys", chosen["change"] == "knockout"),
        ):
            controls[name].layout.display = "" if fits else "none"
        said.value = f"<p role='status'>Measuring ...</p><div style='opacity: 0.3'>{said.value}</div>"
        try:
            said.value, html = _look(
                bench(chosen["model"], chosen["dataset"]), chosen, pool(chosen["dataset"])
            )
        except CoreheadError as error:
            said.value, html = f"<p><b>{escape(str(error))}</b></p>", ""
        data = {"text/html": html, "text/plain": "the map of heads"}
        shown.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},) if html else ()

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
