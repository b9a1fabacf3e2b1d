"""Chores: their answers by a rule of our own, and a story whose grammar holds."""

import re

import numpy as np
import pytest

from corehead_lib.data import load_samples
from corehead_lib.errors import CoreheadError
from corehead_lib.worlds.chores import CONTROLS, STREAM, TASKS, ask, make_chores


def solve(task: str, question: str) -> str:
    numbers = re.findall(r"\d+", question)
    if task == "copy":
        return question.removeprefix("Repeat:\n")
    if task == "sort":
        return " ".join(sorted(numbers))
    return max(numbers)


@pytest.mark.parametrize("task", CONTROLS)
def test_answers_are_right(task: str) -> None:
    samples = load_samples("chores", "evaluation", 50, 3, (task,))
    assert all(solve(task, sample.question) == sample.answer for sample in samples)
    assert all(not sample.media and not sample.evidence for sample in samples)
    assert len({sample.question for sample in samples}) > 45


def test_in_a_story_verbs_agree_and_things_keep_their_colour() -> None:
    for seed in range(40):
        told = ask(make_chores(np.random.default_rng(0)), STREAM, np.random.default_rng(seed)).answer
        for first, second in re.findall(r"(The [^.]*)\. ([^.]*)\.", told):
            many = " and " in first
            assert (" see the " in first) == many
            assert second.startswith("They are" if many else "It is")
            if not many:
                colour = first.split()[1]
                assert second.startswith(f"It is {colour},")


def test_unknown_chores_are_refused() -> None:
    with pytest.raises(CoreheadError, match="Unknown task 'cook'"):
        load_samples("chores", "tuning", 1, 0, ("cook",))
    assert set(CONTROLS) < set(TASKS)
