"""Words, questions and task types that scenes, documents, clips and haystacks share.

The vocabulary is small on purpose: the same digits, colours and shapes everywhere, and 32 words of three
letters, so that what a tiny model learns in one modality serves it in the next.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Sample
from corehead_lib.worlds.sprites import BACKGROUNDS, COLOURS, DIGITS, SHAPES

SPLITS = ("train", "detection", "evaluation", "tuning")

TOPICS = {
    "animals": ("ant", "bat", "cat", "cow", "dog", "fox", "hen", "pig"),
    "food": ("bun", "egg", "fig", "ham", "jam", "nut", "pie", "tea"),
    "tools": ("axe", "hoe", "key", "net", "pen", "pin", "rod", "saw"),
    "body": ("arm", "ear", "eye", "hip", "jaw", "leg", "lip", "toe"),
}

Question = tuple[str, str, tuple[str, ...]]  # the question, its answer, and the answers it could have


def digit_on(name: str) -> str:
    return f"Which digit is on the {name}?"


def small_sum(rng: np.random.Generator) -> Question:
    a, b = (int(n) for n in rng.integers(0, 5, 2))
    return f"What is {a} plus {b}?", str(a + b), DIGITS[:9]


def background_question(background: str) -> Question:
    return "Which colour is the background?", background, tuple(BACKGROUNDS)


def topic_question(topic: str) -> Question:
    return "What are the words about?", topic, tuple(TOPICS)


def listing(things: Sequence[Any], rng: np.random.Generator, most: int | None = None) -> str:
    """Name everything with its digit, in random order, or ``most`` of it."""
    listed = [things[i] for i in rng.permutation(len(things))[:most]]
    return ", ".join(f"{thing.name}{thing.digit}" for thing in listed)


def draw_pairs(rng: np.random.Generator, number: int) -> list[tuple[str, str]]:
    """Draw ``number`` different pairs (colour, shape), of so few of either that most pairs share one.

    Raises CoreheadError if there are not that many.
    """
    if number > len(COLOURS) * len(SHAPES):
        raise CoreheadError(f"There are {len(COLOURS) * len(SHAPES)} coloured shapes, not {number}.")
    colours = rng.permutation(list(COLOURS))[: (number + 3) // 2]
    shapes = rng.permutation(SHAPES)[: (number + 3) // 2]
    pairs = [(str(colour), str(shape)) for colour in colours for shape in shapes]
    return [pairs[i] for i in rng.permutation(len(pairs))[:number]]


def draw_split(
    dataset: str,
    split: str,
    samples: int,
    seed: int,
    tasks: Sequence[str],
    make: Callable[[np.random.Generator, str], Sample],
) -> list[Sample]:
    """Call ``make(rng, task)`` for each sample, the tasks taking turns.

    Each split and each seed draws from its own random stream, and sample i does not depend on how many are
    drawn. Raises CoreheadError for an unknown split, or fewer than one sample or task.
    """
    if split not in SPLITS:
        raise CoreheadError(f"Unknown split {split!r}; choose one of {SPLITS}.")
    if samples < 1 or seed < 0 or not tasks:
        raise CoreheadError(
            f"samples={samples}, seed={seed}, tasks={tasks}: one sample, seed 0 and one task at least."
        )
    made = []
    for i in range(samples):
        sample = make(np.random.default_rng([SPLITS.index(split), seed, i]), tasks[i % len(tasks)])
        made.append(replace(sample, id=f"{dataset}/{split}/{seed}/{i}"))
    return made


def check_range(name: str, given: tuple[int, int], least: int, most: int) -> None:
    """Raise CoreheadError unless ``least <= given[0] <= given[1] <= most``."""
    if not least <= given[0] <= given[1] <= most:
        raise CoreheadError(f"{name}={given}: give (least, most) between {least} and {most}.")


def check_tasks(tasks: Sequence[str], known: Sequence[str], dataset: str, noun: str = "task") -> None:
    """Raise CoreheadError if a task (or another ``noun``) is not one of ``known``."""
    for task in tasks:
        if task not in known:
            raise CoreheadError(f"Unknown {noun} {task!r}; {dataset} have {tuple(known)}.")


def corpus() -> list[str]:
    """Lines with every shared word, for training a tokenizer."""
    names = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    lines = [digit_on(name) for name in (*names, *SHAPES, *(f"{colour} shape" for colour in COLOURS))]
    lines += [", ".join(f"{name} {digit}" for digit in DIGITS) for name in names]
    lines += [f"What is {a} plus {b}?" for a in range(5) for b in range(5)]
    return lines + [topic_question("")[0], " ".join(TOPICS), *TOPICS] * 10
