"""Generated scenes: coloured shapes, each with a digit on it, and questions about them.

Everything is drawn from a seed, so the supply is unlimited and the evidence is exact: the
pixel box of the shape that a question asks for. Shapes fill a cell of the tiny models each, or, ``anywhere``,
come in three sizes and stand where they like, so that the evidence takes one to nine cells. Three tasks need retrieval (find the
shape, read its digit), two do not (background, sum): they tell a broken model from one that merely lost its eyes.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Sample
from corehead_lib.worlds.phrases import SPLITS as SPLITS
from corehead_lib.worlds.phrases import background_question, check_tasks, digit_on, draw_split, small_sum
from corehead_lib.worlds.sprites import BACKGROUNDS, COLOURS, DIGITS, SHAPES, SIDE, sprite

RETRIEVAL_TASKS = ("shape", "colour", "pair")
CONTROL_TASKS = ("background", "sum")

MOST_THINGS = 8
SIZES = (96, 192)  # pixels, either side of a scene: one or two tiles of the models that cut pictures up
STEP = SIDE  # pixels: the lattice of what is typeset
SIDES = (32, 48, 64)  # pixels, side of a shape in a scene
GRAIN = 8  # pixels; shapes in a scene stand on this lattice
FULL = 0.45  # most of a scene's area that shapes may take


@dataclass(frozen=True)
class Thing:
    """One shape of a scene: what it is, its digit, and its pixel box."""

    shape: str
    colour: str
    digit: str
    box: Box

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """A picture and everything that is in it, in reading order."""

    image: Image.Image = field(repr=False)
    things: tuple[Thing, ...]
    background: str
    unique: bool  # every shape and every colour occurs at most once

    context = ""

    @property
    def media(self) -> tuple[Image.Image]:
        return (self.image,)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that this scene is for; one with unique attributes makes pairs too easy."""
        return (*(("shape", "colour") if self.unique else ("pair",)), *CONTROL_TASKS)


def scatter(
    rng: np.random.Generator, size: tuple[int, int], sides: list[int], tries: int = 20
) -> list[tuple[int, int]]:
    """Find upper left corners, on the lattice of GRAIN pixels, for squares of ``sides`` that do not overlap.

    Each is drawn evenly from the places that are free. Raises CoreheadError if ``tries`` layouts fail.
    """
    for _ in range(tries):
        free = np.ones((size[1] // GRAIN, size[0] // GRAIN), bool)
        corners: dict[int, tuple[int, int]] = {}
        for number in np.argsort([-side for side in sides], kind="stable").tolist():  # large ones first
            cells = sides[number] // GRAIN
            if cells > min(free.shape):
                break
            windows = np.lib.stride_tricks.sliding_window_view(free, (cells, cells)).all((2, 3))
            places = np.argwhere(windows)
            if not len(places):
                break
            row, column = places[rng.integers(len(places))]
            free[row : row + cells, column : column + cells] = False
            corners[number] = (int(column) * GRAIN, int(row) * GRAIN)
        else:
            return [corners[number] for number in range(len(sides))]
    raise CoreheadError(f"A picture of {size[0]} x {size[1]} pixels has no room for squares of {sides}.")


def draw_sides(rng: np.random.Generator, size: tuple[int, int], number: int) -> list[int]:
    """Draw the sides of ``number`` shapes, so that all of them take at most FULL of the picture."""
    left = FULL * size[0] * size[1] - number * min(SIDES) ** 2
    sides = []
    for _ in range(number):
        fitting = [side for side in SIDES if side**2 - min(SIDES) ** 2 <= max(0, left)]
        sides.append(int(rng.choice(fitting)))
        left -= sides[-1] ** 2 - min(SIDES) ** 2
    return sides


def make_scene(
    rng: np.random.Generator,
    *,
    unique: bool,
    size: tuple[int, int] | None = None,
    things: tuple[int, int] = (3, MOST_THINGS),
    anywhere: bool = True,
) -> Scene:
    """Draw a scene of shapes that do not overlap.

    unique: every shape and every colour occurs at most once (one attribute names a thing);
        otherwise attributes repeat and only the pair (colour, shape) is unique.
    size: ``(width, height)`` in pixels; drawn at random from SIZES if None.
    things: least and most shapes, as far as there is room.
    anywhere: shapes of several sizes anywhere, instead of one to a cell of the lattice.
    """
    width, height = size or (int(rng.choice(SIZES)), int(rng.choice(SIZES)))
    columns, rows = width // STEP, height // STEP
    room = int(FULL * width * height / min(SIDES) ** 2) if anywhere else columns * rows
    if room < things[0]:
        raise CoreheadError(f"A scene of {width} x {height} pixels has no room for {things[0]} shapes.")
    number = int(rng.integers(things[0], min(things[1], room) + 1))
    shapes, colours = list(SHAPES), list(COLOURS)
    if unique:
        names = list(zip(rng.permutation(colours), rng.permutation(shapes), strict=False))[:number]
    else:  # few colours and shapes, so that most things share one attribute with another
        few_colours = rng.choice(colours, min(len(colours), (number + 3) // 2), replace=False)
        few_shapes = rng.choice(shapes, min(len(shapes), (number + 3) // 2), replace=False)
        pairs = [(colour, shape) for colour in few_colours for shape in few_shapes]
        names = [pairs[i] for i in rng.permutation(len(pairs))[:number]]
    background = str(rng.choice(list(BACKGROUNDS)))
    image = Image.new("RGB", (width, height), BACKGROUNDS[background])
    if anywhere:
        sides = draw_sides(rng, (width, height), number)
        corners = scatter(rng, (width, height), sides)
    else:
        cells = np.sort(rng.choice(columns * rows, number, replace=False)).tolist()
        sides, corners = [SIDE] * number, [(STEP * (n % columns), STEP * (n // columns)) for n in cells]
    placed = []
    for (colour, shape), side, (x, y) in zip(names, sides, corners, strict=False):
        digit = str(rng.choice(DIGITS))
        drawing = sprite(str(shape), str(colour), digit, side)
        image.paste(drawing, (x, y), drawing)
        placed.append(Thing(str(shape), str(colour), digit, Box(x, y, x + side, y + side)))
    placed.sort(key=lambda thing: (thing.box.y0, thing.box.x0))
    return Scene(image, tuple(placed), background, unique)


def ask(scene: Scene, task: str, rng: np.random.Generator, thing: Thing | None = None) -> Sample:
    """Ask one question of ``task`` about ``scene`` (about ``thing``, or a random one)."""
    check_tasks([task], RETRIEVAL_TASKS + CONTROL_TASKS, "scenes")
    thing = thing or scene.things[rng.integers(len(scene.things))]
    if task in RETRIEVAL_TASKS:
        name = {"shape": thing.shape, "colour": f"{thing.colour} shape", "pair": thing.name}[task]
        seen = tuple(each.digit for each in scene.things)
        return Sample("", task, digit_on(name), thing.digit, scene.media, (thing.box,), DIGITS, visible=seen)
    asked = background_question(scene.background) if task == "background" else small_sum(rng)
    question, answer, options = asked
    return Sample("", task, question, answer, scene.media, (), options)


def scenes(
    split: str,
    samples: int,
    seed: int,
    tasks: tuple[str, ...] = RETRIEVAL_TASKS,
    **difficulty: Any,
) -> list[Sample]:
    """Make ``samples`` one-question samples of held-out scenes, the tasks taking turns.

    difficulty: ``size``, ``things`` and ``anywhere``, as in ``make_scene``.

    Each split draws from its own random stream, so no scene of one split occurs in another.
    Raises CoreheadError for an unknown split or task, or fewer than one sample.
    """

    def make(rng: np.random.Generator, task: str) -> Sample:
        return ask(make_scene(rng, unique=task in ("shape", "colour"), **difficulty), task, rng)

    return draw_split("scenes", split, samples, seed, tasks, make)
