"""Evidence to target tokens, against counting pixels one by one."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SAMPLES

from corehead_lib.cells import Cells
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Evidence, Pages
from corehead_lib.targets import target_cells, target_tokens


def grid(*shapes: tuple[int, int, int, int]) -> Cells:
    """Cells of items given as (columns, rows, cell width, cell height), with text before each item."""
    boxes, items, positions, place = [], [], [], 0
    for item, (columns, rows, wide, high) in enumerate(shapes):
        place += 3
        for row in range(rows):
            for column in range(columns):
                boxes.append([column * wide, row * high, (column + 1) * wide, (row + 1) * high])
                items.append(item)
                positions.append(place)
                place += 1
    return Cells(
        position=np.array(positions, dtype=int),
        item=np.array(items, dtype=int),
        box=np.array(boxes, dtype=float).reshape(-1, 4),
        view=np.full(len(items), "main"),
        frames=np.tile([0, 1], (len(items), 1)),
        sizes=tuple((c * w, r * h) for c, r, w, h in shapes),
    )


def pixels_inside(cell: np.ndarray, box: Box) -> tuple[int, int]:
    """Count the cell's pixels, and those of them that the box holds; coordinates are whole numbers."""
    x0, y0, x1, y1 = cell.astype(int)
    pixels = [(x, y) for x in range(x0, x1) for y in range(y0, y1)]
    return len(pixels), sum(box.x0 <= x < box.x1 and box.y0 <= y < box.y1 for x, y in pixels)


def naive(boxes: tuple[Box, ...], cells: Cells, overlap: Any) -> np.ndarray:
    taken = np.zeros(len(cells), dtype=bool)
    for box in boxes:
        for number, cell in enumerate(cells.box):
            if cells.item[number] != box.item:
                continue
            area, inside = pixels_inside(cell, box)
            if overlap == "any":
                taken[number] |= inside > 0
            elif overlap == "centre":
                x, y = (cell[0] + cell[2]) / 2, (cell[1] + cell[3]) / 2
                taken[number] |= box.x0 <= x < box.x1 and box.y0 <= y < box.y1
            else:
                taken[number] |= inside / area >= overlap
    return taken


def taken_or_none(evidence: tuple[Evidence, ...], cells: Cells, overlap: Any) -> np.ndarray:
    """As target_cells, an empty target as a mask without True."""
    try:
        return target_cells(evidence, cells, overlap)
    except CoreheadError as error:
        assert "the target is empty" in str(error)  # noqa: PT017
        return np.zeros(len(cells), dtype=bool)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[tuple[Box, ...], Cells]:
    """One to three boxes with whole coordinates in one to three items."""
    side, length = st.integers(1, 4), st.integers(2, 7)
    cells = grid(*draw(st.lists(st.tuples(side, side, length, length), min_size=1, max_size=3)))
    boxes = []
    for _ in range(draw(st.integers(1, 3))):
        item = draw(st.integers(0, len(cells.sizes) - 1))
        width, height = cells.sizes[item]
        x = sorted(draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
        y = sorted(draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
        boxes.append(Box(x[0], y[0], x[1], y[1], item))
    return tuple(boxes), cells


fractions = st.sampled_from([0.01, 0.25, 1 / 3, 0.5, 0.75, 1.0])


@given(scenes(), st.sampled_from(["any", "centre"]) | fractions)
@settings(deadline=None)
def test_every_policy_equals_counting_pixels(scene: tuple[tuple[Box, ...], Cells], overlap: Any) -> None:
    boxes, cells = scene
    np.testing.assert_array_equal(taken_or_none(boxes, cells, overlap), naive(boxes, cells, overlap))


@given(scenes())
@settings(deadline=None)
def test_centre_is_a_part_of_any(scene: tuple[tuple[Box, ...], Cells]) -> None:
    assert not (taken_or_none(*scene, "centre") & ~taken_or_none(*scene, "any")).any()


@given(scenes(), fractions, fractions)
@settings(deadline=None)
def test_a_higher_fraction_takes_no_new_cell(
    scene: tuple[tuple[Box, ...], Cells], one: float, other: float
) -> None:
    more, less = taken_or_none(*scene, min(one, other)), taken_or_none(*scene, max(one, other))
    assert not (less & ~more).any()
    assert not (more & ~taken_or_none(*scene, "any")).any()


def test_a_box_that_only_touches_a_cell_does_not_take_it() -> None:
    cells = grid((3, 3, 10, 10))
    assert np.flatnonzero(target_cells((Box(10, 10, 20, 20),), cells)).tolist() == [4]
    assert np.flatnonzero(target_cells((Box(9.99, 10, 20, 20),), cells)).tolist() == [3, 4]


def test_a_box_may_reach_the_pictures_edges() -> None:
    cells = grid((3, 2, 10, 10))
    for overlap in ("any", "centre", 1.0):
        assert target_cells((Box(0, 0, 30, 20),), cells, overlap).all()
    assert np.flatnonzero(target_cells((Box(29.5, 19.5, 30, 20),), cells)).tolist() == [5]


def test_a_full_cell_of_uneven_size_counts_as_covered() -> None:
    """58 pixels in 7 columns: the last edge is 58.000000000000007, which must not matter."""
    edges = np.arange(8) * (58 / 7)
    assert edges[-1] > 58
    box = np.stack([edges[:-1], np.zeros(7), edges[1:], np.full(7, 10.0)], axis=1)
    cells = Cells(
        np.arange(7), np.zeros(7, dtype=int), box, np.full(7, "main"), np.tile([0, 1], (7, 1)), ((58, 10),)
    )
    assert target_cells((Box(0, 0, 58, 10),), cells, 1.0).all()


@pytest.mark.parametrize(
    "box", [Box(0, 0, 31, 5), Box(0, 0, 5, 20.5), Box(40, 5, 45, 9), Box(0, 0, 5, 5, item=1)]
)
def test_a_box_outside_the_media_is_refused(box: Box) -> None:
    with pytest.raises(
        CoreheadError, match=r"reaches outside its image of 30 x 20 pixels\.|there are 1, from 0\."
    ):
        target_cells((box,), grid((3, 2, 10, 10)))


@pytest.mark.parametrize("corners", [(5, 0, 5, 9), (9, 0, 5, 9), (-1, 0, 5, 9), (float("nan"), 0, 5, 9)])
def test_a_box_without_area_or_outside_cannot_be_made(corners: tuple[float, float, float, float]) -> None:
    with pytest.raises(CoreheadError):
        Box(*corners)


@pytest.mark.parametrize("overlap", ["centre", 0.5])
def test_a_target_without_cells_is_refused(overlap: Any) -> None:
    with pytest.raises(CoreheadError, match="the target is empty"):
        target_cells((Box(8, 8, 12, 11),), grid((3, 2, 10, 10)), overlap)


def test_a_control_sample_has_no_target() -> None:
    with pytest.raises(CoreheadError, match="no evidence"):
        target_cells((), grid((3, 2, 10, 10)))


@pytest.mark.parametrize("overlap", ["center", "", 0.0, -0.5, 1.5, float("nan"), None, 2])
def test_an_unknown_overlap_is_refused(overlap: Any) -> None:
    with pytest.raises(CoreheadError, match="use 'any', 'centre' or a fraction"):
        target_cells((Box(0, 0, 5, 5),), grid((3, 2, 10, 10)), overlap)


def test_pages_take_all_cells_of_their_items() -> None:
    cells = grid((2, 2, 10, 10), (3, 1, 10, 10), (1, 4, 10, 10))
    taken = target_cells((Pages((0, 2)),), cells)
    np.testing.assert_array_equal(taken, cells.item != 1)


def test_pages_and_boxes_are_united() -> None:
    cells = grid((2, 2, 10, 10), (3, 1, 10, 10))
    taken = target_cells((Pages((1,)), Box(0, 0, 4, 4)), cells)
    assert np.flatnonzero(taken).tolist() == [0, 4, 5, 6]


@pytest.mark.parametrize("missing", [2, -1])
def test_a_page_that_does_not_exist_is_refused(missing: int) -> None:
    with pytest.raises(CoreheadError, match=rf"Pages \[{missing}\] do not exist: there are 2"):
        target_cells((Pages((0, missing)),), grid((2, 2, 10, 10), (3, 1, 10, 10)))


def test_tokens_stand_where_the_cells_stand() -> None:
    cells = grid((2, 1, 10, 10), (2, 1, 10, 10))  # text at 0-2 and 5-7, cells at 3-4 and 8-9
    mask = target_tokens((Box(10, 0, 20, 10), Box(0, 0, 10, 10, item=1)), cells, np.zeros((12, 2), dtype=int))
    assert mask.shape == (12,)
    assert np.flatnonzero(mask).tolist() == [4, 8]


def test_targets_of_a_batch_are_visual_tokens_of_each_sample(batch: Batch) -> None:
    targets = batch.targets()
    assert not (targets & ~batch.visual).any()
    for row, (sample, cells) in enumerate(zip(SAMPLES, batch.cells, strict=True)):
        expected = target_tokens(sample.evidence, cells, batch.context[row])
        np.testing.assert_array_equal(targets[row].numpy(), expected)
        assert targets[row].sum() == naive(sample.evidence, cells, "any").sum()  # type: ignore[arg-type]
