"""RefCOCOg in miniature: the original refs and instances, and both parquet mirrors."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mini.paint import jpeg, painted, save

# COCO image number -> size, red block (x0, y0, x1, y1)
PHOTOGRAPHS = {
    431: ((160, 120), (40, 30, 90, 50)),
    582: ((160, 120), (100, 60, 160, 120)),
    700: ((90, 140), (10, 20, 30, 70)),
}
NAN = float("nan")
# annotation number, image number, box x, y, width, height
ANNOTATIONS = [
    (100, 431, [40.0, 30.0, 50.0, 20.0]),
    (101, 582, [100.0, 60.0, 60.4, 60.3]),  # over the edge by a rounding
    (102, 700, [10.0, 20.0, 20.0, 50.0]),
    (103, 431, [NAN, 30.0, 50.0, 20.0]),
    (104, 999, [1.0, 1.0, 5.0, 5.0]),  # its photograph is missing
    (105, 431, [200.0, 10.0, 20.0, 20.0]),  # outside
]
# reference number, annotation, image, split, sentences
REFS = [
    (10, 100, 431, "test", ["", "the red block"]),
    (11, 101, 582, "test", ["a block at the café's edge"]),
    (12, 102, 700, "val", ["the tall one"]),
    (13, 103, 431, "test", ["a box that is not a number"]),
    (14, 104, 999, "test", ["a photograph that is not there"]),
    (15, 999, 431, "test", ["an annotation that is not there"]),
    (16, 105, 431, "test", ["a box outside"]),
    (17, 100, 431, "test", ["", " "]),
]


def name(number: int) -> str:
    return f"COCO_train2014_{number:012d}.jpg"


def python2(value: Any) -> bytes:
    """Pickle as Python 2 did, protocol 0: byte strings, marks and setters."""

    def emit(value: Any) -> bytes:
        if isinstance(value, dict):
            return b"(d" + b"".join(emit(k) + emit(v) + b"s" for k, v in value.items())
        if isinstance(value, list):
            return b"(l" + b"".join(emit(v) + b"a" for v in value)
        if isinstance(value, str):
            return b"S" + repr(value.encode("latin1"))[1:].encode() + b"\n"
        return f"I{value}\n".encode() if isinstance(value, int) else f"F{value!r}\n".encode()

    return emit(value) + b"."


def photographs(folder: Path, more: dict | None = None) -> None:
    for number, (size, block) in (PHOTOGRAPHS | (more or {})).items():
        save(painted(size, block), folder / "train2014" / name(number))


def another(i: int) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Size and red block of one more photograph."""
    x, y = 7 + 11 * i % 40, 5 + 13 * i % 30
    return (96 + 16 * (i % 3), 80 + 9 * (i % 4)), (x, y, x + 24 + i % 5, y + 20)


def build(folder: Path, more: int = 0) -> Path:
    """refs(umd).p, instances.json and train2014/; ``more`` good records than those above."""
    new = {1000 + i: another(i) for i in range(more)}
    photographs(folder, new)
    boxes = [(n, n, [x0, y0, x1 - x0, y1 - y0]) for n, (_, (x0, y0, x1, y1)) in new.items()]
    references = REFS + [(n, n, n, "test", ["the red block"]) for n in new]
    refs = [
        {
            "ref_id": ref,
            "ann_id": ann,
            "category_id": 1,
            "image_id": image,
            "file_name": name(image).replace(".jpg", f"_{ann}.jpg"),  # the suffix that the README warns of
            "split": split,
            "sent_ids": list(range(len(texts))),
            "sentences": [
                {"raw": text, "sent": text, "sent_id": i, "tokens": text.split()}
                for i, text in enumerate(texts)
            ],
        }
        for ref, ann, image, split, texts in references
    ]
    (folder / "refs(umd).p").write_bytes(python2(refs))
    images = [
        {"id": n, "file_name": name(n), "width": size[0], "height": size[1]}
        for n, (size, _) in (PHOTOGRAPHS | new).items()
    ]
    images.append({"id": 999, "file_name": name(999), "width": 10, "height": 10})
    annotations = [
        {"id": ann, "image_id": image, "bbox": box, "category_id": 1, "segmentation": []}
        for ann, image, box in ANNOTATIONS + boxes
    ]
    (folder / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder


def build_refer(folder: Path) -> Path:
    """data/ of the refer repository: three datasets side by side, photographs in images/mscoco/images/train2014."""
    build(folder / "refcocog")
    (folder / "images" / "mscoco" / "images").mkdir(parents=True)
    (folder / "refcocog" / "train2014").rename(folder / "images" / "mscoco" / "images" / "train2014")
    other = [
        {"ref_id": 10, "ann_id": 100, "image_id": 431, "split": "test", "sentences": [{"sent": "not this"}]}
    ]
    for name, refs in (("refcoco", "refs(google).p"), ("refcoco+", "refs(unc).p")):
        (folder / name).mkdir()
        (folder / name / refs).write_bytes(python2(other))
        (folder / name / "instances.json").write_text('{"images": [], "annotations": []}')
    return folder


def build_lmms(folder: Path, subset: str = "val") -> Path:
    """The mirror with pixels; its val holds a reference twice."""
    rows = [
        (431, ["the red block", "a red thing"], [40.0, 30.0, 50.0, 20.0]),
        (582, ["", "the block in the corner"], [100.0, 60.0, 60.0, 60.0]),
        (431, ["the red block"], [40.0, 30.0, 50.0, 20.0]),
        (700, ["nothing there"], [10.0, 20.0, 0.0, 50.0]),
    ]
    table = pa.table(
        {
            "question_id": [str(i) for i in range(len(rows))],
            "image": [{"bytes": jpeg(painted(*PHOTOGRAPHS[n])), "path": name(n)} for n, _, _ in rows],
            "question": ["Describe the region."] * len(rows),
            "answer": [answers for _, answers, _ in rows],
            "bbox": pa.array([box for _, _, box in rows], pa.list_(pa.float32())),
            "file_name": [name(n) for n, _, _ in rows],
        }
    )
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "data" / f"{subset}-00000-of-00001.parquet", row_group_size=2)
    return folder


def build_jxu124(folder: Path) -> Path:
    """The mirror without pixels, whose bbox is corners in one row, x, y, width, height in another, neither in a third."""
    photographs(folder)
    rows = [
        (20, 431, [40.0, 30.0, 50.0, 20.0], [40.0, 30.0, 90.0, 50.0]),
        (21, 582, [100.0, 60.0, 60.0, 60.0], [100.0, 60.0, 60.0, 60.0]),
        (22, 700, [10.0, 20.0, 20.0, 50.0], [1.0, 2.0, 3.0, 4.0]),
    ]
    table = pa.table(
        {
            "ref_id": [ref for ref, _, _, _ in rows],
            "image_id": [n for _, n, _, _ in rows],
            "bbox": [stated for _, _, _, stated in rows],
            "raw_anns": [json.dumps({"bbox": box}) for _, _, box, _ in rows],
            "raw_image_info": [json.dumps({"file_name": name(n)}) for _, n, _, _ in rows],
            "sentences": [[{"raw": "r", "sent": "the red block", "sent_id": 0, "tokens": ["r"]}]] * len(rows),
            "file_name": [name(n).replace(".jpg", "_1.jpg") for _, n, _, _ in rows],
        }
    )
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "data" / "test-00000-of-00001.parquet")
    return folder
