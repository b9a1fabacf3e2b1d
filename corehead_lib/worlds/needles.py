"""Write generated haystacks: facts in running text, on pictures between its sentences, and in printed pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Box, TextSpan
from corehead_lib.worlds.layout import SMALL_WORDS
from corehead_lib.worlds.pages import LETTER, write_word
from corehead_lib.worlds.phrases import TOPICS, check_range, draw_pairs
from corehead_lib.worlds.sprites import DIGITS, SIDE, sprite
from corehead_lib.worlds.synthetic import SIDES, STEP, scatter

PARTS = ("fact", "key", "value", "separator")
PICTURE = PRINT = (96, 96)  # pixels, a picture with one shape, a page of printed words
LIMITS = {"facts": (0, 40), "images": (0, 12), "prints": (0, 4), "filler": (1, 1000)}  # topics have 8 words
KINDS = {"fact": "text", "image": "picture", "print": "printed page"}


@dataclass(frozen=True)
class Needle:
    """One fact, a name and its digit, and where each part of it stands.

    kind: "fact" (a coloured shape, in the text; parts are TextSpans), "image" (a picture of such a shape; the
        one part is "fact", its Box) or "print" (a word of a printed page; parts are Boxes).
    parts: "fact" (all of it), "key" (the name), "value" (the digit), and in text "separator" (the full stop).
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
        return (*(kind for kind in KINDS if kind in kinds), "topic", "sum")


def make_haystack(
    rng: np.random.Generator,
    *,
    facts: tuple[int, int] = (3, 8),
    images: tuple[int, int] = (0, 0),
    prints: tuple[int, int] = (0, 0),
    filler: tuple[int, int] = (1, 6),
    tasks: tuple[str, ...] = (),
    anywhere: bool = True,
) -> Haystack:
    """Draw a haystack; every fact's key (colour and shape, or a word) occurs once in it.

    facts, images, prints: least and most facts in the text, pictures of one shape, and printed pages (each of
        one or two facts). All are shuffled together with the filler.
    filler: least and most sentences that hold no fact but words of the haystack's topic.
    tasks: tasks that must be askable: their needles occur even where ``least`` is 0.
    anywhere: the shape of a picture has one of several sizes and stands anywhere, instead of in a cell.

    Raises CoreheadError for ranges that make no sense or hold no needle.
    """
    ranges = {"facts": facts, "images": images, "prints": prints, "filler": filler}
    for name, given in ranges.items():
        check_range(name, given, *LIMITS[name])
    number = {name: int(rng.integers(given[0], given[1] + 1)) for name, given in ranges.items()}
    for task, name in (("fact", "facts"), ("image", "images"), ("print", "prints")):
        number[name] = max(number[name], min(ranges[name][1], int(task in tasks)))
    printed = [int(n) for n in rng.integers(1, 3, number["prints"])]
    total = number["facts"] + number["images"] + sum(printed)
    if not total:
        raise CoreheadError(f"{ranges}: no needle was drawn; ask for one at least.")
    topic = str(rng.choice(list(TOPICS)))
    names = [" ".join(pair) for pair in draw_pairs(rng, total - sum(printed))]
    names += [str(word) for word in rng.permutation(TOPICS[topic])[: sum(printed)]]
    keys = [(name, str(rng.choice(DIGITS))) for name in names]
    pieces: list[tuple[str, list[tuple[str, str]]]] = [("filler", [])] * number["filler"]
    kinds = ["fact"] * number["facts"] + ["image"] * number["images"] + ["print"] * number["prints"]
    for kind, size in zip(kinds, [1] * (total - sum(printed)) + printed, strict=True):
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
            item = len(media)
            picture, found = (
                _picture(rng, held, item, anywhere) if kind == "image" else _print(rng, held, item)
            )
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
    rng: np.random.Generator, held: list[tuple[str, str]], item: int, anywhere: bool
) -> tuple[Image.Image, list[Needle]]:
    """A picture of one shape, somewhere on a light ground of its own: else splits would share pictures by chance."""
    ((name, digit),) = held
    colour, shape = name.split()
    side = int(rng.choice(SIDES)) if anywhere else SIDE
    x, y = (STEP * int(rng.integers(0, (length - SIDE) // STEP + 1)) for length in PICTURE)
    if anywhere:
        ((x, y),) = scatter(rng, PICTURE, [side])
    image = Image.new("RGB", PICTURE, _light(rng))
    drawing = sprite(shape, colour, digit, side)
    image.paste(drawing, (x, y), drawing)
    return image, [Needle("image", name, digit, {"fact": Box(x, y, x + side, y + side, item)})]


def _light(rng: np.random.Generator) -> tuple[int, int, int]:
    """A shade of paper."""
    red, green, blue = (int(value) for value in rng.integers(235, 256, 3))
    return red, green, blue


def _print(
    rng: np.random.Generator, held: list[tuple[str, str]], item: int
) -> tuple[Image.Image, list[Needle]]:
    """A page of printed words, one to a cell: facts, a digit below each, and small words."""
    columns = PRINT[0] // STEP
    cells = columns * (PRINT[1] // STEP)
    image = Image.new("RGB", PRINT, _light(rng))
    places = dict(zip(rng.permutation(cells).tolist(), held, strict=False))
    needles = []
    for cell in range(cells):
        x, y = STEP * (cell % columns), STEP * (cell // columns)
        if cell not in places:
            write_word(image, x, y, str(rng.choice(SMALL_WORDS)))
            continue
        name, digit = places[cell]
        write_word(image, x, y, name, digit)
        middle = y + LETTER[1]
        boxes = {"fact": (y, y + STEP), "key": (y, middle), "value": (middle, y + STEP)}
        parts = {part: Box(x, top, x + STEP, bottom, item) for part, (top, bottom) in boxes.items()}
        needles.append(Needle("print", name, digit, parts))
    return image, needles
