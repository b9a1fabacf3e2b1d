"""Cells of GLM-4.1V and GLM-4.6V: the grids of Qwen2-VL. The frames of a clip stand in the sequence as images do.

transformers tells images and frames by the placeholder alone, and it is the same for both, so one forward pass takes either.
Source: transformers, models/glm46v/{image_processing,video_processing,processing,modeling}_glm46v.py.
"""

from corehead_lib.cells import qwen3_vl
from corehead_lib.cells.table import Layout, Shown
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel


def item_layout(loaded: LoadedModel, item: Shown) -> Layout:
    """Read the grid; CoreheadError for images beside clips, which would be taken for one another."""
    if {"image_grid_thw", "video_grid_thw"} <= set(item.inputs):
        raise CoreheadError(
            "GLM takes images or clips, not both in one sample or batch; ask for them separately."
        )
    return qwen3_vl.item_layout(loaded, item)
