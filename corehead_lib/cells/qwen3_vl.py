"""Cells of Qwen3-VL images: one stretched grid per image, row by row.

The image is stretched (never cropped or padded) to whole cells of patch_size * merge_size pixels;
its tokens follow one another row by row, one per cell. Source: transformers,
models/qwen2_vl/image_processing_qwen2_vl.py and models/qwen3_vl/processing_qwen3_vl.py.
"""

from collections.abc import Sequence

import numpy as np
import torch

from corehead_lib.cells.table import Cells
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel


def image_cells(
    loaded: LoadedModel, input_ids: torch.Tensor, grids: torch.Tensor, sizes: Sequence[tuple[int, int]]
) -> Cells:
    """Make the table from ``image_grid_thw``; arguments and errors as in ``visual_cells``."""
    merge = loaded.processor.image_processor.merge_size
    position = (input_ids == loaded.model.config.image_token_id).nonzero().flatten().cpu().numpy()
    shapes = [(int(height) // merge, int(width) // merge) for _, height, width in grids.tolist()]
    expected = sum(rows * columns for rows, columns in shapes)
    if len(position) != expected or len(shapes) != len(sizes):
        raise CoreheadError(
            f"The sequence holds {len(position)} image tokens for {len(sizes)} images, but the processor's "
            f"grids ask for {expected} tokens in {len(shapes)} images."
        )
    items, boxes = [], []
    for number, ((rows, columns), (width, height)) in enumerate(zip(shapes, sizes, strict=True)):
        row, column = (axis.ravel() for axis in np.indices((rows, columns)))
        x, y = width / columns, height / rows
        boxes.append(np.stack([column * x, row * y, (column + 1) * x, (row + 1) * y], axis=1))
        items.append(np.full(rows * columns, number))
    return Cells(
        position=position,
        item=np.concatenate(items) if items else np.zeros(0, dtype=np.int64),
        box=np.concatenate(boxes) if boxes else np.zeros((0, 4)),
        view=np.full(len(position), "main"),
        frames=np.tile([0, 1], (len(position), 1)),
        sizes=tuple(sizes),
    )
