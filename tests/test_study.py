"""Many head sets in one pass against one by one, and the tables that come of them."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import KINDS, SAMPLES, forward

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head, HeadScores, random_heads
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.study import by_task, difference, first_heads, outcomes, summarise, until_half
from corehead_lib.study.controls import controls, norm_matched_heads
from corehead_lib.study.replay import PerBlock

RNG = np.random.default_rng(0)
SETS = {
    "top": [Head(2, 1), Head(2, 5)],
    **{f"any/{n}": random_heads(3, 3, 6, RNG) for n in range(5)},
    "middle": [Head(1, 0), Head(2, 0)],
    "nothing": [],
}


@pytest.mark.parametrize("tokens", [1, 300, 10**6])
def test_many_sets_at_once_equal_one_by_one(family: LoadedModel, tokens: int) -> None:
    batches = [encode(family, KINDS), encode(family, SAMPLES)]
    table = outcomes(family, batches, SETS, tokens=tokens)
    assert list(dict.fromkeys(table["set"])) == ["none", *SETS]
    for name, heads in {"none": [], **SETS}.items():
        with ZeroAblation(heads)(family.model):
            alone = evaluate(family, batches, progress=False)
        rows = table[table["set"] == name]
        assert rows.id.tolist() == [s.id for s in (*KINDS, *SAMPLES)]
        np.testing.assert_allclose(rows.logprob, alone.logprob, atol=1e-4, rtol=1e-5)
        assert rows.correct.tolist() == alone.correct.tolist()
        assert set(rows.heads) == {len(heads)}


def test_the_sets_differ(tiny: LoadedModel, batch: Batch) -> None:
    table = outcomes(tiny, [batch], SETS)
    sums = table.groupby("set", sort=False).logprob.sum().round(3)
    assert sums["none"] == sums["nothing"]
    assert sums.nunique() == len(SETS)


def test_the_same_heads_are_run_once(tiny: LoadedModel, batch: Batch) -> None:
    made = []

    def zero(heads: list[Head]) -> Operator:
        made.append(heads)
        return ZeroAblation(heads)

    sets = {
        "a": [Head(1, 0), Head(2, 3)],
        "b": [Head(2, 3), Head(1, 0), Head(1, 0)],
        "c": [Head(1, 0)],
        "d": [],
    }
    table = outcomes(tiny, [batch], sets, zero)
    assert len(made) == 2
    parts = {
        name: part.drop(columns=["set", "kind", "heads"]).to_numpy().tolist()
        for name, part in table.groupby("set")
    }
    assert parts["a"] == parts["b"] != parts["c"]
    assert parts["d"] == parts["none"]
    assert table.groupby("set").heads.first().to_dict() == {"none": 0, "a": 2, "b": 2, "c": 1, "d": 0}


class Nothing(Operator):
    """Names no heads, so it may act in any layer."""


class Uneven(Operator):
    """Changes what it asks for: attention without the first key."""

    def __init__(self, heads: list[Head]) -> None:
        self.heads = heads

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        return inner(call) if call.layer != 1 else inner(call) * len(self.heads)


def test_any_operator_can_be_asked_for(tiny: LoadedModel, batch: Batch) -> None:
    table = outcomes(tiny, [batch], {"one": [Head(1, 0)], "two": [Head(1, 0), Head(2, 0)]}, Uneven)
    per_set = {name: part.logprob.to_numpy() for name, part in table.groupby("set")}
    np.testing.assert_allclose(per_set["one"], per_set["none"], atol=1e-5)
    with Uneven([Head(1, 0), Head(2, 0)])(tiny.model):
        alone = evaluate(tiny, [batch], progress=False).logprob
    np.testing.assert_allclose(per_set["two"], alone, atol=1e-4)
    same = outcomes(tiny, [batch], {"x": [Head(2, 0)]}, lambda heads: Nothing())
    assert same[same["set"] == "x"].logprob.tolist() == same[same["set"] == "none"].logprob.tolist()


def test_the_model_is_as_before(family: LoadedModel) -> None:
    batch = encode(family, SAMPLES)
    before, keys = forward(family, batch), set(family.model.__dict__)
    outcomes(family, [batch], SETS)
    assert torch.equal(forward(family, batch), before)

    class Breaks(ZeroAblation):
        def attend(self, call: Call, inner: Attend) -> torch.Tensor:
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        outcomes(family, [batch], SETS, Breaks)
    assert torch.equal(forward(family, batch), before)
    assert set(family.model.__dict__) == keys
    other: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: other.append(forward(family, batch)))
    thread.start()
    thread.join()
    assert torch.equal(other[0], before)


def test_blocks_must_fit(tiny: LoadedModel, batch: Batch) -> None:
    with (
        pytest.raises(CoreheadError, match="3 rows are not 2 blocks of 2"),
        PerBlock([Nothing(), Nothing()], 2)(tiny.model),
    ):
        forward(tiny, batch)


def test_what_is_refused(tiny: LoadedModel, batch: Batch) -> None:
    with pytest.raises(CoreheadError, match="untouched model"):
        outcomes(tiny, [batch], {"none": [Head(0, 0)]})
    with pytest.raises(CoreheadError, match="Layer 9, head 0 does not exist"):
        outcomes(tiny, [batch], {"x": [Head(9, 0)]})
    with pytest.raises(CoreheadError, match="no batches"):
        outcomes(tiny, [], SETS)


def test_a_row_a_set_and_task(tiny: LoadedModel, batch: Batch) -> None:
    long = outcomes(tiny, [batch, batch], SETS)
    table = by_task(long)
    assert list(table.columns) == ["set", "kind", "heads", "task", "accuracy", "logprob", "samples"]
    assert len(table) == 3 * (1 + len(SETS))
    row = table[(table["set"] == "any/2") & (table.task == "colour")].iloc[0]
    part = long[(long["set"] == "any/2") & (long.task == "colour")]
    assert (row.kind, row.heads, row.samples) == ("any", 3, 2)
    assert row.logprob == pytest.approx(part.logprob.mean())
    assert row.accuracy == part.correct.mean()


def test_controls_of_every_kind() -> None:
    score = np.arange(48.0).reshape(6, 8)
    ranked = HeadScores(score)
    core = [Head(5, 7), Head(5, 6), Head(3, 0)]
    sets = controls(core, ranked, draws=30, norms=score)
    kinds = [name.split("/")[0] for name in sets]
    assert [kinds.count(k) for k in ("layer", "model", "norm", "bottom")] == [20 + 10, 30, 30, 1]
    assert sets["bottom"] == [Head(0, 0), Head(0, 1), Head(0, 2)]
    for name, heads in sets.items():
        assert len(set(heads)) == 3
        assert name == "bottom" or not set(heads) & set(core)
        if name.startswith("layer"):
            assert sorted(h.layer for h in heads) == [3, 5, 5]
        if name.startswith("norm"):  # within the eight nearest, which for these are ten places at most
            assert max(score[h] for h in heads) >= 36
            assert all(18 <= score[h] <= 45 for h in heads)
    drawn = [frozenset(heads) for heads in sets.values()]
    assert len(set(drawn[:30])) == len(set(drawn[30:60])) == len(set(drawn[60:90])) == 30
    assert controls(core, ranked, 30, norms=score) == sets
    assert controls(core, ranked, 30, seed=1) != controls(core, ranked, 30)


def test_few_possible_sets_are_not_drawn_twice() -> None:
    sets = controls([Head(0, 0), Head(0, 1)], HeadScores(np.zeros((2, 4))), draws=50, kinds=["layer"])
    assert list(sets.values()) == [[Head(0, 2), Head(0, 3)]]


def test_controls_that_cannot_be_drawn() -> None:
    ranked = HeadScores(np.zeros((2, 4)))
    with pytest.warns(UserWarning, match="No 'layer' controls: Layer 0: 3 of 4"):
        sets = controls([Head(0, 0), Head(0, 1), Head(0, 2)], ranked, 3, kinds=["layer", "model"])
    assert list(sets) == ["model/0", "model/1", "model/2"]
    with pytest.raises(CoreheadError, match="no controls"):
        controls([Head(0, 0)], ranked, kinds=["layers"])
    with pytest.raises(CoreheadError, match="need norms"):
        controls([Head(0, 0)], ranked, kinds=["norm"])
    with pytest.raises(CoreheadError, match="holds no heads"):
        controls([], ranked)
    with pytest.raises(CoreheadError, match="too few"):
        norm_matched_heads([Head(0, 0), Head(0, 1), Head(0, 2)], np.zeros((1, 4)), np.random.default_rng(0))


def test_first_heads_of_every_ranking_in_every_size() -> None:
    order = [Head(0, 1), Head(1, 0), Head(0, 0)]
    made = first_heads({"lot": order, "ram": HeadScores(np.array([[1.0, 3.0], [2.0, 0.0]]))}, (1, 2))
    assert made == {"lot/1": order[:1], "lot/2": order[:2], "ram/1": order[:1], "ram/2": order[:2]}
    assert [head.name for head in made["ram/2"]] == ["L0H1", "L1H0"]


def test_summary_of_a_table_made_by_hand() -> None:
    accuracy = {"none": 1.0, "top": 0.2, "layer/0": 0.9, "layer/1": 0.1, "layer/2": 0.8, "bottom": 0.5}
    rows = [
        {"set": name, "kind": name.split("/")[0], "accuracy": value + shift, "samples": samples}
        for name, value in accuracy.items()
        for shift, samples in ((-0.03, 30), (0.09, 10))  # cancel, weighted by samples
    ]
    summary = summarise(pd.DataFrame(rows)).set_index("kind")
    assert list(summary.index) == ["none", "top", "layer", "bottom"]
    assert summary.loc["layer"].to_dict() == pytest.approx(
        {"sets": 3, "median": 0.8, "low": 0.1, "high": 0.9, "drop": 0.2, "p": 0.5}
    )
    assert np.isnan(summary.p["bottom"])
    with pytest.raises(CoreheadError, match="no set 'tops'"):
        summarise(pd.DataFrame(rows), of="tops")


def test_a_kind_is_the_mean_over_its_sets() -> None:
    right = {"none": [1, 1, 1, 0], "layer/0": [1, 0, 1, 0], "layer/1": [0, 0, 1, 0]}
    rows = [
        {"set": name, "kind": name.split("/")[0], "id": str(i), "group": str(i), "correct": bool(value)}
        for name, values in right.items()
        for i, value in enumerate(values)
    ]
    found = difference(pd.DataFrame(rows), "none", "layer")
    assert found.mean == pytest.approx((0.5 + 1 + 0 + 0) / 4)
    assert (
        -1 <= found.interval[0] < found.mean < found.interval[1] <= 1
    )  # four groups: bounds, not a bootstrap
    assert difference(pd.DataFrame(rows), "none", "layer/0").mean == pytest.approx(0.25)
    with pytest.raises(CoreheadError, match="no set 'layers'"):
        difference(pd.DataFrame(rows), "none", "layers")
    for other in (rows[:-1], [*rows[:-1], {**rows[-1], "id": "another"}]):
        with pytest.raises(CoreheadError, match="not pairs"):
            difference(pd.DataFrame(other), "none", "layer/1")


def test_until_half_is_lost(monkeypatch: pytest.MonkeyPatch, tiny: LoadedModel, batch: Batch) -> None:
    asked: list[int] = []

    def pretended(loaded: object, batches: object, sets: dict[str, list[Head]], *_: object) -> pd.DataFrame:
        asked.extend(map(int, sets))
        rows = [("none", True)] * 10
        rows += [(name, place < (9 if int(name) < 11 else 5)) for name in sets for place in range(10)]
        return pd.DataFrame(rows, columns=["set", "correct"])

    ranking = [Head(layer, head) for layer in range(5) for head in range(10)]
    monkeypatch.setattr("corehead_lib.study.sets.outcomes", pretended)
    assert until_half(tiny, [batch], ranking, chance=0.1) == 11
    assert asked == list(range(1, 25))
    assert until_half(tiny, [batch], ranking, chance=0.1, most=10) is None
    with pytest.raises(CoreheadError, match="nothing to lose"):
        until_half(tiny, [batch], ranking, chance=1.0)
