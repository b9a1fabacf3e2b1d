"""MMLongBench-Doc: questions about PDF documents, some unanswerable. Layout: https://github.com/mayubo2333/MMLongBench-Doc.

Its page numbers count from 1 and stand in strings; pages are rendered with pdfium at the resolution of the official code.
"""

import ast
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from glob import escape
from pathlib import Path

import pypdfium2 as pdfium
from PIL import Image

from corehead_lib.data import parquet
from corehead_lib.data.files import find, read_json, require
from corehead_lib.data.images import MOST_PIXELS, LazyImage
from corehead_lib.data.page_choice import PAGES, document_group, document_sample
from corehead_lib.data.records import Record
from corehead_lib.data.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Sample

TASKS = ("answerable", "unanswerable")
DEFAULT_TASKS = ("answerable",)
SAMPLES = ("samples.json", "data/samples.json", "data/train-*.parquet", "*.parquet")
FIELDS = ("doc_id", "doc_type", "question", "answer", "evidence_pages", "evidence_sources", "answer_format")
DPI = 144


def records(folder: Path, report: Report, pages: int = PAGES) -> Iterator[Record]:
    """Yield one record per question; groups are documents; at most ``pages`` pages are shown, 0: all.

    Task "answerable" has its pages as evidence, "unanswerable" has none. An answerable question that lists no page is
    refused, because nothing can be measured with it; page 0 is read as page 1, and noted.

    Raises CoreheadError if the questions or the documents are missing.
    """
    source = require("mmlongbench-doc", folder, SAMPLES)
    require("mmlongbench-doc", folder, ("documents", "data/documents"))
    entries = (
        enumerate(read_json(source[0], report))
        if source[0].suffix == ".json"
        else (pair for path in source for pair in parquet.rows(path, FIELDS, report))
    )
    for i, entry in entries:
        with report.guard(f"mmlongbench-doc/{i}"):
            yield _record(f"mmlongbench-doc/{i}", entry, folder, pages, report)


def _record(id: str, entry: dict, folder: Path, most: int, report: Report) -> Record:
    name, answer = entry["doc_id"], str(entry["answer"])
    task = "unanswerable" if answer.strip().rstrip(".").lower() == "not answerable" else "answerable"
    numbers = page_numbers(entry["evidence_pages"])
    if task == "answerable" and not numbers:
        raise CoreheadError("no evidence: answerable, but no page is listed")
    shown = sorted({max(number - 1, 0) for number in numbers}) if task == "answerable" else []

    def build() -> Sample:
        if numbers and task == "unanswerable":
            report.notes["unanswerable questions that list pages, not used as evidence"] += 1
        elif 0 in numbers:
            report.notes["page 0, read as page 1"] += 1
        found = find(
            folder, [f"{place}/{escape(Path(name).name)}" for place in ("documents", "data/documents")]
        )
        if not found:
            raise CoreheadError(f"missing document: {name}")
        total, page = open_document(found[0])
        question = entry["question"]
        return document_sample(id, task, question, answer, total, page, shown, shown, most)

    return Record(id, document_group(name), task, build)


def page_numbers(text: str) -> list[int]:
    """Parse "[3, 5]" without running it. Raises CoreheadError if it is not a list of whole numbers."""
    try:
        numbers = ast.literal_eval(text) if isinstance(text, str) else text
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise CoreheadError(f"bad page list: {text!r}") from error
    if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
        raise CoreheadError(f"bad page list: {text!r}")
    return numbers


def open_document(path: Path, dpi: int = DPI) -> tuple[int, Callable[[int], LazyImage]]:
    """Number of pages of a PDF, and a function from page number (from 0) to its picture, rendered on first use.

    Raises CoreheadError if the file is no PDF, or a page is too large to render.
    """
    sizes = _page_sizes(path)

    def page(number: int) -> LazyImage:
        size = (round(sizes[number][0] * dpi / 72), round(sizes[number][1] * dpi / 72))
        if not 0 < size[0] * size[1] <= MOST_PIXELS:
            raise CoreheadError(f"oversized page: {path.name}, page {number} (from 0), is {size} pixels")
        return LazyImage(size, partial(_render, path, number, size, dpi), f"{path.name}, page {number}")

    return len(sizes), page


@lru_cache(maxsize=512)
def _page_sizes(path: Path) -> list[tuple[float, float]]:
    try:
        with pdfium.PdfDocument(path) as document:
            return [document.get_page_size(i) for i in range(len(document))]
    except (pdfium.PdfiumError, OSError) as error:
        raise CoreheadError(f"unreadable document: {path}: {error}") from error


def _render(path: Path, number: int, size: tuple[int, int], dpi: int) -> Image.Image:
    with pdfium.PdfDocument(path) as document:
        page = document[number]
        image = page.render(scale=dpi / 72).to_pil().convert("RGB")
        page.close()
    return image if image.size == size else image.resize(size)  # pdfium rounds up
