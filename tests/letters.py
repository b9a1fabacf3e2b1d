"""Read printed words back from pixels: every letter compared with every letter there is."""

import numpy as np
from PIL import Image

from corehead_lib.worlds.pages import PAPER, glyph

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 "
SHADES = {letter: 255 - np.array(glyph(letter)).astype(int) for letter in ALPHABET}


def read_word(picture: Image.Image, x: int, y: int, letters: int = 3) -> str:
    """The word whose first letter has its upper left corner at (x, y)."""
    ink = np.array(picture).mean(-1) * 255 / PAPER[0]
    marks = [ink[y : y + 16, x + 8 * i : x + 8 * i + 8] for i in range(letters)]
    return "".join(min(ALPHABET, key=lambda a: float(np.abs(SHADES[a] - mark).sum())) for mark in marks)
