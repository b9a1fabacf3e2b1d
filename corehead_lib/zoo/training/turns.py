"""Conversations to train on: one scene, document, clip or haystack, and several questions about it.

Besides questions there are listings: every thing's name and digit, in random order. In a question the
name that is looked for and the place of the answer are some tokens apart, so finding takes two steps of
attention, neither of which pays before the other is there; two models trained with
listings in reading order learned to name any digit of the picture and stayed there until stopped. In a shuffled
listing a digit follows its name at once, so that one step pays by itself, and questions build on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.samples import Media, Sample
from corehead_lib.worlds import chores, clips, documents, films, haystacks, needles, phrases, synthetic

Listing = tuple[str, str]  # the request and its answer


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
    listing: Callable[[Any, np.random.Generator, int | None], Listing]
    needles: tuple[str, ...]
    controls: tuple[str, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.needles + self.controls


def _make_scene(rng: np.random.Generator, tasks: tuple[str, ...], **difficulty: Any) -> synthetic.Scene:
    return synthetic.make_scene(rng, unique="pair" not in tasks, **difficulty)


def _list_scene(scene: synthetic.Scene, rng: np.random.Generator, most: int | None) -> Listing:
    """Name every thing by shape, by colour, or by both where these repeat."""
    names = {"shapes": "{0.shape}", "colours": "{0.colour}", "coloured shapes": "{0.colour} {0.shape}"}
    often = [0.6, 0.2, 0.2]  # shapes are hard
    naming = str(rng.choice(list(names), p=often)) if scene.unique else "coloured shapes"
    things = [scene.things[i] for i in rng.permutation(len(scene.things))[:most]]
    listed = ", ".join(f"{names[naming].format(thing)}{thing.digit}" for thing in things)
    return f"List the {naming}.", listed


def _list(request: str, things: str, made: Any, rng: np.random.Generator, most: int | None) -> Listing:
    return request, phrases.listing(getattr(made, things), rng, most)


def _list_nothing(made: Any, rng: np.random.Generator, most: int | None) -> Listing:
    raise CoreheadError("Chores show nothing to list; give listing=0.")


MODALITIES = {
    "scenes": Modality(
        _make_scene,
        synthetic.ask,
        _list_scene,
        synthetic.RETRIEVAL_TASKS,
        synthetic.CONTROL_TASKS,
    ),
    "documents": Modality(
        documents.make_document,
        documents.ask,
        partial(_list, documents.LISTING, "entries"),
        documents.NEEDLES,
        documents.CONTROLS,
    ),
    "clips": Modality(
        films.make_clip, clips.ask, partial(_list, clips.LISTING, "actors"), clips.NEEDLES, clips.CONTROLS
    ),
    "haystacks": Modality(
        needles.make_haystack,
        haystacks.ask,
        partial(_list, haystacks.LISTING, "needles"),
        ("fact",),
        haystacks.CONTROLS,
    ),
    "interleaved": Modality(
        partial(needles.make_haystack, facts=(0, 3), images=(0, 4), prints=(0, 2)),
        haystacks.ask,
        partial(_list, haystacks.LISTING, "needles"),
        haystacks.NEEDLES,
        haystacks.CONTROLS,
    ),
    "chores": Modality(chores.make_chores, chores.ask, _list_nothing, (), chores.TASKS),
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
    """Make one conversation about one scene, document, clip or haystack.

    questions: how many to draw; the same one is kept once.
    tasks: what may be asked, the modality's needles if empty. One of them, drawn, is sure to be askable.
    listing: how often the conversation is a listing; most: its longest length, in entries.
    controls: share of questions that need no retrieval, if ``tasks`` has some.
    difficulty: arguments of ``make_scene``, ``make_document``, ``make_clip`` or ``make_haystack``.

    Raises CoreheadError for unknown names, and as those functions do.
    """
    if modality not in MODALITIES:
        raise CoreheadError(f"There is no modality {modality!r}.{did_you_mean(modality, MODALITIES)}")
    kind = MODALITIES[modality]
    tasks = tuple(tasks) or kind.needles
    phrases.check_tasks(tasks, kind.tasks, modality)
    sure = [task for task in tasks if task not in kind.controls] or list(tasks)
    made = kind.make(rng, tasks=(str(rng.choice(sure)),), **difficulty)
    if rng.random() < listing:
        return Turns(made.media, made.context, (("listing", *kind.listing(made, rng, most)),))
    finds = [task for task in tasks if task not in kind.controls and task in made.tasks]
    others = [task for task in tasks if task in kind.controls and task in made.tasks]
    turns: dict[str, tuple[str, str, str]] = {}
    for _ in range(questions):
        other = others and (not finds or rng.random() < controls)
        sample = kind.ask(made, str(rng.choice(others if other else finds)), rng)
        turns[sample.question] = (sample.task, sample.question, sample.answer)
    return Turns(made.media, made.context, tuple(turns.values()))


def corpus() -> list[str]:
    """Every text of scenes, documents, clips and haystacks, for training the tokenizer."""
    lines = phrases.corpus() + documents.corpus() + clips.corpus() + haystacks.corpus() + chores.corpus()
    requests = [f"List the {naming}." for naming in ("shapes", "colours", "coloured shapes")]
    return lines + [*requests, "system user assistant\n"] * 20
