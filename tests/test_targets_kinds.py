"""Frames, boxes in frames, views, padding and text spans to target tokens."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_targets import grid

from corehead_lib.cells import Cells
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Evidence, Frames, Pages, TextSpan
from corehead_lib.targets import target_cells, target_tokens


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
