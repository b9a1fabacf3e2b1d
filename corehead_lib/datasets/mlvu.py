"""MLVU: multiple-choice questions about long videos. There is no evidence in it: for use downstream only.

Layout: https://github.com/JUNJIE99/MLVU; only tasks with options are read.
"""

from collections.abc import Iterator
from pathlib import Path

from corehead_lib.datasets.files import find, read_list, require
from corehead_lib.datasets.geometry import written
from corehead_lib.datasets.records import Record
from corehead_lib.datasets.report import Report
from corehead_lib.datasets.video import VideoFrames, probe, spread
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Clip, Sample

TASKS = tuple("1_plotQA 2_needle 3_ego 4_count 5_order 6_anomaly_reco 7_topic_reasoning".split())
FRAMES = 32  # of one video, shown at most
LETTERS = "ABCDEFGH"


def records(folder: Path, report: Report, frames: int = FRAMES) -> Iterator[Record]:
    """Yield one record per multiple-choice question; tasks are the files' names, groups are videos.

    The media is one clip of at most ``frames`` frames, evenly spaced over the whole video. The answer is the letter
    of an option; a question whose answer is none of its options is refused. An option that stands twice is shown once,
    one without text not at all unless it is the answer, so that one letter is right; the letters then differ from the file's
    places, and that is noted.

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
        for i, entry in enumerate(read_list(source, report)):
            id = f"mlvu/{task}/{i}"
            with report.guard(id):
                yield _record(id, task, entry, videos, frames, report)


def _record(
    id: str, task: str, entry: dict, videos: dict[tuple[str, str], Path], most: int, report: Report
) -> Record:
    question, answer = entry["question"].strip(), entry["answer"]
    given = list(map(written, entry["candidates"]))
    if answer not in given:
        raise CoreheadError(f"no such option: the answer {answer!r} is none of {given}")
    if not question:
        raise CoreheadError("bad question: it is empty")
    spelled = {" ".join(one.split()): one for one in [*reversed(given), answer]}  # the answer as it is
    options = [o for o in dict.fromkeys(given) if o in spelled.values() and (o.strip() or o == answer)]
    if not 2 <= len(options) <= len(LETTERS):
        raise CoreheadError(f"no choice: {len(options)} different options, {given}"[:300])
    letters = tuple(LETTERS[: len(options)])
    lines = "".join(f"\n({letter}) {option}" for letter, option in zip(letters, options, strict=True))
    text = f"{question}{lines}\nAnswer with the letter of the right option."

    def build() -> Sample:
        name = Path(entry["video"]).name
        folders = task, task.split("_", 1)[1]  # some copies drop the number
        path = next((videos[place, name] for place in folders if (place, name) in videos), None)
        if path is None:
            raise CoreheadError(f"missing video: video/{task}/{name}")
        if len(spelled) < len(given):
            doubles = [option for option in given if option.split() == answer.split()]
            twice = "the right option" if len(doubles) > 1 else "a wrong option"
            report.notes[f"questions in which {twice} stands twice, shown once"] += 1
        if not all(option.strip() for option in given):
            what = "the right one, kept" if not answer.strip() else "a wrong one, left out"
            report.notes[f"questions with an option without text: {what}"] += 1
        info = probe(path, count=False)
        index = spread(0, info.frames, most)
        clip = Clip(VideoFrames(path, index, exact=False), fps=info.fps, index=tuple(index))
        return Sample(id, task, text, letters[options.index(answer)], (clip,), (), letters)

    return Record(id, f"video/{entry['video']}", task, build)
