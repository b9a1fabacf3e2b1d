"""MLVU: multiple-choice questions about long videos. There is no evidence in it: for use downstream only.

Layout: https://github.com/JUNJIE99/MLVU; only tasks with options are read.
"""

from collections.abc import Iterator
from pathlib import Path

from corehead_lib.data.files import find, read_json, require
from corehead_lib.data.records import Record
from corehead_lib.data.report import Report
from corehead_lib.data.video import VideoFrames, probe, spread
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Clip, Sample

TASKS = (
    "1_plotQA",
    "2_needle",
    "3_ego",
    "4_count",
    "5_order",
    "6_anomaly_reco",
    "7_topic_reasoning",
)
FRAMES = 32  # of one video, shown at most
LETTERS = "ABCDEFGH"


def records(folder: Path, report: Report, frames: int = FRAMES) -> Iterator[Record]:
    """Yield one record per multiple-choice question; tasks are the files' names, groups are videos.

    The media is one clip of at most ``frames`` frames, evenly spaced over the whole video. The answer is the letter
    of an option; a question whose answer is none of its options is refused.

    Raises CoreheadError if there are no annotations, or no videos.
    """
    sources = require("mlvu", folder, ("**/[1-7]_*.json",))
    require("mlvu", folder, ("**/video",))
    videos = {(path.parent.name, path.name): path for path in find(folder, ("**/video/**/*.*",))}
    for source in sources:
        task = source.stem
        if task not in TASKS:
            report.notes[f"files of unknown tasks: {source.name}"] += 1
            continue
        for i, entry in enumerate(read_json(source, report)):
            id = f"mlvu/{task}/{i}"
            with report.guard(id):
                yield _record(id, task, entry, videos, frames)


def _record(id: str, task: str, entry: dict, videos: dict[tuple[str, str], Path], most: int) -> Record:
    question, options, answer = entry["question"], entry["candidates"], entry["answer"]
    if answer not in options:
        raise CoreheadError(f"no such option: the answer {answer!r} is none of {options}")
    letters = tuple(LETTERS[: len(options)])
    lines = "".join(f"\n({letter}) {option}" for letter, option in zip(letters, options, strict=True))
    text = f"{question.strip()}{lines}\nAnswer with the letter of the right option."

    def build() -> Sample:
        name = Path(entry["video"]).name
        path = videos.get((task, name)) or videos.get(
            (task.split("_", 1)[1], name)
        )  # some copies drop the number
        if path is None:
            raise CoreheadError(f"missing video: video/{task}/{name}")
        info = probe(path, count=False)
        index = spread(0, info.frames, most)
        clip = Clip(VideoFrames(path, index, exact=False), fps=info.fps, index=tuple(index))
        return Sample(id, task, text, letters[options.index(answer)], (clip,), (), letters)

    return Record(id, f"video/{entry['video']}", task, build)
