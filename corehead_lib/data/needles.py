"""Write generated haystacks: facts in running text, on pictures between its sentences, and in printed pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from corehead_lib.data.layout import filler_line
from corehead_lib.data.pages import LINE, PAPER, write
from corehead_lib.data.phrases import STEP, TOPICS, check_range, draw_pairs
from corehead_lib.data.synthetic import DIGITS, SIDE, sprite
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Box, TextSpan

PARTS = ("fact", "key", "value", "separator")
PICTURE = (64, 64)  # pixels, a picture with one shape
PRINT = (144, 80)  # pixels, a page of printed text: five lines of 18 letters, so that every fact fits
KINDS = {"fact": "text", "image": "picture", "print": "printed page"}


@dataclass(frozen=True)
class Needle:
    """One fact, a coloured shape and its digit, and where each part of it stands.

    kind: "fact" (in the text; parts are TextSpans), "image" (a picture of the shape; the one part is "fact",
        its Box) or "print" (a line of a printed page; parts are Boxes).
    parts: "fact" (all of it), "key" (the name), "value" (the digit), "separator" (the full stop after it).
    """

    kind: str
    name: str
    digit: str
    parts: Mapping[str, TextSpan | Box] = field(repr=False)

    def part(self, name: str) -> TextSpan | Box:
        if name not in self.parts:
            raise CoreheadError(f"A needle in a {KINDS[self.kind]} has {tuple(self.parts)}, not {name!r}.")
        return self.parts[name]


@dataclass(frozen=True)
class Haystack:
    """Text, with MEDIA where a picture stands, and its needles in the order in which they stand."""

    context: str
    media: tuple[Image.Image, ...] = field(repr=False)
    needles: tuple[Needle, ...]
    topic: str

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that can be asked of this haystack."""
        kinds = {needle.kind for needle in self.needles}
        able = {*kinds, "count", "topic", "sum", *(["order"] if len(self.needles) > 1 else [])}
        return tuple(task for task in (*KINDS, "count", "order", "topic", "sum") if task in able)


def make_haystack(
    rng: np.random.Generator,
    *,
    facts: tuple[int, int] = (3, 8),
    images: tuple[int, int] = (0, 0),
    prints: tuple[int, int] = (0, 0),
    filler: tuple[int, int] = (1, 6),
    tasks: tuple[str, ...] = (),
) -> Haystack:
    """Draw a haystack; every fact's key (colour and shape) occurs once in it.

    facts, images, prints: least and most facts in the text, pictures of one shape, and printed pages (each of
        one to three facts). All are shuffled together with the filler.
    filler: least and most sentences that hold no fact but words of the haystack's topic.
    tasks: tasks that must be askable: their needles occur even where ``least`` is 0.

    Raises CoreheadError for ranges that make no sense or hold no needle.
    """
    ranges = {"facts": facts, "images": images, "prints": prints, "filler": filler}
    for name, given in ranges.items():
        check_range(name, given, 1 if name == "filler" else 0, {"facts": 40, "filler": 1000}.get(name, 12))
    number = {name: int(rng.integers(given[0], given[1] + 1)) for name, given in ranges.items()}
    for task, name in (("fact", "facts"), ("image", "images"), ("print", "prints")):
        number[name] = max(number[name], min(ranges[name][1], int(task in tasks)))
    printed = [int(n) for n in rng.integers(1, 4, number["prints"])]
    total = number["facts"] + number["images"] + sum(printed)
    if not total:
        raise CoreheadError(f"{ranges}: no needle was drawn; ask for one at least.")
    keys = [(f"{colour} {shape}", str(rng.choice(DIGITS))) for colour, shape in draw_pairs(rng, total)]
    topic = str(rng.choice(list(TOPICS)))
    pieces: list[tuple[str, list[tuple[str, str]]]] = [("filler", [])] * number["filler"]
    for kind, sizes in (
        ("fact", [1] * number["facts"]),
        ("image", [1] * number["images"]),
        ("print", printed),
    ):
        for size in sizes:
            pieces.append((kind, keys[:size]))
            keys = keys[size:]
    context = ""
    media: list[Image.Image] = []
    needles: list[Needle] = []
    for kind, held in (pieces[i] for i in rng.permutation(len(pieces))):
        if kind == "filler":
            context += _sentence(rng, topic) + " "
        elif kind == "fact":
            ((name, digit),) = held
            needles.append(_fact(name, digit, len(context)))
            context += f"The {name} holds {digit}. "
        else:
            context += MEDIA
            picture, found = (_picture if kind == "image" else _print)(rng, held, topic, len(media))
            media.append(picture)
            needles += found
    return Haystack(context.rstrip(" ") + "\n", tuple(media), tuple(needles), topic)


def _sentence(rng: np.random.Generator, topic: str) -> str:
    one, other = (str(word) for word in rng.choice(TOPICS[topic], 2, replace=False))
    forms = ("See the {} and the {}.", "The {} and the {}.", "All of the {} with some {}.")
    return forms[rng.integers(len(forms))].format(one, other)


def _fact(name: str, digit: str, start: int) -> Needle:
    """The parts of "The NAME holds DIGIT." that begins at character ``start``; the space before it is no part."""
    key = start + len("The ")
    value = key + len(f"{name} holds ")
    ends = {"fact": (start, value + 2), "key": (key, key + len(name)), "value": (value, value + 1)}
    ends["separator"] = (value + 1, value + 2)
    return Needle("fact", name, digit, {part: TextSpan(*span) for part, span in ends.items()})


def _picture(
    rng: np.random.Generator, held: list[tuple[str, str]], topic: str, item: int
) -> tuple[Image.Image, list[Needle]]:
    """A picture of one shape, somewhere on white."""
    ((name, digit),) = held
    colour, shape = name.split()
    x, y = (STEP * int(rng.integers(0, (side - SIDE) // STEP + 1)) for side in PICTURE)
    image = Image.new("RGB", PICTURE, PAPER)
    drawing = sprite(shape, colour, digit)
    image.paste(drawing, (x, y), drawing)
    return image, [Needle("image", name, digit, {"fact": Box(x, y, x + SIDE, y + SIDE, item)})]


def _print(
    rng: np.random.Generator, held: list[tuple[str, str]], topic: str, item: int
) -> tuple[Image.Image, list[Needle]]:
    """A page of printed lines: facts, "red star 7.", and words of the topic."""
    width, height = PRINT
    image = Image.new("RGB", PRINT, PAPER)
    lines = height // LINE
    places = dict(zip(sorted(rng.choice(lines, len(held), replace=False)), held, strict=True))
    needles = []
    for line in range(lines):
        if line not in places:
            write(image, 0, LINE * line, filler_line(rng, list(TOPICS[topic]), width))
            continue
        name, digit = places[line]
        text = f"{name} {digit}."
        x = STEP * int(rng.integers(0, width // STEP - len(text) + 1))
        write(image, x, LINE * line, text)
        ends = {"fact": (0, len(text)), "key": (0, len(name))}
        ends |= {"value": (len(name) + 1, len(name) + 2), "separator": (len(name) + 2, len(text))}
        parts = {
            part: Box(x + STEP * start, LINE * line, x + STEP * stop, LINE * (line + 1), item)
            for part, (start, stop) in ends.items()
        }
        needles.append(Needle("print", name, digit, parts))
    return image, needles
