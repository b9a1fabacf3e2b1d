"""Evidence and cells in, target tokens out. The same for every model family."""

from functools import singledispatch
from typing import Literal

import numpy as np

from corehead_lib.cells.table import Cells
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Evidence, Frames, Pages, TextSpan

Overlap = Literal["any", "centre"] | float
Views = Literal["both", "parts", "whole"]
Groups = Literal["any", "all"]


def target_cells(
    evidence: tuple[Evidence, ...],
    cells: Cells,
    overlap: Overlap = "any",
    views: Views = "both",
    groups: Groups = "any",
) -> np.ndarray:
    """Mark the cells that show the evidence, (N,) bool.

    overlap: which cells a box takes: "any" that shares area with it, those whose "centre" lies in
        it, or those covered by it to at least this fraction (0 < fraction <= 1).
    views: where an image is shown twice, in parts (tiles) and as a whole (thumbnail or base view),
        take cells of "both", of the "parts" alone, or of the "whole" alone. An item that is shown
        once is not affected.
    groups: where one cell shows several frames, a range of frames takes cells that show "any" of
        its frames, or those "all" of whose frames lie in it. If that is none, because the range is
        empty or shorter than a group, it takes the group that is nearest to it. A box that names
        its frame takes cells of every group that shows the frame.

    Raises CoreheadError if there is no evidence, if a box, page or frame lies outside the media, or
    if no cell is taken: an empty target would give every head a silent zero.
    """
    if not evidence:
        raise CoreheadError("This sample has no evidence, so it has no target (a control task?).")
    if not (overlap in ("any", "centre") or (isinstance(overlap, float) and 0 < overlap <= 1)):
        raise CoreheadError(f"overlap={overlap!r}: use 'any', 'centre' or a fraction in (0, 1].")
    if views not in ("both", "parts", "whole") or groups not in ("any", "all"):
        raise CoreheadError(f"views={views!r}, groups={groups!r}: use both|parts|whole, and any|all.")
    taken = np.zeros(len(cells), dtype=bool)
    for piece in evidence:
        taken |= _cells_of(piece, cells, overlap, groups)
    if views != "both":
        twice = np.isin(cells.item, cells.item[cells.view != "main"])
        taken &= ~twice | ((cells.view == "main") == (views == "parts"))
    if not taken.any():
        raise CoreheadError(
            f"No cell shows {evidence} under overlap={overlap!r}, views={views!r}: the target is empty."
        )
    return taken


def target_tokens(
    evidence: tuple[Evidence, ...],
    cells: Cells,
    context: np.ndarray,
    overlap: Overlap = "any",
    views: Views = "both",
    groups: Groups = "any",
) -> np.ndarray:
    """Like ``target_cells``, but marks places in a sequence of T tokens, (T,) bool; text spans too.

    context: (T, 2) int, the characters start <= c < stop of the context that each token stands for;
        (0, 0) where there are none. A span takes every token that holds a character of it.

    Raises CoreheadError also if characters of a span have no token, as after truncation.
    """
    spans = [piece for piece in evidence if isinstance(piece, TextSpan)]
    seen = tuple(piece for piece in evidence if not isinstance(piece, TextSpan))
    mask = np.zeros(len(context), dtype=bool)
    for span in spans:
        mask |= _span_tokens(span, context)
    if seen or not spans:
        mask[cells.position[target_cells(seen, cells, overlap, views, groups)]] = True
    return mask


def _span_tokens(span: TextSpan, context: np.ndarray) -> np.ndarray:
    """(T,) bool: the tokens that hold a character of the span."""
    if not 0 <= span.start < span.stop:
        raise CoreheadError(f"{span} holds no character: a span needs 0 <= start < stop.")
    taken = (context[:, 0] < span.stop) & (context[:, 1] > span.start)
    covered = np.zeros(span.stop, dtype=bool)
    for start, stop in context[taken]:
        covered[start:stop] = True
    missing = np.flatnonzero(~covered[span.start :]) + span.start
    if len(missing):
        raise CoreheadError(
            f"{span}: its characters {missing[0]} to {missing[-1]} have no token; the context ends at "
            f"{context[:, 1].max(initial=0)}, or the prompt was truncated or holds media there."
        )
    return taken


@singledispatch
def _cells_of(evidence: Evidence, cells: Cells, overlap: Overlap, groups: Groups) -> np.ndarray:
    raise CoreheadError(f"{type(evidence).__name__} evidence has no cells; use target_tokens.")


@_cells_of.register
def _(evidence: Box, cells: Cells, overlap: Overlap, groups: Groups) -> np.ndarray:
    mine = _of_item(evidence, evidence.item, cells)
    width, height = cells.sizes[evidence.item]
    if evidence.x1 > width or evidence.y1 > height:
        raise CoreheadError(f"{evidence} reaches outside its image of {width} x {height} pixels.")
    if evidence.frame is not None:
        length = _length(evidence.item, cells)
        if not 0 <= evidence.frame < length:
            raise CoreheadError(f"{evidence}: item {evidence.item} has {length} frames, from 0.")
        mine &= (cells.frames[:, 0] <= evidence.frame) & (evidence.frame < cells.frames[:, 1])
    x0, y0, x1, y1 = cells.box.T
    area = (x1 - x0) * (y1 - y0)
    if overlap == "centre":
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        inside = (evidence.x0 <= x) & (x < evidence.x1) & (evidence.y0 <= y) & (y < evidence.y1)
    else:
        wide = np.clip(np.minimum(x1, evidence.x1) - np.maximum(x0, evidence.x0), 0, None)
        high = np.clip(np.minimum(y1, evidence.y1) - np.maximum(y0, evidence.y0), 0, None)
        share = wide * high / np.where(area > 0, area, 1)
        rounding = 1e-9  # a shared edge is no overlap
        inside = share > rounding if overlap == "any" else share >= float(overlap) - rounding
    return inside & mine & (area > 0)  # cells without area see only padding


@_cells_of.register
def _(evidence: Pages, cells: Cells, overlap: Overlap, groups: Groups) -> np.ndarray:
    missing = set(evidence.index) - set(range(len(cells.sizes)))
    if missing:
        raise CoreheadError(f"Pages {sorted(missing)} do not exist: there are {len(cells.sizes)}, from 0.")
    return np.isin(cells.item, evidence.index)


@_cells_of.register
def _(evidence: Frames, cells: Cells, overlap: Overlap, groups: Groups) -> np.ndarray:
    mine = _of_item(evidence, evidence.item, cells)
    length = _length(evidence.item, cells)
    if not 0 <= evidence.start <= evidence.stop <= length or evidence.start >= length:
        raise CoreheadError(f"{evidence}: item {evidence.item} has {length} frames, from 0.")
    first, stop = cells.frames.T
    if groups == "any":
        inside = mine & (first < evidence.stop) & (evidence.start < stop)
    else:
        inside = mine & (evidence.start <= first) & (stop <= evidence.stop)
    if inside.any() and evidence.start < evidence.stop:
        return inside
    middle = (evidence.start + max(evidence.stop, evidence.start + 1)) / 2
    away = np.where(mine, abs((first + stop) / 2 - middle), np.inf)
    return mine & (first == first[away.argmin()])


def _of_item(evidence: Evidence, item: int, cells: Cells) -> np.ndarray:
    """(N,) bool: the cells of one media item, which must exist."""
    if not 0 <= item < len(cells.sizes):
        raise CoreheadError(f"{evidence} lies in item {item}, but there are {len(cells.sizes)}, from 0.")
    return cells.item == item


def _length(item: int, cells: Cells) -> int:
    """Frames of a media item; 1 for an image."""
    return int(cells.frames[cells.item == item, 1].max(initial=0))
