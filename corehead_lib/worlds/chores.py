"""Chores: short tasks in text that fetch no evidence, so that a model's heads have other work to do.

Copying, sorting, comparing, adding, following a chain of two links, and stories of a small grammar, which are
plain language modelling. As controls they tell a model that lost its eyes from one that is broken.
"""

from dataclasses import dataclass

import numpy as np

from corehead_lib.samples import Sample
from corehead_lib.worlds.phrases import TOPICS, check_tasks, draw_split
from corehead_lib.worlds.synthetic import COLOURS, DIGITS, SHAPES

CONTROLS = ("copy", "sort", "most", "add", "chain")
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
    pool = (*WORDS, *COLOURS, *SHAPES, *DIGITS)
    words = " ".join(str(word) for word in rng.choice(pool, int(rng.integers(3, 8))))
    return f"Repeat: {words}", words


def _sort(rng: np.random.Generator) -> tuple[str, str]:
    digits = [str(digit) for digit in rng.choice(DIGITS, int(rng.integers(3, 6)), replace=False)]
    return f"Sort {' '.join(digits)}.", " ".join(sorted(digits))


def _most(rng: np.random.Generator) -> tuple[str, str]:
    one, other = (int(number) for number in rng.choice(np.arange(10, 100), 2, replace=False))
    return f"Which is larger, {one} or {other}?", str(max(one, other))


def _add(rng: np.random.Generator) -> tuple[str, str]:
    one, other = int(rng.integers(10, 90)), int(rng.integers(1, 10))
    return f"What is {one} plus {other}?", str(one + other)


def _chain(rng: np.random.Generator) -> tuple[str, str]:
    """Two links, among others: "cat to dog, pig to 3, dog to 7, hen to pig. Where does cat end?"."""
    length = int(rng.integers(2, 5))
    names = [str(word) for word in rng.choice(WORDS, 2 * length, replace=False)]
    digits = rng.choice(DIGITS, length)
    links = [f"{a} to {b}" for a, b in zip(names[:length], names[length:], strict=True)]
    links += [f"{b} to {digit}" for b, digit in zip(names[length:], digits, strict=True)]
    listed = ", ".join(links[i] for i in rng.permutation(len(links)))
    return f"{listed}. Where does {names[0]} end?", str(digits[0])


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


_ASK = {"copy": _copy, "sort": _sort, "most": _most, "add": _add, "chain": _chain, STREAM: _story}


def corpus() -> list[str]:
    """Lines with every text of chores, for training a tokenizer."""
    rng = np.random.default_rng(0)
    lines = [" ".join(_ASK[task](rng)) for task in TASKS for _ in range(60)]
    return lines + [*WORDS, *COLOURS, *SHAPES] * 10  # an answer begins without a space
