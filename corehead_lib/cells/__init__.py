"""The visual cell table: where each visual token sits in the sequence, and which pixels it sees.

One file per model family fills it; to add a family, write that file and enter it in FAMILIES.
"""

from collections.abc import Callable, Sequence

import torch

from corehead_lib.cells import qwen3_vl
from corehead_lib.cells.table import Cells
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel

FAMILIES: dict[str, Callable[..., Cells]] = {"qwen3_vl": qwen3_vl.image_cells}


def visual_cells(
    loaded: LoadedModel, input_ids: torch.Tensor, grids: torch.Tensor, sizes: Sequence[tuple[int, int]]
) -> Cells:
    """Make the cell table of one sample.

    input_ids: (length,) ids of the expanded sequence, padding included.
    grids: (images, 3) the processor's image_grid_thw rows of this sample.
    sizes: (width, height) in pixels of each image, after EXIF rotation.

    Raises CoreheadError for an unknown family, or if tokens and grids disagree in number.
    """
    family = loaded.model.config.model_type
    if family not in FAMILIES:
        raise CoreheadError(f"No cell table for model type {family!r} yet; known: {', '.join(FAMILIES)}.")
    return FAMILIES[family](loaded, input_ids, grids, sizes)


__all__ = ["Cells", "visual_cells"]
