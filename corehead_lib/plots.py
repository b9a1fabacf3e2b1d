"""Figures from plain arrays, in one style, with colours that survive colour blindness.

Each function draws on the axes it is given and returns nothing; notebooks say what is shown.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from PIL import Image

from corehead_lib.cells.table import Cells
from corehead_lib.heads import Head
from corehead_lib.samples import Box, Clip, Sample, lies_in

STYLE = Path(__file__).with_name("corehead.mplstyle")
BLUE, RED, GREEN, PINK, AMBER, SKY, BLACK = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000".split()


def use_style() -> None:
    """Use the book's style for all figures that follow."""
    plt.style.use(STYLE)


def picture(axis: Axes, image: Image.Image) -> None:
    """Show an image in its own pixels, no ticks."""
    axis.imshow(np.asarray(image))
    axis.set(xticks=[], yticks=[], xlim=(-0.5, image.width - 0.5), ylim=(image.height - 0.5, -0.5))
    axis.spines[:].set_visible(False)


def cells_over(
    axis: Axes,
    image: Image.Image,
    boxes: np.ndarray,
    weight: np.ndarray | None = None,
    top: float | None = None,
) -> None:
    """Draw visual cells (N, 4) over their image: a grid, or shaded by ``weight`` (N,), dark where it is zero."""
    picture(axis, image)
    rectangles = [_rectangle(box) for box in boxes]
    if weight is None:
        axis.add_collection(PatchCollection(rectangles, fc="none", ec=SKY, lw=0.7))
        return
    shade = 0.85 * (1 - np.clip(weight / (top or max(float(weight.max()), 1e-12)), 0, 1))
    colours = np.stack([np.zeros_like(shade)] * 3 + [shade], axis=1)
    axis.add_collection(PatchCollection(rectangles, facecolors=colours, ec="none"))


def outline(axis: Axes, box: Sequence[float], colour: str = RED) -> None:
    """Frame a pixel box (x0, y0, x1, y1)."""
    axis.add_patch(_rectangle(box, fill=False, ec=colour, lw=2.5))


def _rectangle(box: Sequence[float], **look: Any) -> Rectangle:
    """A pixel box over a picture; the middle of the first pixel is (0, 0)."""
    x0, y0, x1, y1 = box
    return Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, **look)


def evidence(axis: Axes, sample: Sample, item: int = 0, frame: int = 0) -> None:
    """Frame what of a sample's evidence lies in one picture, page or frame: its boxes, or all of it."""
    media = sample.media[item]
    width, height = media.frames[0].size if isinstance(media, Clip) else media.size
    for piece in sample.evidence:
        if lies_in(piece, item, frame):
            outline(axis, piece.corners if isinstance(piece, Box) else (1, 1, width, height))


def strip(
    axes: Sequence[Axes],
    sample: Sample,
    cells: Cells,
    taken: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    top: float | None = None,
) -> None:
    """Draw a sample's pages, or the frames of its one clip, one to an axis, with the evidence framed.

    taken: (N,) bool, cells to fill over the grid. weight: (N,), shades cells instead; ``top`` is fully bright, or else the
    largest weight of the whole strip. A cell that shows two frames is drawn in both.
    """
    clip = sample.media[0] if isinstance(sample.media[0], Clip) else None
    views = list(clip.frames) if clip else [item for item in sample.media if not isinstance(item, Clip)]
    for number, (axis, image) in enumerate(zip(axes, views, strict=True)):
        first, stop = cells.frames.T
        here = (cells.view == "main") & (
            (first <= number) & (number < stop) if clip else cells.item == number
        )
        shade = () if weight is None else (weight[here], top or float(weight.max()))
        cells_over(axis, image, cells.box[here], *shade)
        if taken is not None:
            mark_cells(axis, cells.box[here & taken])
        evidence(axis, sample, 0 if clip else number, number if clip else 0)


def looks(
    axes: np.ndarray,
    sample: Sample,
    cells: Cells,
    look: np.ndarray,
    heads: Mapping[str, Head],
    landed: Mapping[str, float],
) -> None:
    """Draw where heads look on a sample's pages or frames, a head to a row of ``axes``, all on the scale of the first.

    look: (N, layers, heads) attention to each visual token. landed: what of it lies on the evidence, by the names of ``heads``.
    """
    top = look[:, *next(iter(heads.values()))].max()
    for row, (name, head) in zip(axes, heads.items(), strict=True):
        strip(row, sample, cells, weight=look[:, *head], top=top)
        row[0].set_ylabel(f"{name}: L{head.layer} H{head.head}\n{landed[name]:.2f} on it", fontsize=9)


def mark_cells(axis: Axes, boxes: np.ndarray) -> None:
    """Lay a see-through colour over visual cells (N, 4), to show which ones were taken."""
    rectangles = [_rectangle(box) for box in boxes]
    axis.add_collection(PatchCollection(rectangles, fc=to_rgba(AMBER, 0.4), ec=AMBER, lw=1.2))


def control_strips(
    axis: Axes,
    groups: Mapping[str, Sequence[float]],
    baseline: float,
    chance: float | Mapping[str, float],
) -> None:
    """Draw each group's values as points, one strip a group, with lines for baseline and chance, or several, by name.

    There are seven colours; from the eighth strip on they begin again.
    """
    rng = np.random.default_rng(0)
    colours = (RED, BLUE, AMBER, GREEN, PINK, SKY, BLACK)
    for place, values in enumerate(groups.values()):
        colour = colours[place % len(colours)]
        spread = rng.uniform(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        axis.plot(
            place + spread, values, "o", color=colour, alpha=0.75, ms=6 if len(values) > 1 else 10, mew=0
        )
        if len(values) > 1:
            axis.hlines(float(np.median(values)), place - 0.28, place + 0.28, color=colour, lw=2.5)
    axis.axhline(baseline, color=BLACK, lw=1, ls="--")
    lines = chance if isinstance(chance, Mapping) else {"chance": chance}
    axis.text(len(groups) - 0.45, baseline, " all heads", va="center", fontsize=9)
    for name, value in lines.items():
        axis.axhline(value, color=BLACK, lw=1, ls=":")
        axis.text(len(groups) - 0.45, value, f" {name}", va="center", fontsize=9)
    axis.set_xticks(range(len(groups)), list(groups))
    axis.set(xlim=(-0.5, len(groups) - 0.5), ylim=(-0.03, 1.05), ylabel="accuracy")


def tiles(axis: Axes, words: Sequence[str], colours: Sequence[Any], width: int = 52) -> None:
    """Draw tokens as tiles, wrapped to ``width`` letters, one face colour each; the ink is white on dark ones."""
    x, y = 0, 0
    for word, colour in zip(words, colours, strict=True):
        shown = word.replace("\n", "\u21b5")
        if x + len(shown) > width:
            x, y = 0, y - 1
        axis.add_patch(Rectangle((x, y), len(shown), 0.9, fc=colour, ec="#BBBBBB", lw=0.4))
        ink = "white" if sum(to_rgba(colour)[:3]) < 1.5 else BLACK
        how: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "size": 10,
            "family": "monospace",
            "color": ink,
        }
        axis.text(x + len(shown) / 2, y + 0.42, shown, **how)
        x += len(shown)
    axis.set(xlim=(0, width), ylim=(y - 0.1, 1), xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
