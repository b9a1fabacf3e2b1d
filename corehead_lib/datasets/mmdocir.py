"""MMDocIR: questions about long documents, with the pages and the layouts (boxes) that answer them.

Layout and conventions: https://github.com/MMDocRAG/MMDocIR dataset/README.md; its pages count from 0, its boxes are in PDF points.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from corehead_lib.data.images import LazyImage
from corehead_lib.datasets.files import read_lines, require
from corehead_lib.datasets.geometry import box, whole, written
from corehead_lib.datasets.mmdocir_pages import Open, find_pages
from corehead_lib.datasets.names import document_group
from corehead_lib.datasets.page_choice import PAGES, document_sample
from corehead_lib.datasets.records import Record
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Sample

TASKS = ("text", "multimodal", "meta", "untyped")  # what the evidence is made of
WORDS = ("text", "multimodal", "figure", "table", "chart", "image")  # that types are made of
TURNED = 1.5  # times the shape of the page that boxes were drawn in: such a picture was turned or cut
ANNOTATIONS = ("MMDocIR_annotations.jsonl", "*/MMDocIR_annotations.jsonl")


def records(
    folder: Path, report: Report, evidence: Literal["pages", "boxes"] = "pages", pages: int = PAGES
) -> Iterator[Record]:
    """Yield one record per question. Groups are documents; at most ``pages`` pages are shown, 0: all.

    evidence: whole pages, or the boxes of the layouts on them, scaled from PDF points to the page image. A bad box is
        clipped or dropped and noted; a question without any usable box is refused.

    Raises CoreheadError if the annotations, or any source of page images, are missing.
    """
    if evidence not in ("pages", "boxes"):
        raise CoreheadError(f"mmdocir has pages or boxes as evidence, not {evidence!r}.")
    annotations = require("mmdocir", folder, ANNOTATIONS)[0]
    require("mmdocir", folder, ("**/MMDocIR_pages*.parquet", "**/page_images"))
    documents: dict[str, list] = {}
    totals: dict[str, int] = {}
    for _, document in read_lines(annotations, report):
        with report.guard(str(document.get("doc_name"))):
            name, (first, last) = str(document["doc_name"]), document["page_indices"]
            if name in totals:
                raise CoreheadError("a document that stands twice")
            if not (type(first) is type(last) is int and 0 <= first <= last):
                raise CoreheadError(f"bad page_indices: {first} to {last}")
            documents[name], totals[name] = list(document["questions"]), last - first + 1  # both are included
    images, doubts = find_pages(folder, totals, report)
    for name, questions in documents.items():
        for i, question in enumerate(questions):
            with report.guard(f"mmdocir/{name}/{i}"):
                if name in doubts:
                    raise CoreheadError(doubts[name])
                yield _record(
                    f"mmdocir/{name}/{i}", name, question, totals[name], images[name], evidence, pages, report
                )


def _record(
    id: str,
    name: str,
    question: dict,
    total: int,
    images: Mapping[int, Open],
    evidence: str,
    most: int,
    report: Report,
) -> Record:
    text, answer = written(question["Q"]), written(question["A"])
    numbers = sorted({whole(number) for number in question["page_id"]})
    layouts, task = question["layout_mapping"] if evidence == "boxes" else [], kind(question.get("type", ""))
    if not numbers:
        raise CoreheadError("no evidence: page_id is empty")
    if evidence == "boxes" and not layouts:
        raise CoreheadError("no evidence: layout_mapping is empty")
    stray = {whole(layout["page"]) for layout in layouts} - set(numbers)
    needed = sorted({*numbers, *stray})

    def boxes(pictures: dict[int, LazyImage]) -> tuple[Box, ...]:
        if stray:
            report.notes["layouts on a page that page_id does not list"] += 1
        made = []
        for layout in layouts:
            size = pictures[whole(layout["page"])].size
            width, height = layout["page_size"]
            try:
                scale = (size[0] / width, size[1] / height)
                made.append(box(layout["bbox"], size, report, scale=scale, item=whole(layout["page"])))
            except (CoreheadError, ZeroDivisionError):
                report.notes["boxes dropped: not finite, or without area"] += 1
            else:
                if not 1 / TURNED < scale[0] / scale[1] < TURNED:
                    raise CoreheadError(
                        f"turned page: its picture is {size}, its boxes are of {layout['page_size']}"
                    )
        if not made:
            raise CoreheadError(f"bad box: none of {len(layouts)} layouts can be used")
        return tuple(made)

    def build() -> Sample:
        if not images:
            raise CoreheadError(f"missing picture: no page image is named after {name}")
        sample = document_sample(
            id, task, text, answer, total, lambda number: images[number](),
            boxes if evidence == "boxes" else numbers, needed, most, images,
        )  # fmt: skip
        if task == "untyped":
            report.notes["questions whose type is empty or unknown, task untyped"] += 1
        if len(images) < total:
            report.notes["documents of which pages are missing, others of their pages are shown"] += 1
        return sample

    return Record(id, document_group(name), task, build)


def kind(type: str | list) -> str:
    """Our task for MMDocIR's ``type``: a word such as "text-only", or a list in a string such as "['Table']", even "[]"."""
    parts = type if isinstance(type, list) else [type]
    if isinstance(type, str) and type.startswith("["):
        try:
            parts = ast.literal_eval(type)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            parts = re.findall(r"\w[\w-]*", type)  # broken off
    words = {str(part).lower() for part in parts}
    if any("meta" in word or "layout" in word for word in words):
        return "meta"
    if not words or not all(any(part in word for part in WORDS) for word in words):
        return "untyped"
    return "text" if all("text" in word for word in words) else "multimodal"
