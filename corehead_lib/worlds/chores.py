"""Chores: short tasks in text that fetch no evidence, so that a model's heads have other work to do.

Copying, sorting, comparing, and stories of a small grammar, which are plain language modelling. (Adding two-digit
numbers and following a chain of two links were tried, and not learned in 1,800 steps.) As controls they tell a model that lost its eyes from one that is broken.
"""

from dataclasses import dataclass

import numpy as np

from corehead_lib.samples import Sample
from corehead_lib.worlds.phrases import TOPICS, check_tasks, draw_split
from corehead_lib.worlds.sprites import COLOURS, DIGITS, SHAPES

CONTROLS = ("copy", "sort", "most")
STREAM = "story"  # has no one right answer: learned, never judged
TASKS = (*CONTROLS, STREAM)
WORDS = tuple(word for topic in TOPICS.values() for word in topic)


@dataclass(frozen=True)
class Chores:
    """Nothing is shown; all of it stands in the question."""

    context = ""
    media = ()
    tasks = TASKS


def make_chores(rng: np.random.Generator, tasks: tuple[str, ...] = ()) -> Chores:
    """Draw nothing: chores share no picture."""
    check_tasks(tasks, TASKS, "chores")
    return Chores()


def ask(made: Chores, task: str, rng: np.random.Generator) -> Sample:
    """Ask one question of ``task``."""
    check_tasks([task], TASKS, "chores")
    question, answer = _ASK[task](rng)
    return Sample("", task, question, answer, (), (), ())


def chores(split: str, samples: int, seed: int, tasks: tuple[str, ...] = CONTROLS) -> list[Sample]:
    """Make ``samples`` held-out chores, the tasks taking turns; splits as in ``draw_split``."""
    check_tasks(tasks, TASKS, "chores")
    return draw_split("chores", split, samples, seed, tasks, lambda rng, task: ask(Chores(), task, rng))


def _copy(rng: np.random.Generator) -> tuple[str, str]:
    """The words stand on a line of their own, so that their tokens are those of the answer."""
    words = " ".join(rng.choice((*WORDS, *COLOURS, *SHAPES), int(rng.integers(3, 8)), replace=False).tolist())
    return f"Repeat:\n{words}", words


def _sort(rng: np.random.Generator) -> tuple[str, str]:
    digits = [str(digit) for digit in rng.choice(DIGITS, int(rng.integers(3, 6)), replace=False)]
    return f"Sort {' '.join(digits)}.", " ".join(sorted(digits))


def _most(rng: np.random.Generator) -> tuple[str, str]:
    digits = rng.choice(DIGITS, int(rng.integers(2, 5)), replace=False).tolist()
    return f"Which is largest, {', '.join(digits[:-1])} or {digits[-1]}?", max(digits)


def _story(rng: np.random.Generator) -> tuple[str, str]:
    """Sentences in which verbs agree with their subject, and pronouns with what they stand for."""
    topic = str(rng.choice(list(TOPICS)))
    sentences = []
    for _ in range(int(rng.integers(2, 5))):
        one, two, three = (str(word) for word in rng.choice(TOPICS[topic], 3, replace=False))
        colour, other = (str(word) for word in rng.choice(list(COLOURS), 2, replace=False))
        if rng.random() < 0.5:
            sentences.append(
                f"The {colour} {one} sees the {three}. It is {colour}, and the {three} is {other}."
            )
        else:
            sentences.append(
                f"The {one} and the {two} see the {three}. They are {colour}, and the {three} is {other}."
            )
    return f"Tell a story about {topic}.", " ".join(sentences)


_ASK = {"copy": _copy, "sort": _sort, "most": _most, STREAM: _story}


def corpus() -> list[str]:
    """Lines with every text of chores, for training a tokenizer."""
    rng = np.random.default_rng(0)
    lines = [" ".join(_ASK[task](rng)) for task in TASKS for _ in range(60)]
    return lines + [*WORDS, *COLOURS, *SHAPES] * 10  # an answer begins without a space
