"""MLVU in miniature: two tasks with options, one without."""

import json
from pathlib import Path

from mini.paint import film

FRAMES = 48


def record(video: str, answer: str, **other) -> dict:
    return {
        "video": video,
        "duration": 2.0,
        "question": "What moves?",
        "candidates": ["a ball", "a block", "a cat", "nothing"],
        "answer": answer,
        "question_type": "findNeedle",
        **other,
    }


TASKS = {
    "2_needle": [
        record("needle_1.mp4", "a block"),
        record("needle_1.mp4", "a dog"),  # none of the options
        record("needle_9.mp4", "a cat"),  # its video is missing
    ],
    "4_count": [record("needle_1.mp4", "a ball")],  # the same name in another folder, without its number
    "9_summary": [{"video": "needle_1.mp4", "question": "Summarize.", "answer": "A block moves."}],
}


def build(folder: Path, more: int = 0) -> Path:
    """json/<task>.json and video/<task>/<video>; ``more`` videos."""
    (folder / "json").mkdir(parents=True, exist_ok=True)
    new = [f"more_{i}.mp4" for i in range(more)]
    for task, records in (
        TASKS | {"2_needle": TASKS["2_needle"] + [record(v, "a ball") for v in new]}
    ).items():
        (folder / "json" / f"{task}.json").write_text(json.dumps(records))
    for video in new:
        film(folder / "video" / "2_needle" / video, FRAMES)
    film(folder / "video" / "2_needle" / "needle_1.mp4", FRAMES)
    film(folder / "video" / "count" / "needle_1.mp4", FRAMES // 2)
    return folder
