"""Cells of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: one stretched grid per image, or per group of frames, row by row.

Images and frames are stretched (never cropped or padded) to whole cells of patch_size * merge_size pixels;
tokens follow one another row by row, one per cell. Frames are taken in groups of temporal_patch_size,
a last group that is too short repeats its last frame. Source: transformers,
models/qwen2_vl/image_processing_qwen2_vl.py and models/qwen3_vl/{video_processing,processing}_qwen3_vl.py.
"""

import numpy as np

from corehead_lib.cells.table import Layout, Shown, even, lattice, layout, repeated
from corehead_lib.models import LoadedModel


def item_layout(loaded: LoadedModel, item: Shown) -> Layout:
    """Read the grid from ``image_grid_thw`` or ``video_grid_thw``, (t, h, w) in patches before merging."""
    kind, processor = ("video", "video_processor") if item.frames else ("image", "image_processor")
    made_by = getattr(loaded.processor, processor)
    _, height, width = item.inputs[f"{kind}_grid_thw"][item.number].tolist()
    box = lattice(
        even(item.size[0], width // made_by.merge_size), even(item.size[1], height // made_by.merge_size)
    )
    if not item.frames:
        return layout(box)
    first = np.arange(0, item.frames, made_by.temporal_patch_size)
    last = np.minimum(first + made_by.temporal_patch_size, item.frames)
    return repeated(box, np.stack([first, last], axis=1))
