"""Fill pages with blocks: rows of shapes, lines of text, charts, tables, or words that say nothing."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from corehead_lib.data.pages import CHART, COLUMNS, GAP, LINE, UNIT, Entry, Page
from corehead_lib.data.phrases import STEP, TOPICS, draw_pairs
from corehead_lib.data.synthetic import COLOURS, DIGITS, SIDE
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box

BLOCKS = {"pair": SIDE, "line": LINE, "bar": CHART, "cell": 2 * LINE}  # least height of each, in pixels
TITLES = ("notes", "facts", "lists", "plans")
KEYS = 6  # words of the topic that are keys; the others fill lines
SMALL_WORDS = ("the", "and", "of", "to", "see", "all", "some", "with")


@dataclass
class Stock:
    """The keys that a document has left, so that no key occurs twice in it."""

    pairs: list[tuple[str, str]]
    words: list[str]
    bars: list[str]
    fillers: list[str]  # words that are no keys: in a line of text they stand for nothing
    held: Counter[str]  # blocks of each kind that must still be made, and need keys

    @classmethod
    def draw(cls, rng: np.random.Generator, topic: str, pairs: int, held: Counter[str]) -> "Stock":
        words = [str(word) for word in rng.permutation(TOPICS[topic])]
        bars = [str(colour) for colour in rng.permutation(list(COLOURS))]
        return cls(draw_pairs(rng, pairs), words[:KEYS], bars, words[KEYS:], held)

    def fits(self, kind: str, width: int, height: int) -> bool:
        """Say whether a block of this kind has keys left and room."""
        return self.left(kind) > (kind == "bar") and height >= BLOCKS[kind] and width >= 64

    def left(self, kind: str) -> int:
        """The number of keys that a block of this kind may take."""
        words = len(self.words) - self.held["line"] - self.held["cell"]
        pairs, bars = len(self.pairs) - self.held["pair"], len(self.bars) - 2 * self.held["bar"]
        return {"pair": pairs, "bar": bars}.get(kind, words)


def make_page(
    rng: np.random.Generator,
    stock: Stock,
    item: int,
    size: tuple[int, int],
    colour: str,
    kinds: tuple[str, ...],
    blocks: int,
    must: tuple[str, ...] = (),
) -> Page:
    """Lay out page ``item`` with up to ``blocks`` blocks of ``kinds``, first one of each in ``must``.

    Space that stays free gets lines of words at random. Raises CoreheadError if ``must`` does not fit.
    """
    width, height = size
    free = height - 2 * LINE
    chosen: list[list[Entry]] = []  # each block's entries, as if it stood at y = 0
    for place in range(max(blocks, len(must))):
        if place < len(must):
            stock.held[must[place]] -= 1
            if not stock.fits(must[place], width, free):
                raise CoreheadError(
                    f"A page of {width} x {height} pixels has no room for a {must[place]!r} entry, or the document"
                    " no key."
                )
            kind = must[place]
        else:
            fitting = [kind for kind in kinds if stock.fits(kind, width, free)]
            if not fitting:
                break
            kind = str(rng.choice(fitting))
        chosen.append(_BUILDERS[kind](rng, stock, item, width, free))
        free -= int(chosen[-1][0].block.y1)
    order = rng.permutation(len(chosen))
    entries: list[Entry] = []
    texts, y = [], LINE
    for i in [*order, None]:
        while free >= LINE and (i is None or rng.random() < 0.3):
            if rng.random() < 0.6:
                texts.append((0, y, filler_line(rng, stock.fillers, width)))
            y, free = y + LINE, free - LINE
        if i is not None:
            entries += [_lowered(entry, y) for entry in chosen[i]]
            y += int(chosen[i][0].block.y1)
    return Page(size, item + 1, str(rng.choice(TITLES)), colour, tuple(entries), tuple(texts))


def filler_line(rng: np.random.Generator, fillers: list[str], width: int) -> str:
    """Write words that are no keys until the line of ``width`` pixels is full."""
    line = ""
    while True:
        word = str(rng.choice(fillers if rng.random() < 0.5 else SMALL_WORDS))
        if len(line) + len(word) > width // STEP:
            return line.rstrip()
        line += word + " "


def _lowered(entry: Entry, by: int) -> Entry:
    boxes = [Box(b.x0, b.y0 + by, b.x1, b.y1 + by, b.item) for b in (entry.box, entry.block)]
    return Entry(entry.kind, entry.key, entry.digit, *boxes)


def _place(rng: np.random.Generator, room: int) -> int:
    """A random multiple of STEP from 0 to ``room``, in pixels."""
    return STEP * int(rng.integers(0, room // STEP + 1))


def _pairs(rng: np.random.Generator, stock: Stock, item: int, width: int, free: int) -> list[Entry]:
    number = int(rng.integers(1, min(width // SIDE, stock.left("pair")) + 1))
    spare = width - SIDE * number
    shifts = sorted(_place(rng, spare) for _ in range(number))
    block = Box(shifts[0], 0, shifts[-1] + SIDE * number, SIDE, item)
    made = []
    for i, shift in enumerate(shifts):
        colour, shape = stock.pairs.pop()
        box = Box(shift + SIDE * i, 0, shift + SIDE * (i + 1), SIDE, item)
        made.append(Entry("pair", f"{colour} {shape}", str(rng.choice(DIGITS)), box, block))
    return made


def _line(rng: np.random.Generator, stock: Stock, item: int, width: int, free: int) -> list[Entry]:
    word = stock.words.pop()
    long = STEP * (len(word) + 2)
    x = _place(rng, width - long)
    box = Box(x, 0, x + long, LINE, item)
    return [Entry("line", word, str(rng.choice(DIGITS)), box, box)]


def _chart(rng: np.random.Generator, stock: Stock, item: int, width: int, free: int) -> list[Entry]:
    number = int(rng.integers(2, min(4, width // LINE - 1, stock.left("bar")) + 1))
    x = _place(rng, width - LINE * (number + 1))
    block = Box(x, 0, x + LINE * (number + 1), CHART, item)
    made = []
    for i in range(number):
        value, left = int(rng.integers(1, 9)), x + LINE * (i + 1)
        base = CHART - LINE // 2
        box = Box(left, base - UNIT * value, left + STEP, base, item)
        made.append(Entry("bar", stock.bars.pop(), str(value), box, block))
    return made


def _table(rng: np.random.Generator, stock: Stock, item: int, width: int, free: int) -> list[Entry]:
    rows = int(rng.integers(1, min(3, free // LINE - 1, stock.left("cell")) + 1))
    columns = int(rng.integers(2, min(len(COLUMNS), (width - GAP) // LINE) + 1))
    x = _place(rng, width - GAP - LINE * columns)
    block = Box(x, 0, x + GAP + LINE * columns, LINE * (rows + 1), item)
    made = []
    for row in range(1, rows + 1):
        word = stock.words.pop()
        for column in range(columns):
            left = x + GAP + LINE * column
            box = Box(left, LINE * row, left + LINE, LINE * (row + 1), item)
            made.append(Entry("cell", f"{word} {COLUMNS[column]}", str(rng.choice(DIGITS)), box, block))
    return made


_BUILDERS = {"pair": _pairs, "line": _line, "bar": _chart, "cell": _table}
