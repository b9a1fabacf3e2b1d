"""Heads and plans judged by a dataset's own score: worlds stay on exact answers, lines of chance follow the score."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mini import mini_samples

from corehead_lib.chance import Chance, chance
from corehead_lib.data import load_samples
from corehead_lib.datasets import judge as module
from corehead_lib.datasets.judge import judge
from corehead_lib.datasets.judged import OwnScore, judged_outcomes, own_chance
from corehead_lib.datasets.scores import OF
from corehead_lib.encode import encode_all
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.hybrid.trial import losses, trial
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.samples import Box
from corehead_lib.study import outcomes


def test_sets_of_heads_on_a_dataset_are_judged_by_its_own_score(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_model("tiny-qwen3-vl")
    samples = load_samples("scenes", "evaluation", 6, 0)
    sets = {"some": [Head(0, head) for head in range(16)], "also": [Head(0, 4)]}
    exact = judged_outcomes(loaded, samples, sets, 4)
    plain = outcomes(loaded, encode_all(loaded, samples, 4), sets)  # other batches, other padding
    assert exact[["set", "id", "correct", "first"]].equals(plain[["set", "id", "correct", "first"]])
    np.testing.assert_allclose(exact.logprob, plain.logprob, atol=1e-4)
    monkeypatch.setitem(OF, "scenes", "contained")  # as if it had one: by generation, inside the ablation
    own = judged_outcomes(loaded, samples, sets, 4, max_new_tokens=8)
    judged = ["correct", "said"]
    assert own.drop(columns=judged).equals(exact.drop(columns=judged))
    assert set(own.said) <= {"parsed", "none"}
    whole = own["set"] == "none"
    assert own.correct[whole].tolist() == exact.correct[whole].astype(float).tolist()
    assert (
        own.correct >= exact.correct
    ).all()  # what is written exactly is contained; a broken model adds to it
    assert own.groupby("set").correct.mean()["some"] < 1


def test_what_is_said_instead_is_what_would_be_generated() -> None:
    loaded = load_model("tiny-qwen3-vl")
    samples = load_samples("scenes", "evaluation", 8, 0, ("shape", "background"))
    layers = {"half": [0], "middle": [1, 2, 3, 4, 5], "first": [0, 1, 2]}
    heads = {
        name: [Head(n, h) for n in some for h in range(8 * (name == "half"), 16)]
        for name, some in layers.items()
    }
    table = judged_outcomes(loaded, samples, heads, 4)
    for name in heads:
        with ZeroAblation(heads[name])(loaded.model):
            texts = judge(loaded, samples, "contained", max_new_tokens=3, batch_size=4).text
        for sample, text, found in zip(samples, texts, table.said[table["set"] == name], strict=True):
            word = next((w for w in {*sample.options, *sample.visible} if text.startswith(w)), None)
            wanted = "none" if word is None else "shown" if word in sample.visible else "other"
            wanted = (
                wanted if not text.startswith(sample.answer) else "right" if text == sample.answer else "none"
            )
            assert found == wanted, (sample, text)
    assert set(table.said[table["set"] == "none"]) == {"right"}
    assert table.said.nunique() > 2


def test_plans_are_judged_by_what_is_written_inside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, rule = load_model("tiny-qwen3-vl"), OwnScore(max_new_tokens=8)
    batches = encode_all(loaded, load_samples("scenes", "evaluation", 8, 0), 4)
    ways = {"dense": None, "none": HybridAttention([], 8, 0)}
    exact = trial(loaded, {"scenes": batches}, ways, rule)
    for way, operator in ways.items():
        with operator(loaded.model) if operator else nullcontext():
            right = evaluate(loaded, batches).correct
        assert exact.correct[exact.way == way].tolist() == right.tolist()
    assert exact.groupby("way").correct.mean()["none"] < 1
    monkeypatch.setitem(OF, "scenes", "contained")  # one digit is asked for, so both rules agree on it
    own = trial(loaded, {"scenes": batches}, ways, rule)
    assert own.equals(exact)


@pytest.mark.parametrize(
    "dataset", ["refcocog", "vidstg", "mlvu", "mmdocir", "mmlongbench-doc", "mmlongbench"]
)
def test_a_miniature_is_judged_as_its_dataset_does(
    dataset: str, tmp_path: Path, family: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [s for s in mini_samples(dataset, tmp_path) if s.task != "summ"]
    batches = encode_all(family, samples, 3)
    untold = iter([True])  # what is written first is right, then nonsense

    def written(_, asked, *__):
        return [(sample.answer, True) if next(untold, False) else ("!", True) for sample in asked]

    monkeypatch.setattr(module, "_answers", written)
    table = trial(family, {dataset: batches}, {"dense": None}, OwnScore())
    assert len(table) == len(samples)
    assert table.correct[0] == pytest.approx(1, abs=0.02)
    assert not table.correct[1:].any()
    monkeypatch.undo()
    judged = judge(family, samples, max_new_tokens=4, batch_size=3)
    table = trial(family, {dataset: batches}, {"dense": None}, OwnScore(max_new_tokens=4))
    assert table.correct.tolist() == judged.score.tolist()


def test_a_sample_that_cannot_be_asked_is_left_out_of_every_way(
    tmp_path: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = mini_samples("vidstg", tmp_path, frames=4)
    batches = encode_all(tiny, samples, 1)
    monkeypatch.delitem(OF, "vidstg")
    monkeypatch.setitem(OF, "vidstg", {"declarative": "time"})  # the other task has no rule now
    table = trial(tiny, {"v": batches}, {"dense": None, "plan": None}, OwnScore(max_new_tokens=2))
    asked = sum(s.task == "declarative" for s in samples)
    assert 0 < asked < len(samples)
    assert table.groupby("way").size().to_dict() == {"dense": asked, "plan": asked}


def test_what_is_lost_of_scores_is_what_they_fall_by() -> None:
    half = {"dataset": "d", "task": "t"}
    scores = {"dense": [0.75, 0.5, 0.0, 1.0], "plan": [0.5, 1.0, 0.5, 1.0]}
    table = pd.DataFrame(
        [
            {**half, "group": str(i), "correct": s, "way": way}
            for way, many in scores.items()
            for i, s in enumerate(many)
        ]
    )
    row = losses(table, "plan").iloc[0]
    assert (row.samples, row.dense, row.kept, row.lost) == (4, 0.5625, 0.75, 0.25)
    assert 0.25 / 4 < row.at_most <= 1


def test_the_constant_answer_is_scored_as_the_dataset_scores_it(tmp_path: Path, tiny: LoadedModel) -> None:
    worlds = load_samples("scenes", "evaluation", 12, 0)
    assert own_chance(tiny, worlds) == chance(worlds)
    boxes = mini_samples("refcocog", tmp_path / "boxes")
    shares = []  # of each picture, in thousandths, as this family is asked
    for sample in boxes:
        box = next(piece for piece in sample.evidence if isinstance(piece, Box))
        size = sample.media[0].size  # type: ignore[union-attr]
        corners = np.array([box.x0, box.y0, box.x1, box.y1], dtype=float)
        shares.append(np.round(corners / np.array([*size, *size]) * 1000))
    found = [[_iou(a, b) >= 0.5 for b in shares] for a in shares]
    assert own_chance(tiny, boxes) == Chance(np.mean(found, axis=1).max(), 0.0)
    times = [s for s in mini_samples("vidstg", tmp_path / "times") if s.task == "declarative"]
    ranges = [tuple(map(float, s.answer.split(" to "))) for s in times]
    best = max(np.mean([_shared(a, b) for b in ranges]) for a in ranges)
    assert own_chance(tiny, times).constant == pytest.approx(best)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    """By counting cells of a grid of thousandths."""
    grids = []
    for x0, y0, x1, y1 in (a.astype(int), b.astype(int)):
        grid = np.zeros((1000, 1000), dtype=bool)
        grid[y0:y1, x0:x1] = True
        grids.append(grid)
    return float((grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum())


def _shared(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """By counting tenths of a second."""
    first, second = ({*range(round(10 * start), round(10 * stop))} for start, stop in (a, b))
    return len(first & second) / len(first | second)
