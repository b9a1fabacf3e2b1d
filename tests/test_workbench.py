"""The workbench: what its widgets say against evaluation under each intervention, done directly."""

import re
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from test_explorer import held, unpacked

from corehead_lib import interventions
from corehead_lib.data import load_samples
from corehead_lib.encode import Batch, encode, encode_all
from corehead_lib.evaluate import evaluate
from corehead_lib.explorer import Explorer
from corehead_lib.heads import Head, HeadScores
from corehead_lib.interventions import (
    Intervention,
    Knockout,
    MeanAblation,
    Patch,
    Replacement,
    UniformAttention,
    ZeroAblation,
    mean_outputs,
    partner_outputs,
)
from corehead_lib.lab.bench import KINDS, Bench
from corehead_lib.lab.workbench import workbench
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import mass, measure_ram
from corehead_lib.samples import Sample
from corehead_lib.study import ablate, with_partners

MODEL, REFERENCE = "tiny-qwen3-vl", 6
HEADS = [Head(2, 3), Head(3, 6), Head(4, 10)]
NAMES = "L2H3, L3H6 L4H10"


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(MODEL)


@pytest.fixture(scope="module")
def box() -> Any:
    return workbench([MODEL], ["scenes", "haystacks"], samples=5, reference=REFERENCE)


@pytest.fixture(scope="module")
def asked() -> list[Sample]:
    return load_samples("scenes", "evaluation", 5, 0)


@pytest.fixture(scope="module")
def reference() -> list[Sample]:
    return load_samples("scenes", "detection", REFERENCE, 0)


def choose(box: Any, **values: Any) -> None:
    for name, value in values.items():
        box.controls[name].value = value


def told(box: Any) -> np.ndarray:
    """(options, 2): the probabilities before and after."""
    found = re.findall(r"</meter> (\d\.\d{3})</td>", box.said.value)
    assert found, box.said.value
    return np.array(found, float).reshape(-1, 2)


def chances(loaded: LoadedModel, sample: Sample, operator: Callable[[Batch], Intervention]) -> np.ndarray:
    """(options, 2), one at a time."""
    rows = []
    for option in sample.options:
        batch = encode(loaded, [replace(sample, answer=option)])
        before = evaluate(loaded, [batch]).logprob[0]
        with operator(batch).on(batch)(loaded.model):
            rows.append((before, evaluate(loaded, [batch]).logprob[0]))
    return np.exp(rows)


def partner(sample: Sample, reference: Sequence[Sample]) -> Sample:
    other = next(other for other in reference if with_partners([sample, other]))
    return replace(sample, media=other.media, context=other.context, evidence=())


def test_every_intervention_says_what_it_says_alone(
    box: Any, loaded: LoadedModel, asked: list[Sample], reference: list[Sample]
) -> None:
    sample = next(s for s in asked if any(with_partners([s, r]) for r in reference))
    means = mean_outputs(loaded, [*encode_all(loaded, reference, 8)])
    elsewhere = partner(sample, reference)
    words = next(r.question for r in reference if r.question != sample.question)
    otherwise = replace(sample, question=words, evidence=())

    def patch(batch: Batch, giving: Sample) -> Patch:
        partners = encode(loaded, [replace(giving, answer=batch.samples[0].answer)])
        return Patch(HEADS, partner_outputs(loaded, [batch], [partners]))

    made: dict[str, Callable[[Batch], Intervention]] = {
        "zero ablation": lambda _: ZeroAblation(HEADS),
        "mean ablation": lambda _: MeanAblation(HEADS, means),
        "outputs for another picture": lambda batch: patch(batch, elsewhere),
        "outputs for another question": lambda batch: patch(batch, otherwise),
        "uniform attention": lambda _: UniformAttention(HEADS),
        "knockout": lambda _: Knockout(HEADS),
    }
    assert tuple(made) == KINDS
    choose(box, sample=asked.index(sample), heads="typed", typed=NAMES)
    seen = []
    for kind, operator in made.items():
        choose(box, change=kind)
        np.testing.assert_allclose(told(box), chances(loaded, sample, operator), atol=2e-3)
        seen.append(tuple(told(box)[:, 1]))
    assert len(set(seen)) > 3
    choose(box, change="knockout", queries="last", keys="everything", when="prefill")
    cut = chances(loaded, sample, lambda _: Knockout(HEADS, "last", "everything", when="prefill"))
    np.testing.assert_allclose(told(box), cut, atol=2e-3)
    choose(box, queries="text", keys="targets", when="both")


def test_no_intervention_is_missing(
    loaded: LoadedModel, asked: list[Sample], reference: list[Sample]
) -> None:
    bench = Bench(loaded, reference)
    batch = encode(loaded, [next(s for s in asked if any(with_partners([s, r]) for r in reference))])
    made = {type(bench.operator(kind, HEADS, batch)) for kind in KINDS}
    every = {x for x in vars(interventions).values() if isinstance(x, type) and issubclass(x, Intervention)}
    assert made == {x for x in every if is_dataclass(x)} - {Intervention, Replacement}


def test_heads_are_those_of_the_ranking(
    box: Any, loaded: LoadedModel, asked: list[Sample], reference: list[Sample]
) -> None:
    ranking = HeadScores(measure_ram(loaded, [*encode_all(loaded, reference, 8)], "last").ram).ranking()
    choose(box, change="zero ablation", rows="last", sample=1)
    for which, heads in (("top by RAM", ranking[:4]), ("lowest by RAM", ranking[::-1][:4])):
        choose(box, heads=which, number=4)
        assert " ".join(head.name for head in heads) in box.said.value
        table = ablate(loaded, [encode(loaded, [asked[1]])], {"off": heads})
        right = [option == asked[1].answer for option in asked[1].options]
        np.testing.assert_allclose(told(box)[right][0], np.exp(table.logprob), atol=1e-3)
    choose(box, heads="others of the top's layers")
    named = [(int(a), int(b)) for a, b in re.findall(r"L(\d+)H(\d+)", box.said.value)]
    assert sorted(layer for layer, _ in named) == sorted(head.layer for head in ranking[:4])
    assert not set(named) & {tuple(head) for head in ranking[:4]}


def test_the_map_is_that_of_the_changed_model(box: Any, loaded: LoadedModel, asked: list[Sample]) -> None:
    batch = encode(loaded, [asked[0]])
    choose(box, sample=0, heads="typed", typed=NAMES, change="zero ablation")
    for which, off in (("untouched", []), ("changed", HEADS)):
        choose(box, map=which)
        made = held(Explorer(1, 0, box.shown.outputs[0]["data"]["text/html"]))
        with ZeroAblation(off)(loaded.model):
            wanted = mass(loaded, batch, batch.targets(), "last")[0]
        _, sums = unpacked(made, made["samples"][0])
        np.testing.assert_allclose(sums[made["samples"][0]["row"], :, 0], wanted.ravel(), atol=2e-5)
    choose(box, change="knockout")  # it runs attention twice in a layer
    assert box.shown.outputs
    choose(box, map="untouched")


def test_what_cannot_be_done_is_said(box: Any) -> None:
    choose(box, heads="typed", typed="L2H3 <b>")
    assert "write heads as L3H5 L2H1" in box.said.value
    assert "<b>'" not in box.said.value
    assert not box.shown.outputs
    choose(box, typed="L99H0")
    assert "Layer 99, head 0 does not exist" in box.said.value
    choose(box, typed=NAMES, dataset="haystacks", change="mean ablation", sample=2)
    assert told(box).shape == (10, 2)
    assert box.controls["keys"].layout.display == "none"
    choose(box, dataset="scenes")


def test_while_it_measures_it_says_so(box: Any) -> None:
    said: list[str] = []
    box.said.observe(lambda change: said.append(change["new"]), "value")
    choose(box, dataset="scenes", heads="typed", sample=3)
    choose(box, sample=4)
    assert ["Measuring" in text for text in said[-2:]] == [True, False]
    assert not box.controls["typed"].continuous_update  # each letter would be measured
