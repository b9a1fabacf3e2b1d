"""The table itself, and what a family file hands in for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cells:
    """For each of N visual tokens: its place in the sequence and the source pixels that it sees.

    A token that sees only padding has a box without area, at the rim that it lies beyond.
    """

    position: np.ndarray  # (N,) int64, index in the language model's sequence
    item: np.ndarray  # (N,) int64, media item, in the order of ``Sample.media``
    box: np.ndarray  # (N, 4) float64, x0, y0, x1, y1 in pixels of the source item
    view: np.ndarray  # (N,) str: "main"; "thumbnail" or "base" for a view of the whole image beside it
    frames: np.ndarray  # (N, 2) int64, frames start <= f < stop of the item that it shows; (0, 1) for images
    sizes: tuple[tuple[int, int], ...]  # (width, height) in pixels of each item

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Shown:
    """One media item as the processor got it."""

    size: tuple[int, int]  # width, height in pixels as handed over, after EXIF rotation
    frames: int  # of a clip; 0 for an image
    number: int  # among the batch's images, or among its clips
    alone: bool  # the only image of its sample
    inputs: Mapping[str, Any]  # what the processor returned for the batch
    source: tuple[int, int] = (0, 0)  # its size before it was shrunk to a pixel budget; (0, 0): it was not

    def __str__(self) -> str:
        kind = f"clip of {self.frames} frames" if self.frames else "image"
        return f"{kind}, {self.size[0]} x {self.size[1]} pixels"


@dataclass(frozen=True)
class Layout:
    """The n cells of one media item, in the order of its tokens."""

    box: np.ndarray  # (n, 4) float64, pixels of the item
    frames: np.ndarray  # (n, 2) int64
    view: np.ndarray  # (n,) str
    place: np.ndarray  # (n,) int64, which of the item's visual tokens it is: some may show nothing (newlines)
    tokens: int  # the item's visual tokens, those that show nothing included


def even(length: float, parts: int) -> np.ndarray:
    """Cut ``length`` pixels into equal parts: (parts, 2) intervals."""
    edges = np.arange(parts + 1) * (length / parts)
    return np.stack([edges[:-1], edges[1:]], axis=1)


def lattice(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Boxes (rows * columns, 4), row by row, of intervals (columns, 2) in x and (rows, 2) in y."""
    row, column = (axis.ravel() for axis in np.indices((len(rows), len(columns))))
    return np.stack([columns[column, 0], rows[row, 0], columns[column, 1], rows[row, 1]], axis=1)


def layout(box: np.ndarray, frames: np.ndarray | None = None, view: str = "main") -> Layout:
    """The plain case: every visual token is a cell; (n, 4) boxes and (n, 2) frames, (0, 1) if not given."""
    count = len(box)
    shown = np.tile([0, 1], (count, 1)) if frames is None else frames
    return Layout(box, shown, np.full(count, view, dtype="<U9"), np.arange(count), count)


def repeated(box: np.ndarray, groups: np.ndarray) -> Layout:
    """The same (n, 4) boxes once per group of frames, groups (G, 2) one after another."""
    return layout(np.tile(box, (len(groups), 1)), np.repeat(groups, len(box), axis=0))


def joined(first: Layout, second: Layout) -> Layout:
    """One layout after the other."""
    return Layout(
        np.concatenate([first.box, second.box]),
        np.concatenate([first.frames, second.frames]),
        np.concatenate([first.view, second.view]),
        np.concatenate([first.place, first.tokens + second.place]),
        first.tokens + second.tokens,
    )
