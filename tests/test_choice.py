"""Choosing a plan: the cheapest whose losses are shown to lie within the tolerance, in every task."""

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from tiny import forward

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import Evaluation
from corehead_lib.heads import HeadScores
from corehead_lib.hybrid import trial as asking
from corehead_lib.hybrid.choice import choose, questions_needed
from corehead_lib.hybrid.plan import HybridPlan, candidates
from corehead_lib.hybrid.trial import losses, trial
from corehead_lib.models import LoadedModel
from corehead_lib.stats import proportion_interval


@pytest.mark.parametrize("tolerance", [0.01, 0.03, 0.05, 0.2])
@pytest.mark.parametrize("lost", [0, 1, 5])
def test_so_many_questions_are_needed_and_one_fewer_is_too_few(tolerance: float, lost: int) -> None:
    enough = questions_needed(tolerance, lost)
    for number, within in ((enough, True), (enough - 1, False)):
        correct = np.arange(number) < lost
        assert (proportion_interval(correct)[1] <= tolerance) == within


def test_twelve_of_twelve_prove_little() -> None:
    assert questions_needed(0.03) == 125
    assert proportion_interval(np.zeros(12, bool))[1] == pytest.approx(0.2425, abs=1e-3)
    with pytest.raises(CoreheadError, match="tolerance=0"):
        questions_needed(0)


class Sheet:
    """Stands in for a model: which of ``number`` questions of two tasks each plan gets wrong, by (dense heads, window)."""

    def __init__(self, wrong: Mapping[tuple[int, int], Mapping[str, int]], number: int, monkeypatch) -> None:
        self.wrong, self.number, self.runs = wrong, number, 0
        self.plan: HybridPlan | None = None
        monkeypatch.setattr(asking, "evaluate", self.evaluate)
        monkeypatch.setattr(HybridPlan, "check", lambda plan, _: plan)
        monkeypatch.setattr(HybridPlan, "operator", lambda plan: self.enter(plan))
        self.model = None

    def enter(self, plan: HybridPlan):
        def block(_):
            self.plan = plan
            return nullcontext()

        return block

    def evaluate(self, _, batches) -> Evaluation:
        plan, self.plan = self.plan, None
        found = []
        for task, size in (piece.what for piece in batches):
            missed = self.wrong.get((len(plan.dense), plan.window), {}).get(task, 0) if plan else 0
            found.append(np.arange(size) >= missed)
        self.runs += len(found)
        return Evaluation(np.concatenate(found), np.zeros(0), np.array([]))

    def batches(self) -> dict[str, list]:
        return {"film": [Piece("easy", self.number), Piece("hard", self.number)]}


class Piece:
    def __init__(self, task: str, size: int) -> None:
        self.what = (task, size)
        self.samples = [Question(f"{task}/{i}", task, str(i % 10)) for i in range(size)]


class Question:
    def __init__(self, id: str, task: str, answer: str) -> None:
        self.id, self.task, self.answer, self.group = id, task, answer, ""
        self.visible, self.options = (), tuple("0123456789")


def plans() -> list[HybridPlan]:
    from corehead_lib.models import Backbone

    scores = HeadScores(np.arange(8.0).reshape(2, 4))
    return candidates(scores, Backbone(2, 4, 2, 8), fractions=(0.125, 0.5), windows=(4, 16), sinks=(0,))


def test_the_cheapest_plan_that_loses_little_in_every_task_is_chosen(monkeypatch) -> None:
    wrong = {(1, 4): {"easy": 30}, (1, 16): {"hard": 3}, (4, 4): {"hard": 1}}
    sheet = Sheet(wrong, 120, monkeypatch)
    found = choose(sheet, sheet.batches(), plans(), length=4096)  # type: ignore[arg-type]
    assert found.plan is not None
    assert (len(found.plan.dense), found.plan.window) == (4, 4)
    assert found.tried.passed.tolist() == [False, False, True]
    assert found.tried.task.tolist() == ["film/easy", "film/hard", "film/hard"]
    assert found.tried.lost.tolist() == [30, 3, 1]
    assert found.tried.at_most.iloc[-1] == pytest.approx(proportion_interval(np.arange(120) < 1)[1])
    assert sheet.runs == 2 + 1 + 2 + 2  # dense; the first plan is dropped after one batch
    assert found.plan.provenance["tuning"]["tolerance"] == 0.05


def test_no_plan_may_pass(monkeypatch) -> None:
    wrong = {(dense, window): {"hard": 9} for dense in (1, 4) for window in (4, 16)}
    sheet = Sheet(wrong, 120, monkeypatch)
    found = choose(sheet, sheet.batches(), plans(), length=4096)  # type: ignore[arg-type]
    assert found.plan is None
    assert len(found.tried) == 4


def test_too_few_questions_are_refused(monkeypatch) -> None:
    sheet = Sheet({}, 72, monkeypatch)
    with pytest.raises(CoreheadError, match=r"film/easy: 72 questions cannot show .* take 73 or more"):
        choose(sheet, sheet.batches(), plans(), length=4096)  # type: ignore[arg-type]


def test_a_model_that_can_do_nothing_has_nothing_to_keep(tiny: LoadedModel, batch: Batch) -> None:
    with pytest.raises(CoreheadError, match="none of the tasks"):
        choose(tiny, {"scenes": [batch]}, [], length=4096)


def test_a_trial_runs_the_operators_and_leaves_the_model_alone(tiny: LoadedModel, batch: Batch) -> None:
    before = forward(tiny, batch)
    scores = HeadScores(np.arange(18.0).reshape(3, 6))
    (whole,) = candidates(scores, tiny.backbone, (1.0,), (1,), (0,))
    table = trial(tiny, {"scenes": [batch]}, {"dense": None, "whole": whole.operator()})
    assert list(table.columns) == ["dataset", "task", "group", "correct", "way"]
    assert len(table) == 2 * len(batch.samples)
    lost = losses(table, "whole")
    assert lost.lost.sum() == 0
    assert lost.samples.sum() == len(batch.samples)
    assert torch.equal(forward(tiny, batch), before)
