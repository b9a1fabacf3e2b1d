"""Rankings against loops over eager weights, hooks and finite differences; their comparison against tables made by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import SAMPLES, eager

from corehead_lib.answers import query_rows, with_answers
from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head, HeadScores
from corehead_lib.models import LoadedModel
from corehead_lib.ram import measure_ram
from corehead_lib.rankings import RANKINGS, rank
from corehead_lib.study import able, verdicts
from corehead_lib.study.survey import Survey


@pytest.fixture
def survey(family: LoadedModel) -> Survey:
    return Survey(family, [encode(family, SAMPLES[:2]), encode(family, SAMPLES[2:])])


def weights_and_parts(loaded: LoadedModel, batch: Batch) -> tuple[np.ndarray, list[Any], list[Any], torch.Tensor]:  # fmt: skip
    """Eager weights (L, B, H, T, T), values (B, T, G*D) and inputs of o_proj (B, T, H*D) of each layer, final logits."""
    values: list[Any] = []
    inputs: list[Any] = []
    handles = []
    for layer in loaded.model.model.language_model.layers:
        keep = layer.self_attn.v_proj.register_forward_hook(lambda _, __, output: values.append(output))
        look = layer.self_attn.o_proj.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        handles += [keep, look]
    with eager(loaded), torch.inference_mode():
        output = loaded.model(**with_answers(batch)[0], use_cache=False, output_attentions=True)
    for handle in handles:
        handle.remove()
    return torch.stack(output.attentions).double().numpy(), values, inputs, output.logits


def test_ram_and_its_relatives_are_those_of_ram(survey: Survey) -> None:
    scores = measure_ram(survey.loaded, survey.batches, ("question", "last", "answer"), progress=False)
    for rows, score in scores.items():
        np.testing.assert_allclose(RANKINGS[f"ram-{rows}"](survey), score.ram, atol=1e-6)
    np.testing.assert_allclose(RANKINGS["selectivity"](survey), scores["last"].selectivity, rtol=1e-4)
    np.testing.assert_allclose(RANKINGS["lift"](survey), scores["last"].lift, rtol=1e-4)
    np.testing.assert_allclose(RANKINGS["visual"](survey), scores["last"].visual.mean(0), atol=1e-6)
    null = [encode(survey.loaded, [replace(s, question="N/A") for s in b.samples]) for b in survey.batches]
    for rows in ("question", "last"):
        expected = scores[rows].ram - measure_ram(survey.loaded, null, rows, progress=False).ram
        np.testing.assert_allclose(RANKINGS[f"calibrated-{rows}"](survey), expected, atol=1e-6)
        assert np.abs(expected).max() > 1e-3


def test_looks_against_loops_over_eager_weights(survey: Survey) -> None:
    loaded = survey.loaded
    shape = loaded.backbone
    head = loaded.model.get_output_embeddings().weight.detach().double().numpy()
    scale = loaded.model.model.language_model.norm.weight.detach().double().numpy()
    rows: dict[str, list[np.ndarray]] = {}
    for batch in survey.batches:
        attention, values, inputs, _ = weights_and_parts(loaded, batch)
        longer = max(map(len, batch.answers))
        asked = query_rows(batch, "answer", longer).numpy()
        real = with_answers(batch)[0]["attention_mask"].numpy()
        length = batch.question.shape[1]
        for b, answer in enumerate(batch.answers):
            targets = set(np.flatnonzero(batch.targets()[b].numpy()))
            measured = {name: np.zeros((shape.layers, shape.heads)) for name in ("hit", "entropy", "nonsink", "write", "norm")}  # fmt: skip
            for layer in range(shape.layers):
                projection = loaded.model.model.language_model.layers[layer].self_attn.o_proj.weight.detach().double().numpy()  # fmt: skip
                for h in range(shape.heads):
                    columns = slice(h * shape.head_dim, (h + 1) * shape.head_dim)
                    group = slice(h // shape.group * shape.head_dim, (h // shape.group + 1) * shape.head_dim)
                    places = np.flatnonzero(asked[b])
                    assert len(places) == len(answer)
                    for q in places:
                        a = attention[layer, b, h, q]
                        measured["hit"][layer, h] += (a.argmax() in targets) / len(places)
                        measured["nonsink"][layer, h] += (1 - a[real[b].argmax()]) / len(places)
                        measured["entropy"][layer, h] -= (a * np.log(np.maximum(a, 1e-30))).sum() / len(
                            places
                        )
                        gold = answer[q - length + 1]
                        direction = (head[gold] - head.mean(0)) * scale
                        for k in np.flatnonzero(real[b]):
                            value = values[layer][b, k, group].double().numpy()
                            added = a[k] * direction @ (projection[:, columns] @ value)
                            measured["write"][layer, h] += (added if k in targets else -added) / len(places)
                    said = inputs[layer][b][real[b].astype(bool)][:, columns].double().numpy()
                    measured["norm"][layer, h] = np.linalg.norm(
                        said @ projection[:, columns].T, axis=1
                    ).mean()
            for name, value in measured.items():
                rows.setdefault(name, []).append(value)
    for name, parts in rows.items():
        found = survey.mean(name, "answer")
        np.testing.assert_allclose(found, np.mean(parts, 0), atol=2e-4, rtol=2e-3, err_msg=name)
    np.testing.assert_array_equal(RANKINGS["entropy"](survey), -survey.mean("entropy"))
    assert np.ptp(RANKINGS["hits"](survey)) > 0


class Scaled(Operator):
    """One head, turned up or down."""

    def __init__(self, layer: int, head: int, by: float) -> None:
        self.layer, self.head, self.by = layer, head, by

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        output = inner(call).clone()
        if call.layer == self.layer:
            output[:, :, self.head] *= self.by
        return output


@pytest.mark.parametrize("at", [(0, 1), (1, 4), (2, 0)])
def test_gradient_against_finite_differences(survey: Survey, at: tuple[int, int]) -> None:
    slopes = []
    for by in (1.003, 0.997):
        with Scaled(*at, by)(survey.loaded.model):
            slopes.append(evaluate(survey.loaded, survey.batches).logprob)
    expected = (slopes[0] - slopes[1]) / 0.006
    found = survey.gradient[:, at[0], at[1]]
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)
    assert np.abs(expected).max() > 0.05


def test_layer_and_lot(survey: Survey) -> None:
    means = RANKINGS["ram-last"](survey).mean(1)
    ranking = HeadScores(RANKINGS["layer"](survey)).ranking()
    assert [head.layer for head in ranking] == [int(n) for n in np.argsort(-means) for _ in range(6)]
    assert sorted(head.head for head in ranking[:6]) == list(range(6)) != [head.head for head in ranking[:6]]
    np.testing.assert_array_equal(RANKINGS["random"](survey), RANKINGS["random"](survey))


def test_all_rankings_from_three_passes(survey: Survey) -> None:
    count = 0

    def counted(*_: Any) -> None:
        nonlocal count
        count += 1

    handle = survey.loaded.model.register_forward_hook(counted)
    scores = rank(survey.loaded, survey.batches)
    handle.remove()
    assert count == 3 * len(survey.batches)
    assert list(scores) == list(RANKINGS)
    assert all(score.score.shape == (3, 6) for score in scores.values())
    assert scores["write"].provenance == {"ranking": "write", "samples": 3}
    tops = {name: tuple(score.ranking()[:4]) for name, score in scores.items()}
    assert len(set(tops.values())) > 9  # they are not all the same thing
    before = evaluate(survey.loaded, survey.batches).logprob
    assert (evaluate(survey.loaded, survey.batches).logprob == before).all()


def test_only_what_is_asked_for_runs(tiny: LoadedModel, batch: Batch) -> None:
    count: list[int] = []
    handle = tiny.model.register_forward_hook(lambda *_: count.append(1))
    rank(tiny, [batch], ["ram-last", "write"])
    handle.remove()
    assert len(count) == 1
    with pytest.raises(CoreheadError, match=r"There is no ranking 'rams-last'\. Did you mean 'ram-last'"):
        rank(tiny, [batch], ["rams-last"])
    with pytest.raises(CoreheadError, match="no batches"):
        rank(tiny, [])


def test_verdicts_by_hand(batch: Batch) -> None:
    """The tops of two rankings; 40 retrieval samples, of which the first loses 30; two controls, one of which nobody can do."""
    samples = [replace(batch.samples[n % 3], id=str(n), task="find", answer=str(n % 8)) for n in range(40)]
    easy = [replace(s, task="count") for s in samples]
    hard = [replace(s, task="guess") for s in samples]
    many = replace(batch, samples=tuple(samples))
    others = replace(batch, samples=(*easy, *hard))
    right = {
        "find": {"none": 40, "a": 10, "b": 40},
        "count": {"none": 40, "a": 35, "b": 35},
        "guess": {"none": 5, "a": 0, "b": 0},
    }

    sets = {"a": [Head(0, 0), Head(0, 1)], "b": [Head(0, 1), Head(0, 2)]}

    def pretended(batch: Batch) -> pd.DataFrame:
        rows: list[dict[str, Any]] = []
        for name in ("none", *sets):
            number: dict[str, int] = {}
            for sample in batch.samples:
                place = number[sample.task] = number.get(sample.task, 0) + 1
                correct = place <= right[sample.task][name]
                rows.append({"set": name, "id": sample.id, "task": sample.task, "group": sample.id, "correct": correct, "logprob": -2.0 * (not correct)})  # fmt: skip
        return pd.DataFrame(rows)

    asked, other = pretended(many), pretended(others)
    assert able(other, [others]) == ["count"]
    other = other[other.task.isin(able(other, [others]))]
    table = verdicts(asked, other, sets, reference="a").set_index("set")
    assert list(table.columns) == ["k", "drop", "low", "high", "nats", "drop_control", "control_low", "control_high", "ratio", "p", "p_adjusted", "shared"]  # fmt: skip
    assert table["drop"].tolist() == [0.75, 0]
    assert table.nats.tolist() == [1.5, 0]
    assert table.drop_control.tolist() == [0.125, 0.125]
    assert table.ratio.tolist() == [6, 0]
    assert table.shared.tolist() == [2, 1]
    assert table.low["a"] < 0.75 < table.high["a"] < 1
    assert table.low["a"] > 0.5
    assert table.low["b"] < 0 < table.high["b"]
    assert table.p["a"] < 0.001
    assert table.p_adjusted["a"] == pytest.approx(2 * table.p["a"])
    assert table.p_adjusted["b"] == 1
    alone = verdicts(asked, None, sets, reference="a")
    assert alone.drop_control.isna().all()
