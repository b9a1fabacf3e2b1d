"""Generated clips of moving shapes, and questions about them.

The evidence of a needle is its box in each frame that shows it, or, as in VidSTG (arXiv 2001.06891), all of
those frames.
"""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Clip, Evidence, Frames, Pages, Sample
from corehead_lib.worlds.films import FPS, SIZE, Actor, Film, make_clip
from corehead_lib.worlds.phrases import background_question, check_tasks, digit_on, draw_split, small_sum
from corehead_lib.worlds.sprites import BACKGROUNDS, DIGITS

NEEDLES = ("shape", "colour", "pair")
CONTROLS = ("background", "sum")
LISTING = "List the shapes."

Level = Literal["box", "frames"]


def ask(
    film: Film, task: str, rng: np.random.Generator, actor: Actor | None = None, level: Level = "box"
) -> Sample:
    """Ask one question of ``task`` (about ``actor``, or a random one).

    level: the evidence of a needle: a "box" in each frame that shows the shape, or those "frames" whole.
    Raises CoreheadError if the clip cannot answer such a question.
    """
    check_tasks([task], NEEDLES + CONTROLS, "clips")
    check_tasks([level], get_args(Level), "clips", "level")
    if task not in film.tasks:
        raise CoreheadError(f"This clip of {len(film.clip.frames)} frames has nothing to ask {task!r} about.")
    if task in NEEDLES:
        actor = actor or film.actors[rng.integers(len(film.actors))]
        name = {"shape": actor.shape, "colour": f"{actor.colour} shape", "pair": actor.name}[task]
        evidence: tuple[Evidence, ...] = actor.boxes if level == "box" else (actor.frames,)
        seen = tuple(actor.digit for actor in film.actors)
        return Sample("", task, digit_on(name), actor.digit, film.media, evidence, DIGITS, visible=seen)
    asked = background_question(film.background) if task == "background" else small_sum(rng)
    question, answer, options = asked
    return Sample("", task, question, answer, film.media, (), options)


def clips(
    split: str,
    samples: int,
    seed: int,
    tasks: tuple[str, ...] = NEEDLES,
    *,
    frames: tuple[int, int] = (4, 12),
    size: tuple[int, int] = SIZE,
    paired: bool | None = None,
    level: Level = "box",
    anywhere: bool = True,
) -> list[Sample]:
    """Make ``samples`` one-question samples of held-out clips, the tasks taking turns.

    Arguments as in ``make_clip`` and ``ask``; splits as in ``draw_split``.
    """
    check_tasks(tasks, NEEDLES + CONTROLS, "clips")

    def make(rng: np.random.Generator, task: str) -> Sample:
        film = make_clip(rng, frames=frames, size=size, paired=paired, tasks=(task,), anywhere=anywhere)
        return ask(film, task, rng, level=level)

    return draw_split("clips", split, samples, seed, tasks, make)


def as_images(sample: Sample) -> Sample:
    """Hand the frames of a sample's one clip over as images, with the evidence to match."""
    (clip,) = sample.media
    if not isinstance(clip, Clip):
        raise CoreheadError(f"{sample.id}: only a clip can be taken apart, not a picture.")
    evidence: list[Evidence] = []
    for piece in sample.evidence:
        if isinstance(piece, Box) and piece.frame is not None:
            evidence.append(replace(piece, item=piece.frame, frame=None))
        elif isinstance(piece, Frames):
            evidence.append(Pages(tuple(range(piece.start, piece.stop))))
        else:
            raise CoreheadError(f"{sample.id}: {piece} does not say in which frames it is.")
    return replace(sample, media=tuple(clip.frames), evidence=tuple(evidence))


def corpus() -> list[str]:
    """Lines with the texts of clips beyond ``phrases.corpus``: listings' request, timestamps of frames."""
    times = [f"<{tenths / 10:.1f} seconds>" for tenths in range(0, int(10 * 64 / FPS), 3)]
    return times + [" ".join(BACKGROUNDS), "Which colour is the background?", LISTING] * 20
