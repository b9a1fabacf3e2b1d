"""MMDocIR: questions about long documents, with the pages and the layouts (boxes) that answer them.

Layout and conventions: https://github.com/MMDocRAG/MMDocIR dataset/README.md; its pages count from 0, its boxes are in PDF points.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from corehead_lib.data import parquet
from corehead_lib.data.files import find, read_lines, require
from corehead_lib.data.geometry import box
from corehead_lib.data.images import LazyImage, picture
from corehead_lib.data.page_choice import PAGES, document_group, document_sample
from corehead_lib.data.records import Record
from corehead_lib.data.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Sample

KINDS = ("text", "multimodal", "meta")  # our tasks: what the evidence is made of
TASKS = KINDS
ANNOTATIONS = ("MMDocIR_annotations.jsonl", "*/MMDocIR_annotations.jsonl")
FIELDS = ("doc_name", "passage_id")


def records(
    folder: Path, report: Report, evidence: Literal["pages", "boxes"] = "pages", pages: int = PAGES
) -> Iterator[Record]:
    """Yield one record per question. Groups are documents; at most ``pages`` pages are shown, 0: all.

    evidence: whole pages, or the boxes of the layouts on them, scaled from PDF points to the page image. A bad box is
        clipped or dropped and noted; a question without any usable box is refused.

    Raises CoreheadError if the annotations, or any source of page images, are missing.
    """
    annotations = require("mmdocir", folder, ANNOTATIONS)[0]
    require("mmdocir", folder, ("**/MMDocIR_pages*.parquet", "**/page_images"))
    rows = _page_rows(folder, report)
    images = _page_files(folder)
    for _, document in read_lines(annotations, report):
        questions: list = []
        with report.guard(str(document.get("doc_name"))):
            name, (first, last) = document["doc_name"], document["page_indices"]
            total = last - first + 1  # both ends are included
            page = _pages(name, total, rows, images)
            questions = list(document["questions"])
        for i, question in enumerate(questions):
            with report.guard(f"mmdocir/{name}/{i}"):
                yield _record(f"mmdocir/{name}/{i}", name, question, total, page, evidence, pages, report)


def _record(
    id: str,
    name: str,
    question: dict,
    total: int,
    page: Callable[[int], LazyImage],
    evidence: str,
    most: int,
    report: Report,
) -> Record:
    text, answer = str(question["Q"]), str(question["A"])
    numbers = sorted({int(number) for number in question["page_id"]})
    layouts, task = question["layout_mapping"], kind(question["type"])
    if not numbers:
        raise CoreheadError("no evidence: page_id is empty")
    stray = {int(layout["page"]) for layout in layouts} - set(numbers)
    needed = sorted({*numbers, *stray}) if evidence == "boxes" else numbers

    def boxes(pictures: dict[int, LazyImage]) -> tuple[Box, ...]:
        if stray:
            report.notes["layouts on a page that page_id does not list"] += 1
        made = []
        for layout in layouts:
            size = pictures[int(layout["page"])].size
            width, height = layout["page_size"]
            try:
                scale = (size[0] / width, size[1] / height)
                made.append(box(layout["bbox"], size, report, scale=scale, item=int(layout["page"])))
            except (CoreheadError, ZeroDivisionError):
                report.notes["boxes dropped: not finite, or without area"] += 1
        if not made:
            raise CoreheadError(f"bad box: none of {len(layouts)} layouts can be used")
        return tuple(made)

    def build() -> Sample:
        marked = boxes if evidence == "boxes" else numbers
        return document_sample(id, task, text, answer, total, page, marked, needed, most)

    return Record(id, document_group(name), task, build)


def kind(type: str) -> str:
    """Our task for MMDocIR's ``type``: a word such as "text-only", or a list in a string such as "['Table']"."""
    try:
        parts = ast.literal_eval(type) if type.startswith("[") else [type]
    except (ValueError, SyntaxError):
        parts = [type]
    words = {str(part).lower() for part in parts}
    if any("meta" in word or "layout" in word for word in words):
        return "meta"
    return "text" if all("text" in word for word in words) else "multimodal"


def _page_rows(folder: Path, report: Report) -> dict[tuple[str, int], tuple[Path, int]]:
    """(document, page) -> (parquet file, row)."""
    rows = {}
    for path in find(folder, ("**/MMDocIR_pages*.parquet",)):
        if parquet.columns(path, report):
            for row, values in parquet.rows(path, FIELDS, report):
                with report.guard(f"{path.name}:{row}"):
                    rows[values["doc_name"], int(values["passage_id"])] = (path, row)
    return rows


def _page_files(folder: Path) -> dict[str, dict[int, Path]]:
    """Document -> {number in the file's name: file}, for page images in files."""
    found: dict[str, dict[int, Path]] = {}
    for root in find(folder, ("**/page_images",)):
        for path in root.rglob("*"):
            number = re.search(r"(\d+)$", path.stem)
            if number and path.is_file():
                stem = path.stem[: number.start()]
                name = re.sub(r"[_\-. ]*(page|p)?[_\-. ]*$", "", stem) or path.parent.name
                found.setdefault(name.removesuffix(".pdf"), {})[int(number[1])] = path
    return found


def _pages(
    name: str, total: int, rows: dict, images: dict[str, dict[int, Path]]
) -> Callable[[int], LazyImage]:
    stem = name.removesuffix(".pdf")
    files = images.get(stem, {})
    shift = 1 if files and 0 not in files and total in files else 0  # do the file names count from 1?

    def page(number: int) -> LazyImage:
        if (name, number) in rows:
            path, row = rows[name, number]
            return picture(lambda: parquet.cell(path, row, "image_binary"), f"{name}, page {number}")
        if number + shift in files:
            return picture(files[number + shift])
        raise CoreheadError(f"missing picture: page {number} (from 0) of {name}")

    return page
