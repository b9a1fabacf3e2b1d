"""Frames of a video by number, on a film whose red block tells the time."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mini.paint import film, time_of

from corehead_lib.datasets import video
from corehead_lib.datasets.video import VideoFrames, probe, spread
from corehead_lib.errors import CoreheadError

FRAMES = 100


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("film") / "a.mp4"
    film(place, FRAMES, size=(128, 48))
    return place


def test_a_video_is_counted_and_measured(path: Path) -> None:
    for count in (True, False):
        assert probe(path, count) == video.VideoInfo(FRAMES, 24.0, (128, 48))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("numbers", [[0, 1, 2], [0, 33, 66, 99], [99], [57, 58, 90], list(range(0, 100, 7))])
def test_frames_come_by_number_counted_or_jumped_to(
    exact: bool, numbers: list[int], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "FAR", 4)
    frames = VideoFrames(path, numbers, exact)
    assert len(frames) == len(numbers)
    for image, number in zip(frames, numbers, strict=True):
        assert abs(time_of(image) - number) < 0.75
    assert abs(time_of(frames[-1]) - numbers[-1]) < 0.75
    assert len(frames[:2]) == min(2, len(numbers))


def test_a_frame_after_the_last_is_an_error(path: Path) -> None:
    with pytest.raises(CoreheadError, match="ends before frame 100"):
        list(VideoFrames(path, [98, 100]))


@given(st.integers(0, 50), st.integers(1, 500), st.integers(1, 64))
def test_numbers_are_spread_from_end_to_end(start: int, length: int, most: int) -> None:
    numbers = spread(start, start + length, most)
    assert len(numbers) == min(length, most)
    assert numbers == sorted(set(numbers))
    assert numbers[0] == start
    assert numbers[-1] == (start + length - 1 if most > 1 or length == 1 else start)
    gaps = [b - a for a, b in pairwise(numbers)]
    assert not gaps or max(gaps) - min(gaps) <= 1
