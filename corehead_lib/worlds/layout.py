"""Fill pages with rows: of shapes, of words with digits, of bars, or of words that say nothing."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box
from corehead_lib.worlds.pages import Entry, Page
from corehead_lib.worlds.phrases import TOPICS, draw_pairs
from corehead_lib.worlds.sprites import COLOURS, DIGITS
from corehead_lib.worlds.synthetic import STEP

LEAST = {"pair": 1, "word": 1, "bar": 2}  # entries of each kind in a row
TITLES = ("notes", "facts", "lists", "plans")
KEYS = 6  # words of the topic that are keys; the others are fillers
SMALL_WORDS = ("the", "and", "of", "to", "see", "all", "some", "with")


@dataclass
class Stock:
    """The keys that a document has left, so that no key occurs twice in it."""

    keys: dict[str, list[str]]  # per kind of entry
    fillers: list[str]  # words that are no keys and have no digit
    held: Counter[str]  # rows of each kind that must still be made, and need keys

    @classmethod
    def draw(cls, rng: np.random.Generator, topic: str, pairs: int, held: Counter[str]) -> "Stock":
        words = [str(word) for word in rng.permutation(TOPICS[topic])]
        bars = [str(colour) for colour in rng.permutation(list(COLOURS))]
        names = [" ".join(pair) for pair in draw_pairs(rng, pairs)]
        return cls({"pair": names, "word": words[:KEYS], "bar": bars}, words[KEYS:], held)

    def left(self, kind: str) -> int:
        """The number of keys that a row of this kind may take."""
        return len(self.keys[kind]) - LEAST[kind] * self.held[kind]

    def fits(self, kind: str, columns: int) -> bool:
        """Say whether a row of this kind has keys left, and room in as many columns."""
        return self.left(kind) >= LEAST[kind] and columns >= LEAST[kind] + (kind == "bar")


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
    """Lay out page ``item`` with up to ``blocks`` rows of ``kinds``, first one of each in ``must``.

    Places that stay free get words at random. Raises CoreheadError if ``must`` does not fit.
    """
    columns, rows = size[0] // STEP, size[1] // STEP - 1  # the heading takes one
    chosen: list[list[Entry]] = []  # each row's entries, as if it stood at y = 0
    for place in range(max(min(blocks, rows), len(must))):
        if place < len(must):
            kind = must[place]
            stock.held[kind] -= 1
            if place >= rows or not stock.fits(kind, columns):
                raise CoreheadError(
                    f"A page of {size[0]} x {size[1]} pixels has no room for a {kind!r} entry, or the document"
                    " no key."
                )
        else:
            fitting = [kind for kind in kinds if stock.fits(kind, columns)]
            if not fitting:
                break
            kind = str(rng.choice(fitting))
        chosen.append(_row(rng, stock, item, kind, columns))
    entries: list[Entry] = []
    texts: list[tuple[int, int, str]] = []
    for row, number in enumerate(rng.permutation(rows), start=1):
        made = chosen[number] if number < len(chosen) else []
        entries += [_lowered(entry, STEP * row) for entry in made]
        if all(entry.kind == "word" for entry in made):
            taken = {entry.box.x0 for entry in made}
            free = [STEP * column for column in range(columns) if STEP * column not in taken]
            texts += [(x, STEP * row, filler_word(rng, stock.fillers)) for x in free if rng.random() < 0.5]
    return Page(size, item + 1, str(rng.choice(TITLES)), colour, tuple(entries), tuple(texts))


def filler_word(rng: np.random.Generator, fillers: list[str]) -> str:
    """Draw a word that is no key."""
    return str(rng.choice(fillers if rng.random() < 0.5 else SMALL_WORDS))


def _lowered(entry: Entry, by: int) -> Entry:
    boxes = [Box(b.x0, b.y0 + by, b.x1, b.y1 + by, b.item) for b in (entry.box, entry.block)]
    return Entry(entry.kind, entry.key, entry.digit, *boxes)


def _row(rng: np.random.Generator, stock: Stock, item: int, kind: str, columns: int) -> list[Entry]:
    """Make a row of entries, one cell each; a chart stands together, with its axis one cell to the left."""
    axis = int(kind == "bar")
    number = int(rng.integers(LEAST[kind], min(columns - axis, stock.left(kind)) + 1))
    if axis:
        places = np.arange(number) + int(rng.integers(1, columns - number + 1))
    else:
        places = np.sort(rng.choice(columns, number, replace=False))
    block = Box(STEP * int(places[0] - axis), 0, STEP * int(places[-1] + 1), STEP, item)
    made = []
    for place in places:
        digit = str(rng.integers(1, 9)) if axis else str(rng.choice(DIGITS))
        box = Box(STEP * int(place), 0, STEP * int(place + 1), STEP, item)
        made.append(Entry(kind, stock.keys[kind].pop(), digit, box, block))
    return made
