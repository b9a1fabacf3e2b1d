"""Evidence to target tokens, against counting pixels one by one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SAMPLES

from corehead_lib.cells import Cells
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Evidence, Frames, Pages, TextSpan
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


def clip(frames: int, together: int, columns: int = 2, rows: int = 2) -> Cells:
    """A clip of 10-pixel cells, ``together`` frames to a group; a last group may be shorter."""
    group = grid((columns, rows, 10, 10))
    starts = np.repeat(np.arange(0, frames, together), len(group))
    count = len(starts) // len(group)
    return Cells(
        position=np.arange(len(starts)),
        item=np.zeros(len(starts), dtype=int),
        box=np.tile(group.box, (count, 1)),
        view=np.full(len(starts), "main"),
        frames=np.stack([starts, np.minimum(starts + together, frames)], axis=1),
        sizes=group.sizes,
    )


def shown(cells: Cells, taken: np.ndarray) -> list[int]:
    """The frames that the taken cells show."""
    return sorted({int(frame) for pair in cells.frames[taken] for frame in range(*pair)})


@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_any_group_that_shows_a_frame_of_the_range(frames: int, together: int, data: st.DataObject) -> None:
    cells = clip(frames, together)
    start = data.draw(st.integers(0, frames - 1))
    stop = data.draw(st.integers(start + 1, frames))
    expected = [any(start <= f < stop for f in range(*pair)) for pair in cells.frames]
    assert target_cells((Frames(start, stop),), cells).tolist() == expected
    whole = [all(start <= f < stop for f in range(*pair)) for pair in cells.frames]
    if any(whole):
        assert target_cells((Frames(start, stop),), cells, groups="all").tolist() == whole


@pytest.mark.parametrize(
    ("start", "stop", "groups", "expected"),
    [
        (3, 4, "all", [2, 3]),  # half a pair
        (3, 5, "all", [2, 3]),  # halves of two pairs, as near to one as to the other: the first
        (4, 4, "any", [4, 5]),  # an empty range: the group at that place
        (6, 6, "all", [6]),
        (1, 1, "any", [0, 1]),
    ],
)
def test_a_range_without_a_group_takes_the_nearest(
    start: int, stop: int, groups: Any, expected: list[int]
) -> None:
    cells = clip(frames=7, together=2)
    assert shown(cells, target_cells((Frames(start, stop),), cells, groups=groups)) == expected


@pytest.mark.parametrize(("start", "stop"), [(0, 8), (7, 7), (-1, 2), (3, 2)])
def test_frames_that_do_not_exist_are_refused(start: int, stop: int) -> None:
    with pytest.raises(CoreheadError, match=r"Frames\(start=.*item 0 has 7 frames, from 0"):
        target_cells((Frames(start, stop),), clip(7, 2))


def test_a_box_with_a_frame_takes_the_groups_that_show_the_frame() -> None:
    cells = clip(frames=5, together=2)
    corner = target_cells((Box(0, 0, 5, 5, frame=3),), cells)
    assert np.flatnonzero(corner).tolist() == [4]  # of cells 4 ... 7, which show frames 2 and 3
    moving = tuple(Box(10 * x, 0, 10 * x + 5, 5, frame=2 + x) for x in (0, 1))
    assert np.flatnonzero(target_cells(moving, cells)).tolist() == [4, 5]  # both frames of the pair
    assert np.flatnonzero(target_cells((Box(0, 0, 5, 5),), cells)).tolist() == [0, 4, 8]  # every frame


def test_a_box_in_a_frame_that_does_not_exist_is_refused() -> None:
    with pytest.raises(CoreheadError, match="item 0 has 5 frames"):
        target_cells((Box(0, 0, 5, 5, frame=5),), clip(5, 2))


@pytest.mark.parametrize("evidence", [Frames(0, 1, item=1), Box(0, 0, 5, 5, item=1), Frames(0, 1, item=-1)])
def test_an_item_that_does_not_exist_is_refused(evidence: Evidence) -> None:
    with pytest.raises(CoreheadError, match=r"lies in item -?1, but there are 1, from 0"):
        target_cells((evidence,), clip(5, 2))


def two_views() -> Cells:
    """An image of 40 x 20 pixels as 4 x 2 parts and as a whole of 2 x 2 cells, then one of 20 x 20 in parts."""
    parts, whole, other = grid((4, 2, 10, 10)), grid((2, 2, 20, 10)), grid((2, 2, 10, 10))
    return Cells(
        position=np.arange(16),
        item=np.array([0] * 12 + [1] * 4),
        box=np.concatenate([parts.box, whole.box, other.box]),
        view=np.array(["main"] * 8 + ["thumbnail"] * 4 + ["main"] * 4),
        frames=np.tile([0, 1], (16, 1)),
        sizes=(parts.sizes[0], other.sizes[0]),
    )


@pytest.mark.parametrize(
    ("views", "expected"), [("both", [1, 8, 15]), ("parts", [1, 15]), ("whole", [8, 15])]
)
def test_views_choose_between_parts_and_whole(views: Any, expected: list[int]) -> None:
    evidence = (Box(10, 0, 20, 10), Box(10, 10, 20, 20, item=1))  # item 1 is shown once: not affected
    assert np.flatnonzero(target_cells(evidence, two_views(), views=views)).tolist() == expected


def test_pages_follow_the_views_too() -> None:
    assert target_cells((Pages((0,)),), two_views(), views="whole").sum() == 4


@pytest.mark.parametrize(("views", "groups"), [("tiles", "any"), ("both", "some")])
def test_an_unknown_policy_is_refused(views: Any, groups: Any) -> None:
    with pytest.raises(CoreheadError, match=r"use both\|parts\|whole, and any\|all"):
        target_cells((Box(0, 0, 5, 5),), two_views(), views=views, groups=groups)


def test_a_cell_that_sees_only_padding_is_never_in_a_box() -> None:
    cells = grid((2, 1, 10, 10))
    flat = np.array(
        [[0, 0, 10, 0], [10, 0, 20, 0], [20, 0, 20, 10]], dtype=float
    )  # beyond the upper, right rim
    cells = replace(
        cells,
        box=np.concatenate([cells.box, flat]),
        position=np.arange(5),
        item=np.zeros(5, dtype=int),
        view=np.full(5, "main"),
        frames=np.tile([0, 1], (5, 1)),
    )
    for overlap in ("any", "centre", 0.5):
        assert target_cells((Box(0, 0, 20, 10),), cells, overlap).tolist() == [1, 1, 0, 0, 0]
    assert target_cells((Pages((0,)),), cells).all()


def characters(*pieces: tuple[int, int, int]) -> np.ndarray:
    """A sequence of 12 tokens: (place, start, stop) for those that hold characters of the context."""
    context = np.zeros((12, 2), dtype=int)
    for place, start, stop in pieces:
        context[place] = start, stop
    return context


WORDS = characters((2, 0, 3), (3, 3, 7), (4, 7, 8), (7, 9, 12), (8, 12, 15))  # an image stands at character 8
NOTHING = grid()


@pytest.mark.parametrize(
    ("span", "expected"),
    [((0, 3), [2]), ((2, 4), [2, 3]), ((3, 8), [3, 4]), ((9, 10), [7]), ((11, 15), [7, 8])],
)
def test_a_span_takes_every_token_that_holds_a_character_of_it(
    span: tuple[int, int], expected: list[int]
) -> None:
    assert np.flatnonzero(target_tokens((TextSpan(*span),), NOTHING, WORDS)).tolist() == expected


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((12, 16), "characters 15 to 15 have no token; the context ends at 15"),
        ((20, 22), "characters 20 to 21 have no token; the context ends at 15"),
        ((7, 10), "characters 8 to 8 have no token"),
        ((3, 3), "holds no character"),
        ((-2, 3), "holds no character"),
    ],
)
def test_a_span_without_all_its_tokens_is_refused(span: tuple[int, int], message: str) -> None:
    with pytest.raises(CoreheadError, match=message):
        target_tokens((TextSpan(*span),), NOTHING, WORDS)


def test_a_span_that_truncation_cut_is_refused() -> None:
    with pytest.raises(CoreheadError, match=r"characters 12 to 14 have no token.*truncated"):
        target_tokens((TextSpan(9, 15),), NOTHING, WORDS[:8])


def test_spans_and_boxes_are_united() -> None:
    cells = replace(grid((2, 1, 10, 10)), position=np.array([5, 6]))
    taken = target_tokens((TextSpan(0, 3), Box(0, 0, 5, 5), TextSpan(9, 10)), cells, WORDS)
    assert np.flatnonzero(taken).tolist() == [2, 5, 7]


def test_a_span_has_no_cells() -> None:
    with pytest.raises(CoreheadError, match="TextSpan evidence has no cells; use target_tokens"):
        target_cells((TextSpan(0, 3),), grid((2, 2, 10, 10)))


def test_tokens_stand_where_the_cells_stand() -> None:
    cells = grid((2, 1, 10, 10), (2, 1, 10, 10))  # text at 0-2 and 5-7, cells at 3-4 and 8-9
    mask = target_tokens((Box(10, 0, 20, 10), Box(0, 0, 10, 10, item=1)), cells, characters())
    assert mask.shape == (12,)
    assert np.flatnonzero(mask).tolist() == [4, 8]


def test_targets_of_a_batch_are_visual_tokens_of_each_sample(batch: Batch) -> None:
    targets = batch.targets()
    assert not (targets & ~batch.visual).any()
    for row, (sample, cells) in enumerate(zip(SAMPLES, batch.cells, strict=True)):
        expected = target_tokens(sample.evidence, cells, batch.context[row])
        np.testing.assert_array_equal(targets[row].numpy(), expected)
        assert targets[row].sum() == naive(sample.evidence, cells, "any").sum()  # type: ignore[arg-type]
