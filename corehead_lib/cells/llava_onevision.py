"""Cells of LLaVA-OneVision: the whole image first ("base"), then a map of tiles, a newline after each row.

*One image in the prompt*: stretched to the base square; then resized into the best canvas of tiles, padded to
fill it, cut into tiles; their patches are joined to one map, of which rows or columns of padding are cut off,
and which is shrunk if it is large. *Several images*: each padded to a square, one newline after it.
*Clips*: each frame stretched to the square, its patches pooled two by two (a last odd one for itself), one
newline after the clip. Patches that would not fit whole at the right or lower edge of a square are never
seen. Source: transformers, models/llava_onevision/{image_processing,modeling}_llava_onevision.py.
"""

import math

import numpy as np
from transformers.image_processing_utils import select_best_resolution

from corehead_lib.cells.table import Layout, Shown, joined, lattice, layout, repeated
from corehead_lib.models import LoadedModel


def item_layout(loaded: LoadedModel, item: Shown) -> Layout:
    """Work out the views from the image's size, as image processor and model do."""
    vision = loaded.model.config.vision_config
    square, patch = vision.image_size, vision.patch_size
    side = square // patch  # patches along the square
    (width, height), once = item.size, np.arange(side + 1.0)
    if item.frames:
        pooled = np.linspace(0, side, math.ceil(side / 2) + 1)
        box = lattice(
            _pixels(pooled, side, square, patch) * (width / square),
            _pixels(pooled, side, square, patch) * (height / square),
        )
        first = np.arange(item.frames)
        return joined(repeated(box, np.stack([first, first + 1], axis=1)), _newline())
    seen = _pixels(once, side, square, patch)
    if item.alone:
        base = layout(lattice(seen * (width / square), seen * (height / square)), view="base")
        return joined(base, _tiles(loaded, item, side, square, patch))
    longer = max(width, height)
    x, y = (seen * (longer / square) - (longer - length) // 2 for length in (width, height))
    return joined(layout(lattice(np.clip(x, 0, width), np.clip(y, 0, height))), _newline())


def _tiles(loaded: LoadedModel, item: Shown, side: int, square: int, patch: int) -> Layout:
    """The map of all tiles' patches: unpadded, perhaps shrunk, a newline after each row."""
    config = loaded.model.config
    width, height = item.size
    canvas_height, canvas_width = select_best_resolution((height, width), config.image_grid_pinpoints)
    rows, columns = canvas_height // square * side, canvas_width // square * side
    top = left = 0
    if width / height > columns / rows:
        top = (rows - int(round(height * (columns / width), 7))) // 2
    else:
        left = (columns - int(round(width * (rows / height), 7))) // 2
    kept_rows, kept_columns = rows - 2 * top, columns - 2 * left
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
    ratio = math.sqrt(kept_rows * kept_columns / (most * side**2))
    shrunk = (kept_rows, kept_columns)
    if ratio > 1.1:
        shrunk = (int(kept_rows // ratio), int(kept_columns // ratio))
    down = _pixels(np.linspace(top, rows - top, shrunk[0] + 1), side, square, patch)
    across = _pixels(np.linspace(left, columns - left, shrunk[1] + 1), side, square, patch)
    # the image within the canvas: resized by its tighter side, centred
    scale = min(canvas_width / width, canvas_height / height)
    wide, high = canvas_width, canvas_height
    if canvas_width / width < canvas_height / height:
        high = min(math.ceil(height * scale), canvas_height)
    else:
        wide = min(math.ceil(width * scale), canvas_width)
    x = np.clip((across - (canvas_width - wide) // 2) * (width / wide), 0, width)
    y = np.clip((down - (canvas_height - high) // 2) * (height / high), 0, height)
    made = layout(lattice(x, y))
    place = made.place + made.place // max(shrunk[1], 1)  # one newline for each row before
    return Layout(made.box, made.frames, made.view, place, shrunk[0] * (shrunk[1] + 1))


def _pixels(edges: np.ndarray, side: int, square: int, patch: int) -> np.ndarray:
    """Turn n + 1 edges, counted in patches over all tiles, into (n, 2) intervals of canvas pixels.

    A tile's last ``square - side * patch`` pixels belong to no patch.
    """
    tile = np.floor(edges / side + 1e-9)
    start = tile * square + (edges - tile * side) * patch
    tile = np.ceil(edges / side - 1e-9) - 1
    stop = tile * square + (edges - tile * side) * patch
    return np.stack([start[:-1], stop[1:]], axis=1)


def _newline() -> Layout:
    """One token that shows nothing."""
    none = layout(np.zeros((0, 4)))
    return Layout(none.box, none.frames, none.view, none.place, 1)
