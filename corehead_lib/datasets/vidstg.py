"""VidSTG: a sentence or a question about one object in a video; its frames, and its box in each (a tube).

Layout: https://github.com/Guaranteer/VidSTG-Dataset; videos and boxes: VidOR, https://xdshang.github.io/docs/vidor.html.
"""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Literal

from corehead_lib.datasets.files import find, read_list, require
from corehead_lib.datasets.geometry import box, scale_to, whole
from corehead_lib.datasets.records import Record
from corehead_lib.datasets.report import Report
from corehead_lib.datasets.video import VideoFrames, VideoInfo, probe, spread
from corehead_lib.datasets.vidor import box_at
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Clip, Frames, Sample

TASKS = ("declarative", "interrogative")
FRAMES = 32  # of one clip, shown at most


def records(
    folder: Path,
    report: Report,
    evidence: Literal["frames", "tube"] = "frames",
    frames: int = FRAMES,
    subset: str = "test",
) -> Iterator[Record]:
    """Yield one record per sentence and per question of ``subset`` (train, val or test). Groups are videos.

    The media is one clip: the record's used_segment, at most ``frames`` frames of it, evenly spaced. Frame numbers of
    the file count from 0 and end before end_fid. Evidence is the sampled frames inside the event, or the target's box
    in each of them. If the spacing misses a short event, the sampled frame next to it moves into it, and that is noted.
    Seconds in question and answer count from the start of the video, as the time marks do that processors make of ``index``
    and ``fps``; the question says which of them are shown, for models that get no time marks.

    Raises CoreheadError if annotations or videos are missing.
    """
    if evidence not in ("frames", "tube"):
        raise CoreheadError(f"vidstg has frames or a tube as evidence, not {evidence!r}.")
    if subset not in ("train", "val", "test") or type(frames) is not int or frames < 1:
        raise CoreheadError(
            f"subset={subset!r}, frames={frames}: vidstg has train, val and test; one frame at least."
        )
    source = require("vidstg", folder, (f"**/{subset}_annotations.json",))[0]
    require("vidstg", folder, ("**/*.mp4",))
    videos = {path.stem: path for path in find(folder, ("**/*.mp4",))}
    tubes = {path.stem: path for path in find(folder, ("**/*.json",)) if path.stem in videos}
    for i, entry in enumerate(read_list(source, report)):
        vid = str(entry.get("vid", i) if isinstance(entry, dict) else i)
        for task, key in (("declarative", "captions"), ("interrogative", "questions")):
            with report.guard(f"vidstg/{subset}/{i}/{key}"):
                for n, sentence in enumerate(entry[key]):
                    id = f"vidstg/{subset}/{i}/{key}/{n}"
                    yield _record(id, vid, task, entry, sentence, videos, tubes, evidence, frames, report)


def _record(
    id: str,
    vid: str,
    task: str,
    entry: dict,
    sentence: dict,
    videos: dict[str, Path],
    tubes: dict[str, Path],
    evidence: str,
    most: int,
    report: Report,
) -> Record:
    def build() -> Sample:
        if vid not in videos:
            raise CoreheadError(f"missing video: {vid}.mp4")
        start, stop = event(entry)
        fps, info = rate(entry), probe(videos[vid])
        _same_video(vid, entry, fps, info)
        if info.frames < stop:
            raise CoreheadError(f"short video: {vid} has {info.frames} frames, the event ends at {stop}")
        index, inside = sample_clip(entry, info.frames, most, report)
        clip = Clip(VideoFrames(videos[vid], index), fps=fps, index=tuple(index))
        if evidence == "frames":
            pieces: tuple[Frames | Box, ...] = (Frames(inside.start, inside.stop),)
        else:
            pieces = _tube(tubes, vid, sentence["target_id"], index, inside, info, entry, report)
        text = sentence["description"].strip()
        if not text:
            raise CoreheadError("bad question: it is empty")
        if task == "interrogative":
            names = {thing["tid"]: thing["category"] for thing in entry["subject/objects"]}
            return Sample(id, task, text, names[sentence["target_id"]], (clip,), pieces)
        shown = f"{index[0] / fps:.1f} to {(index[-1] + 1) / fps:.1f}"
        question = (
            f'You see seconds {shown} of a video. During which of its seconds can one see this: "{text}"'
        )
        return Sample(id, task, question, f"{start / fps:.1f} to {stop / fps:.1f}", (clip,), pieces)

    return Record(id, f"video/{vid}", task, build)


def event(entry: dict) -> tuple[int, int]:
    """First frame of the event, and the one after its last. Raises CoreheadError if there is nothing between."""
    start, stop = (entry["temporal_gt"][key] for key in ("begin_fid", "end_fid"))
    if not (type(start) is int and type(stop) is int and 0 <= start < stop):
        raise CoreheadError(f"bad event: frames {start} to {stop}")
    return start, stop


def rate(entry: dict) -> float:
    """Frames per second. Raises CoreheadError if that is no positive number."""
    fps = entry["fps"]
    if not (type(fps) in (int, float) and isfinite(fps) and fps > 0):
        raise CoreheadError(f"bad rate: {fps!r} frames per second")
    return float(fps)


def _same_video(vid: str, entry: dict, fps: float, info: VideoInfo) -> None:
    """Raise CoreheadError if the file was encoded anew at another rate, so that its frames may have other numbers."""
    count = whole(entry["frame_count"]) if "frame_count" in entry else 0
    if abs(info.fps / fps - 1) > 0.02 and abs(info.frames / max(count, 1) - 1) > 0.02:
        raise CoreheadError(
            f"other frames: {vid} has {info.frames} frames at {info.fps:.2f} per second, the annotation is of {count or 'an unknown number'} at {fps:.2f}"
        )


def sample_clip(entry: dict, total: int, most: int, report: Report) -> tuple[list[int], range]:
    """Frame numbers of the clip to show, and the places among them that lie in the event.

    ``total``: frames that the video really has; the clip is cut there.
    """
    start, stop = event(entry)
    begin, end = (entry["used_segment"][key] for key in ("begin_fid", "end_fid"))
    if not (type(begin) is int and type(end) is int and 0 <= begin <= end):
        raise CoreheadError(f"bad clip: frames {begin} to {end}")
    end = max(end, stop)  # used_segment is one short at the video's end
    if begin > start:
        raise CoreheadError(f"bad event: frame {start} lies before the clip, which begins at {begin}")
    if end > total:
        report.notes["clips cut to the frames that the video has"] += 1
    index = spread(begin, min(end, total), most)
    inside = [place for place, frame in enumerate(index) if start <= frame < stop]
    if not inside:
        middle = (start + stop - 1) // 2
        nearest = min(range(len(index)), key=lambda place: abs(index[place] - middle))
        index[nearest] = middle
        inside = [nearest]
        report.notes["frames moved into an event too short for the spacing"] += 1
    return index, range(inside[0], inside[-1] + 1)


def _tube(
    tubes: dict[str, Path],
    vid: str,
    target: int,
    index: list[int],
    inside: range,
    info: VideoInfo,
    entry: dict,
    report: Report,
) -> tuple[Box, ...]:
    if vid not in tubes:
        raise CoreheadError(f"missing annotation: {vid}.json of VidOR")
    scale = scale_to(info.size, (whole(entry["width"]), whole(entry["height"])), vid)
    made = []
    for place in inside:
        corners = box_at(tubes[vid], target, index[place])
        made.append(box(corners, info.size, report, scale=scale, frame=place))
    return tuple(made)
