"""Values from annotation files, made safe: boxes finite, inside the picture, with area; whole numbers; texts."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box

SLACK = 1.0  # pixels over the edge that are rounding, not worth a note


def box(
    corners: Sequence[float],
    size: tuple[int, int],
    report: Report,
    *,
    scale: tuple[float, float] = (1.0, 1.0),
    item: int = 0,
    frame: int | None = None,
) -> Box:
    """Scale ``(x0, y0, x1, y1)`` to pixels and clip it to ``size``; a clip of more than a pixel is noted.

    Raises CoreheadError if a corner is not a finite number, or if no area is left.
    """
    if len(corners) != 4 or not all(type(c) in (int, float) and isfinite(c) for c in corners):
        raise CoreheadError(f"bad box: {corners} are not four finite numbers")
    x0, y0, x1, y1 = (float(c) * scale[i % 2] for i, c in enumerate(corners))
    width, height = size
    clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    if not (clipped[0] < clipped[2] and clipped[1] < clipped[3]):
        raise CoreheadError(f"bad box: {tuple(corners)} has no area in {width} x {height} pixels")
    if any(abs(a - b) > SLACK for a, b in zip(clipped, (x0, y0, x1, y1), strict=True)):
        report.notes["boxes clipped to their picture"] += 1
    return Box(*clipped, item=item, frame=frame)


def scale_to(shown: tuple[int, int], annotated: tuple[int, int], name: str) -> tuple[float, float]:
    """By what boxes are to be scaled, in x and y, that were drawn in a picture of another size than is shown.

    Raises CoreheadError if the shapes differ by more than 2 %: such a picture was turned, cut or padded.
    """
    if min(annotated) < 1:
        raise CoreheadError(f"bad size: {name} has {annotated} pixels, says the annotation")
    scale = (shown[0] / annotated[0], shown[1] / annotated[1])
    if abs(scale[0] / scale[1] - 1) > 0.02:
        raise CoreheadError(f"bad size: {name} is {shown}, the annotation says {annotated}")
    return scale


def whole(value: Any) -> int:
    """A whole number that is written as one: 3, 3.0 or "3". Raises CoreheadError for anything else."""
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    raise CoreheadError(f"bad number: {value!r:.80} is not a whole number")


def written(value: Any) -> str:
    """A text, or a number as text. Raises CoreheadError for anything else, such as null."""
    if isinstance(value, str) or type(value) in (int, float):
        return str(value)
    raise CoreheadError(f"bad text: {value!r:.80}")
