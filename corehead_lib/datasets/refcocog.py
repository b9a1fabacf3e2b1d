"""RefCOCOg: one expression, one box. Reads the original refs and instances, or either parquet mirror.

Layouts: https://github.com/lichengunc/refer, hub lmms-lab/RefCOCOg, hub jxu124/refcocog.
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from corehead_lib.data.images import LazyImage, picture
from corehead_lib.datasets import parquet
from corehead_lib.datasets.files import parse, require
from corehead_lib.datasets.geometry import box, scale_to, whole
from corehead_lib.datasets.pickles import read_pickle
from corehead_lib.datasets.records import Record
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Sample

TASKS = ("refer",)
FORMS = ("**/refs(umd).p", "**/refs(google).p", "**/*.parquet")
# folders of the datasets that lie side by side in refer, or of mirrors in the hub's cache
NAMED = re.compile(r"(?:.*--)?(ref(?:coco(?:g|\+|[-_]?plus)?|clef))")
PHOTOGRAPHS = (
    "train2014 images/mscoco/images/train2014 images/train2014 images mscoco/images/train2014".split()
)
TOLERANCE = 1.0  # pixels, between two statements of the same box


def records(folder: Path, report: Report, subsets: tuple[str, ...] = ("test",)) -> Iterator[Record]:
    """Yield one record per reference of the dataset's own ``subsets`` (UMD: train, val, test share no photograph).

    The first expression of a reference is asked for; the answer is its box "[x0, y0, x1, y1]" in whole pixels of
    the source; ``judge.in_its_units`` asks each model in the units that it answers in. Groups are
    COCO image numbers, so our splits never share a photograph, whatever the subsets. A reference that stands twice
    (lmms-lab's val) is read once.

    ``folder`` may be refer's data/, with refcoco/, refcoco+/ and refcocog/ side by side, or its refcocog/, with images/ beside.

    Raises CoreheadError if ``folder`` holds none of the three forms, or several of them.
    """
    subsets = (subsets,) if isinstance(subsets, str) else subsets
    found = _ours(require("refcocog", folder, FORMS), folder)
    if found[0].suffix == ".p":
        yield from _original(found[0], folder, report, subsets)
        return
    for path in found:
        if path.name.split("-")[0].replace("validation", "val") in subsets:
            if "raw_anns" in parquet.columns(path, report):
                yield from _without_pixels(path, folder, report)
            else:
                yield from _with_pixels(path, report)


def _original(path: Path, folder: Path, report: Report, subsets: tuple[str, ...]) -> Iterator[Record]:
    instances = path.with_name("instances.json")
    if not instances.is_file():
        instances = _ours(require("refcocog", folder, ("**/instances.json",)), folder)[0]
    coco, refs = parse(instances), read_pickle(path)
    if not isinstance(refs, list) or not isinstance(coco, dict):
        raise CoreheadError(
            f"{path} or {instances} is not what RefCOCOg's files look like: a list, and an object."
        )
    boxes, images = _indexed(coco, "annotations", "bbox"), _indexed(coco, "images", "file_name")
    places = _photograph_folders(folder, path.parent)
    for i, ref in enumerate(refs):
        with report.guard(f"ref {ref.get('ref_id', i)}" if isinstance(ref, dict) else f"ref {i}"):
            if ref["split"] not in subsets:
                report.aside["other subsets"] += 1
                continue
            if ref["ann_id"] not in boxes or ref["image_id"] not in images:
                raise CoreheadError("missing annotation: instances.json lacks it")
            corners = boxes[ref["ann_id"]]["bbox"]
            yield _annotated(ref, images[ref["image_id"]], corners, places, report)


def _without_pixels(path: Path, folder: Path, report: Report) -> Iterator[Record]:
    columns = ("ref_id", "image_id", "bbox", "raw_anns", "raw_image_info", "sentences", "file_name")
    places = _photograph_folders(folder, path.parent)
    for row, ref in parquet.rows(path, columns, report):
        with report.guard(f"{path.name}:{row}"):
            corners = json.loads(ref["raw_anns"])["bbox"]  # x, y, width, height: COCO's own
            x, y, width, height = corners
            readings = (corners, [x, y, x + width, y + height])
            if not any(_close(ref["bbox"], reading) for reading in readings):
                raise CoreheadError(f"bad box: bbox {ref['bbox']} is neither reading of raw_anns {corners}")
            yield _annotated(ref, json.loads(ref["raw_image_info"]), corners, places, report)


def _with_pixels(path: Path, report: Report) -> Iterator[Record]:
    seen = set()
    for row, ref in parquet.rows(path, ("question_id", "answer", "bbox", "file_name"), report):
        with report.guard(f"{path.name}:{row}"):
            key = (ref["file_name"], tuple(ref["bbox"]))
            if key in seen:
                report.aside["doubles of a reference"] += 1
                continue
            seen.add(key)
            number = int(re.findall(r"\d+", ref["file_name"])[1])  # COCO_train2014_000000000431.jpg
            expression = next((text for text in ref["answer"] if text.strip()), "")
            read = partial(_embedded, path, row)
            yield _record(f"refcocog/{path.stem}/{row}", number, expression, ref["bbox"], read, report)


def _annotated(ref: dict, image: dict, corners: Any, places: list[Path], report: Report) -> Record:
    """A reference with COCO's entries of its image, which may say how large the annotated photograph was, and of its box."""
    size = (whole(image["width"]), whole(image["height"])) if {"width", "height"} <= set(image) else None
    expression = next((s["sent"] for s in ref["sentences"] if s["sent"].strip()), "")
    read = partial(_photograph, places, image.get("file_name") or ref["file_name"])
    return _record(f"refcocog/{ref['ref_id']}", ref["image_id"], expression, corners, read, report, size)


def _record(
    id: str,
    image: int,
    expression: str,
    xywh: Any,
    read: Any,
    report: Report,
    annotated: tuple[int, int] | None = None,
) -> Record:
    if not expression:
        raise CoreheadError("no expression: all its sentences are empty")
    if len(xywh) != 4 or not all(type(value) in (int, float) for value in xywh):
        raise CoreheadError(f"bad box: {xywh} are not four numbers")

    def build() -> Sample:
        photograph = read()
        x, y, width, height = (float(value) for value in xywh)
        scale = scale_to(photograph.size, annotated or photograph.size, "the photograph")
        target = box((x, y, x + width, y + height), photograph.size, report, scale=scale)
        if scale != (1, 1):
            report.notes["photographs of another size than the annotated ones, boxes scaled"] += 1
        corners = ", ".join(str(round(c)) for c in target.corners)
        question = f"Where is {expression.strip().rstrip('.')}? Answer with its box [x0, y0, x1, y1]."
        return Sample(id, "refer", question, f"[{corners}]", (photograph,), (target,))

    return Record(id, f"coco/{int(image)}", "refer", build)


def _close(a: Any, b: Any) -> bool:
    return len(a) == len(b) == 4 and all(abs(p - q) <= TOLERANCE for p, q in zip(a, b, strict=True))


def _ours(paths: list[Path], folder: Path) -> list[Path]:
    """Those that do not lie in the folder of another dataset. Raises CoreheadError if none or several folders are left."""

    here = folder.absolute()
    above = [*(part for part in here.parts if "--" in part), here.name]

    def dataset(path: Path) -> str:
        parts = (*above, *path.relative_to(folder).parts[:-1])
        named = [match[1] for part in parts if (match := NAMED.fullmatch(part.lower()))]
        return named[-1] if named else ""

    ours = [path for path in paths if dataset(path) == "refcocog"] or [p for p in paths if not dataset(p)]
    where = sorted({str(path.parent) for path in ours})
    if len(where) != 1:
        choose = f"lies in several folders, {', '.join(where)}: choose one of them"
        several = choose if where else "is not among them"
        met = ", ".join(sorted({path.parent.name for path in paths}))
        raise CoreheadError(f"refcocog {several}; {folder} holds {paths[0].name} in {met}.")
    return ours


def _indexed(coco: dict, kind: str, field: str) -> dict[int, dict]:
    """Number -> COCO's entry that has ``field``; entries of another shape are as good as missing."""
    entries = coco.get(kind)
    return {
        entry["id"]: entry
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("id"), int) and field in entry
    }


def _photograph_folders(folder: Path, annotations: Path) -> list[Path]:
    """Where COCO's photographs may lie: in ``folder``, beside the annotations, or in images/ beside their folder."""
    roots = dict.fromkeys((folder, annotations, annotations.parent, folder.parent))
    places = [root / place for root in roots for place in PHOTOGRAPHS]
    return [place for place in places if place.is_dir()] or [folder / PHOTOGRAPHS[0]]


def _photograph(places: list[Path], name: str) -> LazyImage:
    name = re.sub(r"(COCO_train2014_\d{12})_\d+\.jpg$", r"\1.jpg", Path(name).name)
    found = next((place / name for place in places if (place / name).is_file()), None)
    if found is None:
        raise CoreheadError(f"missing picture: {name} is in none of {', '.join(map(str, places))}")
    return picture(found)


def _embedded(path: Path, row: int) -> LazyImage:
    return picture(lambda: parquet.cell(path, row, "image")["bytes"], f"{path.name}:{row}")
