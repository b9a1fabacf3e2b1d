"""The visual cell table: where each visual token sits in the sequence, and which pixels it sees.

One file per model family says how it lays out one image or clip; to add a family, write that file and enter
it in FAMILIES. CONTRIBUTING.md has the steps.
"""

from collections.abc import Callable, Sequence

import numpy as np

from corehead_lib.cells import glm, internvl, llava_onevision, qwen3_vl
from corehead_lib.cells.table import Cells, Layout, Shown, layout
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel

FAMILIES: dict[str, Callable[[LoadedModel, Shown], Layout]] = {
    "qwen3_vl": qwen3_vl.item_layout,
    "qwen3_vl_moe": qwen3_vl.item_layout,
    "qwen2_5_vl": qwen3_vl.item_layout,
    "qwen2_vl": qwen3_vl.item_layout,
    "glm4v": glm.item_layout,
    "glm46v": glm.item_layout,
    "internvl": internvl.item_layout,
    "llava_onevision": llava_onevision.item_layout,
}


def layout_of(family: str) -> Callable[[LoadedModel, Shown], Layout]:
    """The layout function of a ``model_type``; CoreheadError for a family that has none."""
    if family not in FAMILIES:
        raise CoreheadError(
            f"No cell table for model type {family!r} yet; known: {', '.join(FAMILIES)}: take a model of one of these, or "
            "add the family as CONTRIBUTING.md says (Add a model family)."
        )
    return FAMILIES[family]


def visual_cells(
    loaded: LoadedModel, items: Sequence[Shown], places: Sequence[np.ndarray], name: str
) -> Cells:
    """Make the cell table of one sample.

    items: the sample's media.
    places: per item, the places of its visual tokens in the sequence.
    name: the sample's id, for the errors.

    Raises CoreheadError for media in an unknown family, or if the processor gave an item another number of
    tokens than the family's layout asks for.
    """
    family = loaded.model.config.model_type
    layouts = [layout_of(family)(loaded, item) for item in items]
    for number, (item, place, made) in enumerate(zip(items, places, layouts, strict=True)):
        if len(place) != made.tokens:
            raise CoreheadError(
                f"{name}: item {number} ({item}) has {len(place)} visual tokens in the sequence, but the "
                f"layout of {family} asks for {made.tokens}; were processor or model settings changed?"
            )

    sizes = tuple(item.source if all(item.source) else item.size for item in items)
    scales = [np.divide(size, item.size) for size, item in zip(sizes, items, strict=True)]
    boxes = [made.box * np.tile(scale, 2) for made, scale in zip(layouts, scales, strict=True)]
    nothing = layout(np.zeros((0, 4)))  # so that a sample without media has an empty table
    none = np.zeros(0, dtype=np.int64)
    return Cells(
        position=np.concatenate([none, *(at[made.place] for at, made in zip(places, layouts, strict=True))]),
        item=np.concatenate([none, *(np.full(len(made.box), number) for number, made in enumerate(layouts))]),
        box=np.concatenate([nothing.box, *boxes]),
        view=np.concatenate([made.view for made in (nothing, *layouts)]),
        frames=np.concatenate([made.frames for made in (nothing, *layouts)]),
        sizes=sizes,
    )


__all__ = ["Cells", "visual_cells"]
