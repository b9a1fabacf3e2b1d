"""The table itself."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cells:
    """For each of N visual tokens: its place in the sequence and the source pixels that it sees."""

    position: np.ndarray  # (N,) int64, index in the language model's sequence
    item: np.ndarray  # (N,) int64, media item in order of appearance
    box: np.ndarray  # (N, 4) float64, x0, y0, x1, y1 in pixels of the source item
    view: np.ndarray  # (N,) str: "main"; "thumbnail" or "base" for a view of the whole image beside it
    frames: np.ndarray  # (N, 2) int64, frames start <= f < stop of the item that it shows; (0, 1) for images
    sizes: tuple[tuple[int, int], ...]  # (width, height) in pixels of each item

    def __len__(self) -> int:
        return len(self.position)
