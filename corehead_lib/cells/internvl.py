"""Cells of InternVL: square tiles row by row, then a thumbnail; of a clip, one tile per frame.

An image is stretched to a canvas of tiles, and cut; if that is more than one tile, the whole image follows
once more as a tile of its own. A tile is a square grid of cells: patches, joined two by two in both
directions. Source: transformers, models/got_ocr2/image_processing_got_ocr2.py,
models/internvl/{processing,modeling}_internvl.py.
"""

import numpy as np
from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

from corehead_lib.cells.table import Layout, Shown, even, joined, lattice, layout, repeated
from corehead_lib.models import LoadedModel


def item_layout(loaded: LoadedModel, item: Shown) -> Layout:
    """Work out the tiles from the image's size, as the image processor does."""
    config, processor = loaded.model.config, loaded.processor
    vision = config.vision_config
    high, wide = (
        int(side // patch * config.downsample_ratio)
        for side, patch in zip(vision.image_size, vision.patch_size, strict=True)
    )
    width, height = item.size
    whole = lattice(even(width, wide), even(height, high))
    if item.frames:
        first = np.arange(item.frames)
        return repeated(whole, np.stack([first, first + 1], axis=1))
    made_by = processor.image_processor
    columns = rows = 1
    if processor.images_kwargs.get("crop_to_patches", made_by.crop_to_patches):
        tile = (made_by.size["height"], made_by.size["width"])
        columns, rows = get_optimal_tiled_canvas(
            (height, width), tile, made_by.min_patches, made_by.max_patches
        )
    if columns * rows == 1:
        return layout(whole)
    across, down = even(width, columns * wide), even(height, rows * high)
    tiles = [
        lattice(across[c * wide : (c + 1) * wide], down[r * high : (r + 1) * high])
        for r in range(rows)
        for c in range(columns)
    ]
    return joined(layout(np.concatenate(tiles)), layout(whole, view="thumbnail"))
