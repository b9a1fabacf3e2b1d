"""Draw the pages of generated documents: a heading with the page's number, and rows of entries below it.

Everything stands on a lattice of 32 pixels, one cell of the tiny models: an entry with its digit fills one
cell, so it always looks the same to a model, wherever it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from corehead_lib.samples import Box
from corehead_lib.worlds.sprites import COLOURS, SIDE, sprite
from corehead_lib.worlds.synthetic import STEP

LETTER = (8, 16)  # pixels, width and height
UNIT = 3  # pixels, height of a bar of value 1
BASE = 28  # pixels, from the top of a chart to the foot of its bars
PAPER, INK, RULE = (250, 250, 250), (0, 0, 0), (170, 170, 170)


@dataclass(frozen=True)
class Entry:
    """A key and its digit on a page, the pixels that show them, and the layout block they stand in.

    kind: "pair" (a coloured shape with its digit), "word" (a word, its digit below) or "bar" (of a chart; the
        key is its colour, the digit its height).
    """

    kind: str
    key: str
    digit: str
    box: Box
    block: Box

    @property
    def name(self) -> str:
        return f"{self.key} bar" if self.kind == "bar" else self.key


@dataclass(frozen=True)
class Page:
    """What is on one page; ``texts`` are the words without a digit, ``(x, y, word)``."""

    size: tuple[int, int]
    number: int  # as printed, from 1
    title: str
    colour: str  # of the heading
    entries: tuple[Entry, ...]
    texts: tuple[tuple[int, int, str], ...] = field(default=())


@cache
def glyph(letter: str) -> Image.Image:
    """Draw one letter, LETTER in size, mode L: 255 where the ink is."""
    width, height = LETTER
    image = Image.new("L", LETTER, 0)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans Mono:bold"), 13)
    ImageDraw.Draw(image).text((width / 2, height - 4), letter, fill=255, font=font, anchor="ms")
    return image


def write(image: Image.Image, x: int, y: int, text: str, ink: tuple[int, int, int] = INK) -> None:
    """Write ``text`` with the upper left corner of its first letter at (x, y)."""
    for place, letter in enumerate(text):
        image.paste(ink, (x + LETTER[0] * place, y), glyph(letter))


def write_word(image: Image.Image, x: int, y: int, word: str, digit: str = "") -> None:
    """Write a word of up to four letters into the cell at (x, y), and ``digit`` below it."""
    write(image, x + (STEP - LETTER[0] * len(word)) // 2, y, word)
    write(image, x + LETTER[0] // 2, y + LETTER[1], digit)


def draw_page(page: Page) -> Image.Image:
    """Draw a page, RGB; another digit of an entry changes pixels in that entry's box alone."""
    width = page.size[0]
    image = Image.new("RGB", page.size, PAPER)
    image.paste(COLOURS[page.colour], (0, 0, width, STEP))
    number = str(page.number)
    for x, text in ((LETTER[0], page.title), (width - LETTER[0] * (len(number) + 1), number)):
        write(image, x, LETTER[1] // 2, text, (255, 255, 255))
    for x, y, word in page.texts:
        write_word(image, x, y, word)
    for block in dict.fromkeys(entry.block for entry in page.entries):
        _draw_block(image, block, [entry for entry in page.entries if entry.block == block])
    return image


def _draw_block(image: Image.Image, block: Box, entries: Sequence[Entry]) -> None:
    if entries[0].kind == "bar":
        _draw_axis(image, int(block.x0), int(block.y0), int(block.x1))
    for entry in entries:
        x, y = int(entry.box.x0), int(entry.box.y0)
        if entry.kind == "pair":
            colour, shape = entry.key.split()
            drawing = sprite(shape, colour, entry.digit)
            image.paste(drawing, (x, y), drawing)
        elif entry.kind == "word":
            write_word(image, x, y, entry.key, entry.digit)
        else:
            bar = (x + SIDE // 4, y + BASE - UNIT * int(entry.digit), x + 3 * SIDE // 4, y + BASE)
            image.paste(COLOURS[entry.key], bar)


def _draw_axis(image: Image.Image, x0: int, y0: int, x1: int) -> None:
    """Draw grid lines for 0, 4 and 8, and label two of them."""
    draw = ImageDraw.Draw(image)
    for value in (0, 4, 8):
        y = y0 + BASE - UNIT * value
        draw.line((x0 + 20, y, x1 - 1, y), fill=RULE if value else INK)
    for value, y in ((8, y0), (0, y0 + STEP - LETTER[1])):
        write(image, x0 + 8, y, str(value))
