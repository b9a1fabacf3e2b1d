"""What every dataset yields: a question, its media, its answer, and where the evidence is.

Nothing here knows of models or tokens. Coordinates are pixels of the source item, as the
item is seen after EXIF rotation; indices count from zero; ranges are half open.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from PIL import Image

from corehead_lib.errors import CoreheadError

MEDIA = "\ufffc"  # Unicode's OBJECT REPLACEMENT CHARACTER: in a context, the place of the next media item


@dataclass(frozen=True)
class Clip:
    """A video as it is handed to a model: its frames, all of one size, in order.

    ``frames`` may decode lazily; ``index`` are the frames' numbers in the source video (0, 1, 2, ... if
    empty), ``fps`` is the source's frame rate, in frames per second.
    """

    frames: Sequence[Image.Image] = field(repr=False)
    fps: float = 24.0
    index: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.frames) or (self.index and len(self.index) != len(self.frames)):
            raise CoreheadError(f"A clip of {len(self.frames)} frames cannot have {len(self.index)} indices.")
        if not 0 < self.fps < inf:
            raise CoreheadError(f"fps={self.fps}: a clip needs a positive frame rate.")
        if self.index and (min(self.index) < 0 or list(self.index) != sorted(self.index)):
            raise CoreheadError(f"index={self.index}: frames are counted from 0 and stand in order.")


Media = Image.Image | Clip


@dataclass(frozen=True)
class Box:
    """A rectangle ``(x0, y0, x1, y1)`` in pixels of media item ``item``, half open.

    ``frame`` is the place in ``Clip.frames`` where it stands; None for an image, or for every frame.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    item: int = 0
    frame: int | None = None

    def __post_init__(self) -> None:
        if not (self.x0 < self.x1 and self.y0 < self.y1):  # also false for NaN
            raise CoreheadError(f"{self} has no area: a box needs x0 < x1 and y0 < y1.")
        if self.x0 < 0 or self.y0 < 0 or self.item < 0:
            raise CoreheadError(f"{self} starts outside its item: coordinates count from 0.")

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1."""
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True)
class Pages:
    """Whole media items, such as pages of a document: ``index`` holds their numbers."""

    index: tuple[int, ...]


@dataclass(frozen=True)
class Frames:
    """Frames ``start <= f < stop``, places in ``Clip.frames`` of the clip that is media item ``item``."""

    start: int
    stop: int
    item: int = 0


@dataclass(frozen=True)
class TextSpan:
    """Characters ``start <= c < stop`` of the sample's context."""

    start: int
    stop: int


Evidence = Box | Pages | Frames | TextSpan


def lies_in(piece: Evidence, item: int, frame: int) -> bool:
    """Whether a piece of evidence is in one frame of a media item; an image is its own frame 0."""
    match piece:
        case Box():
            return piece.item == item and piece.frame in (None, frame)
        case Pages():
            return item in piece.index
        case Frames():
            return piece.item == item and piece.start <= frame < piece.stop
    return False


@dataclass(frozen=True)
class Sample:
    """One question about some media, or about a text.

    ``context`` is text that stands between the media and the question; where it holds the character MEDIA,
    the next media item stands there instead (as many of them as there are media, or none).
    ``options`` are the answers that the task can have; ``visible`` those that the media show, as often as they do,
    where a guess would be one of them. See ``chance``.
    ``evidence`` is empty for tasks that need none (counting, arithmetic, ...).
    ``group`` names the photograph, document or video that other samples may share; "" if none does.
    ``form`` is the dataset's name for the kind of answer (Int, Float, Str, List, None), ``accepted`` are other wordings
    that it counts as right; both are for ``judge``.
    """

    id: str
    task: str
    question: str
    answer: str
    media: tuple[Media, ...] = field(repr=False)
    evidence: tuple[Evidence, ...] = ()
    options: tuple[str, ...] = field(default=(), repr=False)
    context: str = field(default="", repr=False)
    group: str = ""
    visible: tuple[str, ...] = field(default=(), repr=False)
    form: str = ""
    accepted: tuple[str, ...] = field(default=(), repr=False)
