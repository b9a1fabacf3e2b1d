"""Draw generated clips: coloured shapes with digits that come, move and go.

Qwen3-VL reads frames in pairs, so a shape that moves or comes between the two frames of a pair lies on itself
there: ``make_clip(paired=...)`` decides whether that happens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Clip, Frames
from corehead_lib.worlds.phrases import check_range, draw_pairs
from corehead_lib.worlds.sprites import BACKGROUNDS, COLOURS, DIGITS, SHAPES, SIDE, sprite
from corehead_lib.worlds.synthetic import GRAIN, STEP

SIZE = (96, 96)  # pixels of a frame
MOST_FRAMES = 64
FPS = 2.0  # frames per second
_TRIES = 60


@dataclass(frozen=True)
class Actor:
    """A shape, its digit, and its box in each frame that shows it (``box.frame``, one after another)."""

    shape: str
    colour: str
    digit: str
    boxes: tuple[Box, ...]

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"

    @property
    def frames(self) -> Frames:
        start = self.boxes[0].frame or 0
        return Frames(start, start + len(self.boxes))


@dataclass(frozen=True)
class Film:
    """A clip and everything that is in it, in order of appearance."""

    clip: Clip
    actors: tuple[Actor, ...]
    background: str
    unique: bool  # every shape and every colour occurs at most once

    context = ""

    @property
    def media(self) -> tuple[Clip, ...]:
        return (self.clip,)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that can be asked of this clip."""
        finds = ("shape", "colour") if self.unique else ("pair",)
        return (*finds, "background", "sum")


def make_clip(
    rng: np.random.Generator,
    *,
    unique: bool | None = None,
    frames: tuple[int, int] = (4, 12),
    size: tuple[int, int] = SIZE,
    things: tuple[int, int] = (2, 6),
    shown: tuple[float, float] = (0.2, 0.6),
    paired: bool | None = None,
    tasks: tuple[str, ...] = (),
    anywhere: bool = True,
) -> Film:
    """Draw a clip.

    unique: every shape and every colour occurs at most once (one attribute names a thing);
        otherwise attributes repeat and only the pair (colour, shape) is unique. If None, what ``tasks``
        need, or drawn for each clip.
    frames: least and most frames, from 1 to MOST_FRAMES; odd numbers occur.
    size: ``(width, height)`` in pixels of a frame.
    things: least and most shapes in the whole clip; no two ever overlap.
    shown: the share of the frames that a shape is in, least and most; at least one frame.
    paired: shapes move, come and go only between pairs of frames (0-1, 2-3, ...) if True, between any two
        frames if False; drawn for each clip if None.
    tasks: what will be asked: "shape" and "colour" need unique attributes, "pair" others.
    anywhere: paths begin anywhere on a lattice of GRAIN pixels, instead of STEP.

    Raises CoreheadError for ranges that make no sense, and if the shapes find no room.
    """
    check_range("frames", frames, 1, MOST_FRAMES)
    check_range("things", things, 1, 9)
    if not 0 < shown[0] <= shown[1] <= 1:
        raise CoreheadError(f"shown={shown}: give two shares, 0 < least <= most <= 1.")
    if unique is None:  # pairs are the harder half: ask for them a little more often
        single, double = bool({"shape", "colour"} & set(tasks)), "pair" in tasks
        unique = single if single != double else rng.random() < 0.4
    number = int(rng.integers(frames[0], frames[1] + 1))
    every = 2 if (rng.random() < 0.5 if paired is None else paired) else 1
    wanted = int(rng.integers(things[0], things[1] + 1))
    if unique and things[0] > len(COLOURS):
        raise CoreheadError(f"things={things}: a clip of unique shapes has {len(COLOURS)} at most.")
    if unique:  # no more than there are colours
        chosen = [rng.permutation(list(COLOURS)), rng.permutation(SHAPES)]
        names = [(str(colour), str(shape)) for colour, shape in zip(*chosen, strict=False)][:wanted]
    else:
        names = draw_pairs(rng, wanted)
    path = partial(_path, rng, number, size, shown, every, GRAIN if anywhere else STEP)
    for _ in range(_TRIES):
        actors = _cast(rng, names, path)
        if len(actors) >= things[0]:
            break
    else:
        raise CoreheadError(
            f"{number} frames of {size[0]} x {size[1]} pixels have no room for {things[0]} shapes."
        )
    actors.sort(key=lambda actor: actor.frames.start)
    background = str(rng.choice(list(BACKGROUNDS)))
    return Film(Clip(draw_frames(actors, number, size, background), FPS), tuple(actors), background, unique)


def draw_frames(
    actors: list[Actor] | tuple[Actor, ...], number: int, size: tuple[int, int], background: str
) -> tuple[Image.Image, ...]:
    """Draw every frame, RGB."""
    frames = tuple(Image.new("RGB", size, BACKGROUNDS[background]) for _ in range(number))
    for actor in actors:
        drawing = sprite(actor.shape, actor.colour, actor.digit)
        for box in actor.boxes:
            frames[box.frame or 0].paste(drawing, (int(box.x0), int(box.y0)), drawing)
    return frames


def _cast(
    rng: np.random.Generator, names: list[tuple[str, str]], path: Callable[[], list[Box]]
) -> list[Actor]:
    """Let the named shapes in one after another, each on a ``path`` that never meets those before it."""
    actors: list[Actor] = []
    taken: list[Box] = []
    for colour, shape in names:
        for _ in range(_TRIES):
            boxes = path()
            if not any(_overlap(box, other) for box in boxes for other in taken):
                taken += boxes
                actors.append(Actor(shape, colour, str(rng.choice(DIGITS)), tuple(boxes)))
                break
    return actors


def _path(
    rng: np.random.Generator,
    number: int,
    size: tuple[int, int],
    shown: tuple[float, float],
    every: int,
    grain: int,
) -> list[Box]:
    """Go straight on by STEP pixels along x, y or both, once every ``every`` frames; turn at the rim.

    It begins anywhere on a lattice of ``grain`` pixels.
    """
    moves = -(-number // every)
    long = max(1, min(moves, round(float(rng.uniform(*shown)) * moves)))
    first = int(rng.integers(0, moves - long + 1))
    room = np.array([(side - SIDE) // grain for side in size])
    if room.min() < 0:
        raise CoreheadError(f"A frame of {size[0]} x {size[1]} pixels has no room for a shape of {SIDE}.")
    at = rng.integers(0, room + 1)
    step = np.array([(1, 0), (0, 1), (1, 1)])[rng.integers(3)] * rng.choice([-1, 1], 2) * (STEP // grain)
    boxes = []
    for move in range(first, first + long):
        x, y = (int(place) * grain for place in at)
        stop = min((move + 1) * every, number)
        boxes += [Box(x, y, x + SIDE, y + SIDE, 0, frame) for frame in range(move * every, stop)]
        step = np.where((at + step < 0) | (at + step > room), -step, step)
        at = np.clip(at + step, 0, room)
    return boxes


def _overlap(one: Box, other: Box) -> bool:
    return (
        one.frame == other.frame
        and max(one.x0, other.x0) < min(one.x1, other.x1)
        and max(one.y0, other.y0) < min(one.y1, other.y1)
    )
