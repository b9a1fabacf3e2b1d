"""Conversations to train on, about documents, clips and haystacks: one set of media, several questions.

Mirrors ``lessons.conversation``, which does the same for scenes: either one listing of every key and its digit
in random order, or several questions about needles with a few controls among them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from corehead_lib.data import clips, documents, films, haystacks, needles, phrases
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.samples import Media, Sample


@dataclass(frozen=True)
class Turns:
    """Media and context (as in ``Sample``), then turns ``(task, question, answer)``."""

    media: tuple[Media, ...] = field(repr=False)
    context: str = field(repr=False)
    turns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Modality:
    """How one kind of generated data is made, asked about and listed."""

    make: Callable[..., Any]
    ask: Callable[..., Sample]
    listing: Callable[..., str]
    request: str  # for a listing
    needles: tuple[str, ...]
    controls: tuple[str, ...]


MODALITIES = {
    "documents": Modality(
        documents.make_document,
        documents.ask,
        documents.listing,
        documents.LISTING,
        documents.NEEDLES,
        documents.CONTROLS,
    ),
    "clips": Modality(
        films.make_clip, clips.ask, clips.listing, clips.LISTING, clips.NEEDLES, clips.CONTROLS
    ),
    "haystacks": Modality(
        needles.make_haystack,
        haystacks.ask,
        haystacks.listing,
        haystacks.LISTING,
        ("fact",),
        haystacks.CONTROLS,
    ),
    "interleaved": Modality(
        partial(needles.make_haystack, facts=(0, 3), images=(0, 4), prints=(0, 2)),
        haystacks.ask,
        haystacks.listing,
        haystacks.LISTING,
        haystacks.NEEDLES,
        haystacks.CONTROLS,
    ),
}


def draw_turns(
    rng: np.random.Generator,
    modality: str,
    *,
    questions: int = 8,
    tasks: Sequence[str] = (),
    listing: float = 0.3,
    most: int | None = None,
    controls: float = 0.2,
    **difficulty: Any,
) -> Turns:
    """Make one conversation about one document, clip or haystack.

    questions: how many to draw; the same one is kept once.
    tasks: what may be asked, the modality's needles if empty. One of them, drawn, is sure to be askable; so give
        "order" only where the difficulty allows it, or beside needles.
    listing: how often the conversation is a listing; most: its longest length, in entries.
    controls: share of questions that need no retrieval, if ``tasks`` has some.
    difficulty: arguments of ``make_document``, ``make_clip`` or ``make_haystack``; lists stand for tuples.

    Raises CoreheadError for unknown names, and as those functions do.
    """
    if modality not in MODALITIES:
        raise CoreheadError(f"There is no modality {modality!r}.{did_you_mean(modality, MODALITIES)}")
    kind = MODALITIES[modality]
    tasks = tuple(tasks) or kind.needles
    phrases.check_tasks(tasks, kind.needles + kind.controls, modality)
    sure = [task for task in tasks if task in kind.needles] or list(tasks)
    made = kind.make(rng, tasks=(str(rng.choice(sure)),), **difficulty)
    if rng.random() < listing:
        return Turns(made.media, made.context, (("listing", kind.request, kind.listing(made, rng, most)),))
    finds = [task for task in tasks if task in kind.needles and task in made.tasks]
    others = [task for task in tasks if task in kind.controls and task in made.tasks]
    turns: dict[str, tuple[str, str, str]] = {}
    for _ in range(questions):
        other = others and (not finds or rng.random() < controls)
        sample = kind.ask(made, str(rng.choice(others if other else finds)), rng)
        turns[sample.question] = (sample.task, sample.question, sample.answer)
    return Turns(made.media, made.context, tuple(turns.values()))


def corpus() -> list[str]:
    """Every text of documents, clips and haystacks, for training the tokenizer (scenes have their own)."""
    return phrases.corpus() + documents.corpus() + clips.corpus() + haystacks.corpus()
