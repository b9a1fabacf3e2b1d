"""Evidence and cells in, target tokens out. The same for every model family."""

from functools import singledispatch
from typing import Literal

import numpy as np

from corehead_lib.cells.table import Cells
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Evidence, Pages

Overlap = Literal["any", "centre"] | float


def target_cells(evidence: tuple[Evidence, ...], cells: Cells, overlap: Overlap = "any") -> np.ndarray:
    """Mark the cells that show the evidence, (N,) bool.

    overlap: which cells a box takes: "any" that shares area with it, those whose "centre" lies in
        it, or those covered by it to at least this fraction (0 < fraction <= 1).

    Raises CoreheadError if there is no evidence, if a box or page lies outside the media, or if no
    cell is taken: an empty target would give every head a silent zero.
    """
    if not evidence:
        raise CoreheadError("This sample has no evidence, so it has no target (a control task?).")
    if not (overlap in ("any", "centre") or (isinstance(overlap, float) and 0 < overlap <= 1)):
        raise CoreheadError(f"overlap={overlap!r}: use 'any', 'centre' or a fraction in (0, 1].")
    taken = np.zeros(len(cells), dtype=bool)
    for piece in evidence:
        taken |= _cells_of(piece, cells, overlap)
    if not taken.any():
        raise CoreheadError(f"No cell shows {evidence} under overlap={overlap!r}: the target is empty.")
    return taken


def target_tokens(
    evidence: tuple[Evidence, ...], cells: Cells, length: int, overlap: Overlap = "any"
) -> np.ndarray:
    """Like ``target_cells``, but marks places in the sequence, (length,) bool."""
    mask = np.zeros(length, dtype=bool)
    mask[cells.position[target_cells(evidence, cells, overlap)]] = True
    return mask


@singledispatch
def _cells_of(evidence: Evidence, cells: Cells, overlap: Overlap) -> np.ndarray:
    raise CoreheadError(f"There is no rule yet that turns {type(evidence).__name__} evidence into cells.")


@_cells_of.register
def _(evidence: Box, cells: Cells, overlap: Overlap) -> np.ndarray:
    if evidence.item >= len(cells.sizes):
        raise CoreheadError(f"{evidence} lies in item {evidence.item}, but there are {len(cells.sizes)}.")
    width, height = cells.sizes[evidence.item]
    if evidence.x1 > width or evidence.y1 > height:
        raise CoreheadError(f"{evidence} reaches outside its image of {width} x {height} pixels.")
    x0, y0, x1, y1 = cells.box.T
    if overlap == "centre":
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        inside = (evidence.x0 <= x) & (x < evidence.x1) & (evidence.y0 <= y) & (y < evidence.y1)
    else:
        wide = np.clip(np.minimum(x1, evidence.x1) - np.maximum(x0, evidence.x0), 0, None)
        high = np.clip(np.minimum(y1, evidence.y1) - np.maximum(y0, evidence.y0), 0, None)
        share = wide * high / ((x1 - x0) * (y1 - y0))
        rounding = 1e-9  # a shared edge is no overlap
        inside = share > rounding if overlap == "any" else share >= float(overlap) - rounding
    return inside & (cells.item == evidence.item)


@_cells_of.register
def _(evidence: Pages, cells: Cells, overlap: Overlap) -> np.ndarray:
    missing = set(evidence.index) - set(range(len(cells.sizes)))
    if missing:
        raise CoreheadError(f"Pages {sorted(missing)} do not exist: there are {len(cells.sizes)}, from 0.")
    return np.isin(cells.item, evidence.index)
