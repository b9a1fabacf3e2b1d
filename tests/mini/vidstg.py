"""VidSTG with VidOR in miniature: 48 frames at 24 per second, the red block of frame f starts at x = f."""

import json
from pathlib import Path

from mini.paint import film

FRAMES, SIZE = 48, (64, 48)
VIDEO, WIDE = "1001", "1002"  # WIDE is annotated at twice the size that its file has


def record(vid: str, segment: tuple[int, int], event: tuple[int, int], questions: int = 1, **other) -> dict:
    span = ("begin_fid", "end_fid")
    return {
        "vid": vid,
        "fps": 24,
        "frame_count": FRAMES,
        "used_segment": dict(zip(span, segment, strict=True)),
        "width": SIZE[0],
        "height": SIZE[1],
        "subject/objects": [{"tid": 0, "category": "block"}, {"tid": 1, "category": "floor"}],
        "used_relation": {"subject_tid": 0, "object_tid": 1, "predicate": "above", **dict(zip(span, event, strict=True))},
        "temporal_gt": dict(zip(span, event, strict=True)),
        "captions": [{"description": "the red block is above the floor.", "type": "object", "target_id": 0}],
        "questions": [{"description": "what is above the floor?", "type": "object", "target_id": 0}] * questions,
        **other,
    }  # fmt: skip


RECORDS = [
    record(VIDEO, (0, 47), (36, 48)),  # the event ends with the video, one frame after used_segment
    record(VIDEO, (10, 40), (20, 22), questions=2),  # short
    record("1009", (0, 47), (0, 10)),  # its video is missing
    record(VIDEO, (0, 99), (50, 90), frame_count=100),  # the file is shorter than that
    record(VIDEO, (24, 60), (24, 30), questions=0, frame_count=61),  # the clip is, the event is not
    record(WIDE, (0, 47), (10, 20), questions=0, width=128, height=96),
    record(VIDEO, (0, 47), (30, 30), questions=0),  # nothing
    {"vid": VIDEO},
]


def tracks(vid: str) -> dict:
    zoom = 2 if vid == WIDE else 1
    boxes = [
        {"xmin": f * zoom, "ymin": 16 * zoom, "xmax": (f + 12) * zoom, "ymax": 32 * zoom}
        for f in range(FRAMES)
    ]
    return {
        "video_id": vid,
        "video_path": f"0000/{vid}.mp4",
        "frame_count": FRAMES,
        "fps": 24,
        "width": SIZE[0] * zoom,
        "height": SIZE[1] * zoom,
        "subject/objects": [{"tid": 0, "category": "block"}],
        "trajectories": [[{"tid": 0, "bbox": box, "generated": 0, "tracker": "none"}] for box in boxes],
        "relation_instances": [],
    }


def build(folder: Path, more: int = 0) -> Path:
    """annotations/test_annotations.json, and under vidor/ videos and their trajectories; ``more`` videos."""
    new = [str(2000 + i) for i in range(more)]
    records = RECORDS + [record(vid, (0, 47), (4 + i % 20, 20 + i % 20)) for i, vid in enumerate(new)]
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / "test_annotations.json").write_text(json.dumps(records))
    for vid in (VIDEO, WIDE, *new):
        film(folder / "vidor" / "video" / "0000" / f"{vid}.mp4", FRAMES, SIZE)
        place = folder / "vidor" / "annotation" / "validation" / "0000"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{vid}.json").write_text(json.dumps(tracks(vid)))
    return folder
