"""What every dataset yields: a question, its media, its answer, and where the evidence is.

Nothing here knows of models or tokens. Coordinates are pixels of the source item, as the
item is seen after EXIF rotation; indices count from zero; ranges are half open.
"""

from dataclasses import dataclass, field

from PIL import Image

from corehead_lib.errors import CoreheadError


@dataclass(frozen=True)
class Box:
    """A rectangle ``(x0, y0, x1, y1)`` in pixels of media item ``item``, half open."""

    x0: float
    y0: float
    x1: float
    y1: float
    item: int = 0

    def __post_init__(self) -> None:
        if not (self.x0 < self.x1 and self.y0 < self.y1):  # also false for NaN
            raise CoreheadError(f"{self} has no area: a box needs x0 < x1 and y0 < y1.")
        if self.x0 < 0 or self.y0 < 0 or self.item < 0:
            raise CoreheadError(f"{self} starts outside its item: coordinates count from 0.")


@dataclass(frozen=True)
class Pages:
    """Whole media items, such as pages of a document: ``index`` holds their numbers."""

    index: tuple[int, ...]


@dataclass(frozen=True)
class Frames:
    """Frames ``start <= f < stop`` of the clip that is media item ``item``."""

    start: int
    stop: int
    item: int = 0


@dataclass(frozen=True)
class TextSpan:
    """Characters ``start <= c < stop`` of the sample's text."""

    start: int
    stop: int


Evidence = Box | Pages | Frames | TextSpan


@dataclass(frozen=True)
class Sample:
    """One question about some media.

    ``options`` are the answers that the task can have, so that ``1 / len(options)`` is chance.
    ``evidence`` is empty for tasks that need none (counting, arithmetic, ...).
    """

    id: str
    task: str
    question: str
    answer: str
    images: tuple[Image.Image, ...] = field(repr=False)
    evidence: tuple[Evidence, ...] = ()
    options: tuple[str, ...] = field(default=(), repr=False)
