"""Checks of chapter 02."""

from dataclasses import replace
from itertools import product

import numpy as np

from corehead_lib.course import Expected, exercise
from corehead_lib.encode import encode
from corehead_lib.samples import Box


@exercise("ex-image-count", "answer = ...  # two whole numbers: visual tokens, target tokens")
def count(loaded, example) -> Expected:
    one, (image, box) = loaded[0], (example.media[0], example.evidence[0])
    twice = Box(*(2 * x for x in box.corners))
    large = replace(example, media=(image.resize((2 * image.width, 2 * image.height)),), evidence=(twice,))
    few, many = encode(one, [example]), encode(one, [large])
    tokens, target = (int(x.sum()) for x in (many.visual, many.targets()))
    before, hit = (int(x.sum()) for x in (few.visual, few.targets()))
    mistakes = {
        "That is the picture as it was. A cell keeps its size in pixels, so a larger picture has more.": (
            before,
            hit,
        ),
        "Twice as wide and twice as high: cells grow by both.": (2 * before, 2 * hit),
        "Not every target grows fourfold: draw the box on the cells, and count those that it touches.": (
            tokens,
            4 * hit if 4 * hit != target else hit,
        ),
    }
    return Expected((tokens, target), "Cells by division, the target by counting.", mistakes, 0)


@exercise("ex-image-square", "answer = ...  # two numbers: share wrong on square pictures, and on the others")
def square(mine, samples) -> Expected:
    shape = np.array([s.media[0].width == s.media[0].height for s in samples])

    def split(way):
        wrong = np.asarray(mine[way].share_wrong)
        return tuple(float(wrong[part].mean()) for part in (shape, ~shape) if part.any())

    swapped = split("swapped")
    whole = (float(np.mean(mine["swapped"].share_wrong)),) * 2
    mistakes = {
        "That is *resize forgotten*; take the column *swapped*.": split("resize forgotten"),
        "That is the mean over all pictures; group by whether width and height are equal.": whole,
    }
    return Expected(swapped, "Where both sides are equal, nothing can be swapped.", mistakes)


@exercise("ex-image-small", "answer = ...  # three shares, for sides of 6, 12 and 24 pixels")
def small(cell=32) -> Expected:
    def lost(side):
        found = [any(x <= c < x + side for c in (cell // 2, 3 * cell // 2)) for x in range(cell)]
        return 1 - np.mean([a and b for a, b in product(found, found)]), 1 - np.mean(found)

    both, along = np.array([lost(side) for side in (6, 12, 24)]).T
    mistakes = {
        "That is along one axis. A box has to miss the centres in width *or* in height.": along,
        "A box is lost already if it misses in one of the two directions, not only if it misses in both.": along
        ** 2,
    }
    return Expected(tuple(both), "What is much smaller than a cell is mostly lost.", mistakes)
