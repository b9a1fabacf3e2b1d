"""Draw the pages of generated documents: a heading, a page number, and blocks of entries between them.

Everything stands on a lattice of 8 pixels, the tiny models' patch size. A letter fills one patch in width and
two in height, so a word always looks the same to a model, wherever it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from corehead_lib.data.phrases import STEP
from corehead_lib.data.synthetic import COLOURS, sprite
from corehead_lib.samples import Box

LINE = 16  # pixels, height of a line of text and of a heading
GAP = 32  # pixels, from a table's left edge to its first column
UNIT = 4  # pixels, height of a bar of value 1
CHART = 48  # pixels, height of a chart with its axis labels
PAPER, INK, RULE = (250, 250, 250), (0, 0, 0), (170, 170, 170)
COLUMNS = "ABC"


@dataclass(frozen=True)
class Entry:
    """A key and its digit on a page, the pixels that show them, and the layout block they stand in.

    kind: "pair" (a coloured shape with its digit), "line" (a word, then its digit), "bar" (of a chart; the
        key is its colour), "cell" (of a table; the key is "row column", the box holds the digit alone).
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
    """What is on one page; ``texts`` are the lines of words without a digit, ``(x, y, text)``."""

    size: tuple[int, int]
    number: int  # as printed, from 1
    title: str
    colour: str  # of the heading
    entries: tuple[Entry, ...]
    texts: tuple[tuple[int, int, str], ...] = field(default=())


@cache
def glyph(letter: str) -> Image.Image:
    """Draw one letter, STEP x LINE pixels, mode L: 255 where the ink is."""
    image = Image.new("L", (STEP, LINE), 0)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans Mono:bold"), 13)
    ImageDraw.Draw(image).text((STEP / 2, 12), letter, fill=255, font=font, anchor="ms")
    return image


def write(image: Image.Image, x: int, y: int, text: str, ink: tuple[int, int, int] = INK) -> None:
    """Write ``text`` with the upper left corner of its first letter at (x, y); STEP pixels a letter."""
    for place, letter in enumerate(text):
        mark = glyph(letter)
        image.paste(ink, (x + STEP * place, y), mark)


def draw_page(page: Page) -> Image.Image:
    """Draw a page, RGB; another digit of an entry changes pixels in that entry's box alone (a bar's box grows)."""
    width, height = page.size
    image = Image.new("RGB", page.size, PAPER)
    image.paste(COLOURS[page.colour], (0, 0, width, LINE))
    write(image, STEP, 0, page.title, (255, 255, 255))
    number = str(page.number)
    write(image, width - STEP * (len(number) + 1), height - LINE, number)
    for x, y, text in page.texts:
        write(image, x, y, text)
    for block in dict.fromkeys(entry.block for entry in page.entries):
        _draw_block(image, block, [entry for entry in page.entries if entry.block == block])
    return image


def _draw_block(image: Image.Image, block: Box, entries: Sequence[Entry]) -> None:
    if entries[0].kind == "bar":
        _draw_axis(image, int(block.x0), int(block.y0), int(block.x1))
    if entries[0].kind == "cell":
        _draw_headers(image, block, entries)
    for entry in entries:
        x0, y0, x1, y1 = (int(edge) for edge in (entry.box.x0, entry.box.y0, entry.box.x1, entry.box.y1))
        if entry.kind == "pair":
            colour, shape = entry.key.split()
            drawing = sprite(shape, colour, entry.digit)
            image.paste(drawing, (x0, y0), drawing)
        elif entry.kind == "line":
            write(image, x0, y0, f"{entry.key} {entry.digit}")
        elif entry.kind == "bar":
            image.paste(COLOURS[entry.key], (x0, y0, x1, y1))
        else:
            write(image, x0, y0, entry.digit)


def _draw_axis(image: Image.Image, x0: int, y0: int, x1: int) -> None:
    """Draw grid lines for 0, 2, ... 8 and label every other one."""
    draw = ImageDraw.Draw(image)
    base = y0 + CHART - LINE // 2
    for value in range(0, 9, 2):
        y = base - UNIT * value
        draw.line((x0 + 10, y, x1 - 1, y), fill=INK if value == 0 else RULE)
        if value % 4 == 0:
            write(image, x0, y - LINE // 2, str(value))


def _draw_headers(image: Image.Image, block: Box, entries: Sequence[Entry]) -> None:
    """Write the names of rows and columns, with a rule below the columns'."""
    x0, y0, x1 = int(block.x0), int(block.y0), int(block.x1)
    rows = {entry.key.split()[0]: int(entry.box.y0) for entry in entries}
    columns = {entry.key.split()[1]: int(entry.box.x0) for entry in entries}
    for row, y in rows.items():
        write(image, x0, y, row)
    for column, x in columns.items():
        write(image, x, y0, column)
    draw = ImageDraw.Draw(image)
    draw.line((x0, y0 + LINE - 1, x1 - 1, y0 + LINE - 1), fill=RULE)
    draw.line((x0 + GAP - 4, y0, x0 + GAP - 4, int(block.y1) - 1), fill=RULE)
