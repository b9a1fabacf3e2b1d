"""MMLongBench-Doc: questions about PDF documents, some unanswerable. Layout: https://github.com/mayubo2333/MMLongBench-Doc.

Its page numbers count from 1 and stand in strings; pages are rendered with pdfium at the resolution of the official code.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path

import pypdfium2 as pdfium
import yaml
from PIL import Image

from corehead_lib.data.images import MOST_PIXELS, LazyImage
from corehead_lib.datasets import parquet
from corehead_lib.datasets.files import read_list, require
from corehead_lib.datasets.geometry import written
from corehead_lib.datasets.names import document_group, match
from corehead_lib.datasets.page_choice import PAGES, document_sample
from corehead_lib.datasets.records import Record
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Sample

TASKS = ("answerable", "unanswerable")
DEFAULT_TASKS = ("answerable",)
SAMPLES = ("samples.json", "data/samples.json", "data/train-*.parquet", "*.parquet")
FIELDS = ("doc_id", "doc_type", "question", "answer", "evidence_pages", "evidence_sources", "answer_format")
DPI = 144
ERRATA = Path(__file__).with_name("mmlongbench_doc_errata.yaml")


def records(folder: Path, report: Report, pages: int = PAGES) -> Iterator[Record]:
    """Yield one record per question; groups are documents; at most ``pages`` pages are shown, 0: all.

    Task "answerable" has its pages as evidence, "unanswerable" has none. An answerable question that lists no page is
    refused, because nothing can be measured with it; page 0 is read as page 1, and noted. So are page numbers that are printed
    ones, or count from 0, for those that ERRATA lists.

    Raises CoreheadError if the questions or the documents are missing.
    """
    source = require("mmlongbench-doc", folder, SAMPLES)
    places = require("mmlongbench-doc", folder, ("documents", "data/documents"))
    entries: list[tuple[int, dict]] = (
        list(enumerate(read_list(source[0], report)))
        if source[0].suffix == ".json"
        else [pair for path in source for pair in parquet.rows(path, FIELDS, report)]
    )
    files = {p.name: p for place in places if place.is_dir() for p in sorted(place.iterdir()) if p.is_file()}
    wanted = {str(e["doc_id"]) for _, e in entries if isinstance(e, dict) and "doc_id" in e}
    documents = {name: files[there] for name, there in match(wanted, files).items()}
    for i, entry in entries:
        with report.guard(f"mmlongbench-doc/{i}"):
            yield _record(f"mmlongbench-doc/{i}", entry, documents, pages, report)


def _record(id: str, entry: dict, documents: dict[str, Path], most: int, report: Report) -> Record:
    name, question, answer = str(entry["doc_id"]), entry["question"], written(entry["answer"])
    task = "unanswerable" if answer.strip().rstrip(".").lower() == "not answerable" else "answerable"
    said = page_numbers(entry["evidence_pages"])
    numbers, remark = checked(name, question, said)
    if task == "answerable" and not numbers:
        raise CoreheadError("no evidence: answerable, but no page is listed")
    shown = sorted({max(number - 1, 0) for number in numbers}) if task == "answerable" else []

    def build() -> Sample:
        if numbers and task == "unanswerable":
            report.notes["unanswerable questions that list pages, not used as evidence"] += 1
        elif 0 in numbers:
            report.notes["page 0, read as page 1"] += 1
        elif remark:
            report.notes[remark] += 1
        if name not in documents:
            raise CoreheadError(f"missing document: {name}")
        total, page = open_document(documents[name])
        sample = document_sample(id, task, question, answer, total, page, shown, shown, most)
        return replace(sample, form=str(entry.get("answer_format") or ""))

    return Record(id, document_group(name), task, build)


def checked(document: str, question: str, numbers: list[int]) -> tuple[list[int], str]:
    """The pages as ERRATA has them, and what to note; the same pages, and nothing, for a question that it does not list."""
    key = sha256(f"{document}\n{question.strip()}".encode()).hexdigest()[:12]
    corrected, disputed = errata()
    says, pages, why = corrected.get(key, ([], [], ""))
    if says and says == sorted(set(numbers)):
        how = "printed ones" if why == "printed" else f"counted {why}"
        return pages, f"page numbers that are {how}, corrected"
    return numbers, "questions for which MMDocIR lists other pages" if key in disputed else ""


@lru_cache(maxsize=1)
def errata() -> tuple[dict[str, tuple[list[int], list[int], str]], frozenset[str]]:
    """Corrected lists of pages, question -> (what the file says, right pages, why), and questions in dispute."""
    listed = yaml.safe_load(ERRATA.read_text(encoding="utf-8"))
    corrected = {e["question"]: (e["says"], e["pages"], e["why"]) for e in listed["corrected"]}
    return corrected, frozenset(listed["disputed"])


def page_numbers(text: str) -> list[int]:
    """Parse "[3, 5]" without running it. Raises CoreheadError if it is not a list of whole numbers."""
    try:
        numbers = ast.literal_eval(text) if isinstance(text, str) else text
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise CoreheadError(f"bad page list: {text!r:.200}") from error
    if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
        raise CoreheadError(f"bad page list: {text!r:.200}")
    return numbers


def open_document(path: Path) -> tuple[int, Callable[[int], LazyImage]]:
    """Number of pages of a PDF, and a function from page number (from 0) to its picture, rendered on first use.

    Raises CoreheadError if the file is no PDF, or a page is too large to render.
    """
    sizes = _page_sizes(path)

    def page(number: int) -> LazyImage:
        size = (round(sizes[number][0] * DPI / 72), round(sizes[number][1] * DPI / 72))
        if not 0 < size[0] * size[1] <= MOST_PIXELS:
            raise CoreheadError(f"oversized page: {path.name}, page {number} (from 0), is {size} pixels")
        return LazyImage(size, partial(_render, path, number, size), f"{path.name}, page {number}")

    return len(sizes), page


@lru_cache(maxsize=512)
def _page_sizes(path: Path) -> list[tuple[float, float]]:
    try:
        with pdfium.PdfDocument(path) as document:
            return [document.get_page_size(i) for i in range(len(document))]
    except (pdfium.PdfiumError, OSError) as error:
        raise CoreheadError(f"unreadable document: {path}: {error}") from error


def _render(path: Path, number: int, size: tuple[int, int]) -> Image.Image:
    with pdfium.PdfDocument(path) as document:
        page = document[number]
        image = page.render(scale=DPI / 72).to_pil().convert("RGB")
        page.close()
    return image if image.size == size else image.resize(size)  # pdfium rounds up
