"""Videos with PyAV: how many frames there are, and chosen ones of them, decoded when somebody looks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import overload

import av
import numpy as np
from PIL import Image

from corehead_lib.errors import CoreheadError

FAR = 300  # frames; a longer gap is jumped, not decoded, where an exact frame number is not needed


@dataclass(frozen=True)
class VideoInfo:
    """Frame count, rate in frames per second, and size in pixels as shown (rotation applied)."""

    frames: int
    fps: float
    size: tuple[int, int]


def probe(path: Path, count: bool = True) -> VideoInfo:
    """Look at a video, once until its file changes: its first frame is decoded; ``count`` counts packets instead of
    trusting the header.

    Raises CoreheadError if the file is missing, damaged or has no video.
    """
    if not path.is_file():
        raise CoreheadError(f"missing video: {path}")
    state = path.stat()
    info = _probe(path, count, state.st_size, state.st_mtime_ns)
    if isinstance(info, str):
        raise CoreheadError(info)
    return info


@lru_cache(maxsize=16384)
def _probe(path: Path, count: bool, *_: int) -> VideoInfo | str:
    """What ``probe`` returns, or says: a broken video is not tried again for each question about it."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            first = _upright(next(container.decode(stream)))
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            seconds = (container.duration or 0) / av.time_base
            frames = 0 if count else stream.frames or round(seconds * fps)
        if not frames:
            with av.open(str(path)) as container:
                frames = sum(packet.size > 0 for packet in container.demux(video=0))
    except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
        return f"unreadable video: {path}: {error}"
    if not (frames and fps > 0):
        return f"unreadable video: {path}: {frames} frames at {fps} per second"
    return VideoInfo(frames, fps, first.size)


def spread(start: int, stop: int, most: int) -> list[int]:
    """At most ``most`` frame numbers of ``start <= f < stop``, evenly spaced, both ends included."""
    if stop - start <= most:
        return list(range(start, stop))
    return np.linspace(start, stop - 1, most).round().astype(int).tolist()


class VideoFrames(Sequence[Image.Image]):
    """Frames ``numbers`` (rising) of a video, RGB; nothing is decoded before it is asked for.

    Iterating decodes in one pass and keeps nothing; ``frames[i]`` keeps the frames of the last two videos asked.
    exact: count frames from the start; otherwise jump long gaps by time stamp, much faster in long
        videos, and exact only where the frame rate is constant.
    """

    def __init__(self, path: Path, numbers: Sequence[int], exact: bool = True) -> None:
        self.path, self.numbers, self.exact = path, tuple(numbers), exact

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, i: int) -> Image.Image: ...
    @overload
    def __getitem__(self, i: slice) -> list[Image.Image]: ...
    def __getitem__(self, i):
        return _kept(self.path, self.numbers, self.exact)[i]

    def __iter__(self) -> Iterator[Image.Image]:
        """Raises CoreheadError if the video ends, or breaks, before the last frame."""
        found = 0
        try:
            for image in self._frames():
                yield image
                found += 1
        except (av.FFmpegError, OSError) as error:
            raise CoreheadError(f"unreadable video: {self.path}: {error}") from error
        if found < len(self.numbers):
            raise CoreheadError(f"short video: {self.path} ends before frame {self.numbers[found]}")

    def _frames(self) -> Iterator[Image.Image]:
        wanted = list(self.numbers)
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            number, decoded, jumped = -1, container.decode(stream), -1
            while wanted:
                far = not self.exact and wanted[0] - number > FAR and wanted[0] != jumped
                if far and stream.average_rate and stream.time_base:
                    jumped = wanted[0]
                    begin = stream.start_time or 0
                    step = float(1 / (stream.average_rate * stream.time_base))
                    container.seek(int(begin + wanted[0] * step), stream=stream)
                    decoded = container.decode(stream)
                    frame = next(decoded, None)
                    number = -1 if frame is None else round(((frame.pts or 0) - begin) / step)
                else:
                    frame = next(decoded, None)
                    number += 1
                if frame is None:
                    return
                if number >= wanted[0]:
                    yield _upright(frame)
                    wanted.pop(0)


def _upright(frame: av.VideoFrame) -> Image.Image:
    turn = int(getattr(frame, "rotation", 0) or 0) % 360
    image = frame.to_image()
    return image.rotate(turn, expand=True) if turn else image


@lru_cache(maxsize=2)
def _kept(path: Path, index: tuple[int, ...], exact: bool) -> list[Image.Image]:
    return list(VideoFrames(path, index, exact))
