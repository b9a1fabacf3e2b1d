"""Generated haystacks: needles in text, and, as in MM-NIAH (arXiv 2406.07230), in pictures between its sentences.

"The red star holds 7." stands somewhere in the text; the question is that of every other modality. Heads that
fetch the digit may look at the key, at the value, or at the full stop after it, so the evidence can be any of
these parts, see ``Needle``.
"""

import numpy as np

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Evidence, Sample
from corehead_lib.worlds.layout import SMALL_WORDS
from corehead_lib.worlds.needles import Haystack, Needle, make_haystack
from corehead_lib.worlds.phrases import (
    TOPICS,
    check_tasks,
    digit_on,
    draw_split,
    small_sum,
    topic_question,
)
from corehead_lib.worlds.sprites import COLOURS, DIGITS, SHAPES

NEEDLES = ("fact", "image", "print")
CONTROLS = ("topic", "sum")
LISTING = "List the shapes."


def ask(
    haystack: Haystack,
    task: str,
    rng: np.random.Generator,
    needle: Needle | None = None,
    part: str = "fact",
) -> Sample:
    """Ask one question of ``task`` (about ``needle``, or a random one of that kind).

    part: the part of the needle that is its evidence: "fact", "key", "value" or "separator".
    Raises CoreheadError if the haystack cannot answer such a question, or if the needle has no such part.
    """
    check_tasks([task], NEEDLES + CONTROLS, "haystacks")
    if task not in haystack.tasks:
        number = len(haystack.needles)
        raise CoreheadError(f"This haystack of {number} needles has nothing to ask {task!r} about.")
    if task in NEEDLES:
        fitting = [n for n in haystack.needles if n.kind == task]
        needle = needle or fitting[rng.integers(len(fitting))]
        if needle not in fitting:
            raise CoreheadError(f"{needle.name!r} is no {task!r} needle of this haystack.")
        question, answer, options = digit_on(needle.name), needle.digit, DIGITS
        evidence: tuple[Evidence, ...] = (needle.part(part),)
    else:
        question, answer, options = topic_question(haystack.topic) if task == "topic" else small_sum(rng)
        evidence = ()
    seen = tuple(each.digit for each in haystack.needles) if evidence else ()
    media, context = haystack.media, haystack.context
    return Sample("", task, question, answer, media, evidence, options, context, visible=seen)


def haystacks(
    split: str,
    samples: int,
    seed: int,
    tasks: tuple[str, ...] = ("fact",),
    *,
    facts: tuple[int, int] = (3, 8),
    filler: tuple[int, int] = (1, 6),
    part: str = "fact",
) -> list[Sample]:
    """Make ``samples`` one-question samples of held-out texts without pictures, the tasks taking turns.

    Arguments as in ``make_haystack`` and ``ask``; splits as in ``draw_split``.
    """
    check_tasks(tasks, ("fact", *CONTROLS), "haystacks")

    def make(rng: np.random.Generator, task: str) -> Sample:
        return ask(make_haystack(rng, facts=facts, filler=filler, tasks=(task,)), task, rng, part=part)

    return draw_split("haystacks", split, samples, seed, tasks, make)


def interleaved(
    split: str,
    samples: int,
    seed: int,
    tasks: tuple[str, ...] = NEEDLES,
    *,
    facts: tuple[int, int] = (1, 3),
    images: tuple[int, int] = (1, 4),
    prints: tuple[int, int] = (1, 2),
    filler: tuple[int, int] = (1, 6),
    part: str = "fact",
    anywhere: bool = True,
) -> list[Sample]:
    """Make ``samples`` one-question samples of held-out texts with pictures and printed pages in them.

    Arguments as in ``make_haystack`` and ``ask``; splits as in ``draw_split``.
    """
    check_tasks(tasks, NEEDLES + CONTROLS, "interleaved haystacks")

    def make(rng: np.random.Generator, task: str) -> Sample:
        most = {"facts": facts, "images": images, "prints": prints, "filler": filler}
        made = make_haystack(rng, **most, tasks=(task,), anywhere=anywhere)
        return ask(made, task, rng, part=part)

    return draw_split("interleaved", split, samples, seed, tasks, make)


def corpus() -> list[str]:
    """Lines with the texts of haystacks beyond ``phrases.corpus``, for training a tokenizer."""
    words = [word for topic in TOPICS.values() for word in topic]
    lines = [f"The {colour} {shape} holds 7." for colour in COLOURS for shape in SHAPES]
    for one, other in zip(words, words[1:] + words[:1], strict=True):
        lines += [
            f"See the {one} and the {other}. The {other} and the {one}. All of the {one} with some {other}."
        ]
    return lines + [" ".join(SMALL_WORDS), LISTING] * 10
