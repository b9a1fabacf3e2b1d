"""Careless ways to cut a picture into cells, none of which raises an error; for comparison, never for measuring.

Each makes a table as if a family's visual tokens were one grid, row by row, from the first one on: no tiles, no
base view or thumbnail, no newlines. ``cells/`` has the exact tables.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from corehead_lib.cells.table import Cells, even, lattice
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.ram import mass
from corehead_lib.targets import target_cells
from corehead_lib.targets_compare import EXACT, Found

Way = Callable[[Cells], Cells]


def cell_side(loaded: LoadedModel) -> int:
    """Pixels of a cell after the processor's resize: merged patches, or a tile's side by its tokens in a row."""
    processor: Any = loaded.processor
    made_by = processor.image_processor
    if hasattr(made_by, "merge_size"):
        return made_by.patch_size * made_by.merge_size
    tokens = getattr(processor, "image_seq_length", None) or processor.num_image_tokens
    return round(made_by.size["height"] / tokens**0.5)


def one_grid(cells: Cells) -> Cells:
    """All visual tokens are one grid of the picture, read row by row."""
    (columns, rows), (width, height) = _shape(cells), cells.sizes[0]
    return _table(cells, even(width, columns), even(height, rows))


def swapped(cells: Cells) -> Cells:
    """One grid, with rows for columns and columns for rows."""
    (columns, rows), (width, height) = _shape(cells), cells.sizes[0]
    return _table(cells, even(width, rows), even(height, columns))


def resize_forgotten(cells: Cells, side: int) -> Cells:
    """One grid of squares of ``side`` pixels, as if the processor had stretched nothing."""
    columns, rows = _shape(cells)
    return _table(cells, even(columns * side, columns), even(rows * side, rows))


def naive_ways(loaded: LoadedModel, seed: int = 0) -> dict[str, Way]:
    """The three above by name, and as a negative control the exact boxes, shuffled."""
    shuffled = np.random.default_rng(seed).permutation
    return {
        "one grid": one_grid,
        "swapped": swapped,
        "resize forgotten": lambda cells: resize_forgotten(cells, cell_side(loaded)),
        "at random": lambda cells: replace(cells, box=shuffled(cells.box)),
    }


def naive_targets(batch: Batch, way: Way) -> torch.Tensor:
    """Target tokens (B, T) of one picture each by the tables of ``way``; none where no cell shows the evidence."""
    found = torch.zeros_like(batch.question)
    for row, (sample, cells) in enumerate(zip(batch.samples, batch.cells, strict=True)):
        table = way(cells)
        with suppress(CoreheadError):  # refused elsewhere; here such a sample counts as wrong
            places = table.position[target_cells(sample.evidence, table)]
            found[row, torch.as_tensor(places, device=found.device)] = True
    return found


def compare_naive(loaded: LoadedModel, batches: Iterable[Batch], seed: int = 0) -> dict[str, Found]:
    """Targets of pictures by every way, and the mass of heads on each at the last prompt token; the exact cells first."""
    ways, parts = naive_ways(loaded, seed), []
    for batch in batches:
        exact = batch.targets()
        masks = torch.stack([exact, *(naive_targets(batch, way) for way in ways.values())])
        counts = [masks.sum(-1), (masks & ~exact).sum(-1), (exact & ~masks).sum(-1)]
        parts.append([*(count.cpu().numpy() for count in counts), mass(loaded, batch, masks, "last")])
    columns = [np.concatenate(column, axis=1) for column in zip(*parts, strict=True)]
    return {name: Found(*(column[k] for column in columns)) for k, name in enumerate((EXACT, *ways))}


def over_main(weight: np.ndarray, cells: Cells) -> np.ndarray:
    """Weights of the main view's cells of one picture, to which a second view adds its own by shared area.

    weight: (N,), one for each cell. What a second view sees and the main one does not is lost.
    """
    main = cells.view == "main"
    (x0, y0, x1, y1), (u0, v0, u1, v1) = cells.box[main].T[..., None], cells.box[~main].T[:, None]
    wide = np.clip(np.minimum(x1, u1) - np.maximum(x0, u0), 0, None)
    high = np.clip(np.minimum(y1, v1) - np.maximum(y0, v0), 0, None)
    return weight[main] + (wide * high / np.maximum((u1 - u0) * (v1 - v0), 1e-9)) @ weight[~main]


def _shape(cells: Cells) -> tuple[int, int]:
    """Columns and rows of the main view of one picture."""
    main = cells.box[cells.view == "main"].round(3)
    return len(np.unique(main[:, 0])), len(np.unique(main[:, 1]))


def _table(cells: Cells, columns: np.ndarray, rows: np.ndarray) -> Cells:
    """Cells row by row, for the visual tokens from the first one on."""
    box = lattice(columns, rows)
    number = len(box)
    return replace(
        cells,
        position=cells.position[0] + np.arange(number),
        item=cells.item[:number],
        box=box,
        view=np.full(number, "main"),
        frames=cells.frames[:number],
    )
