"""MMDocIR's page images, from parquet or from files: whose they are, and from which number they count.

The authors number pages from 0 (https://github.com/MMDocRAG/MMDocIR, passage_id and page_images); people who render the
PDFs themselves often begin with 1. The wrong page would go unnoticed, so the numbering is proven or refused.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from math import prod
from pathlib import Path

from corehead_lib.data.images import LazyImage, picture
from corehead_lib.datasets import parquet
from corehead_lib.datasets.files import find
from corehead_lib.datasets.names import match, stem
from corehead_lib.datasets.report import Report

Open = Callable[[], LazyImage]
Shelf = dict[str, dict[int, Open]]  # what one tool has named: document -> number in the name -> image
FIELDS = ("doc_name", "passage_id")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
BY_CHANCE = 0.05  # less likely than this, a loss of every first page is no accident but another numbering


def find_pages(
    folder: Path, totals: Mapping[str, int], report: Report
) -> tuple[dict[str, dict[int, Open]], dict[str, str]]:
    """Page images of the documents of which ``totals`` gives the number of pages: document -> page from 0 -> image.

    The second result says of documents whose images cannot be used why not. Documents are joined by name, with or
    without ".pdf". Where a page is in parquet and in a file, parquet counts.
    """
    pages: dict[str, dict[int, Open]] = {name: {} for name in totals}
    doubts: dict[str, str] = {}
    for where, shelf in _shelves(folder, totals, report):
        found = {name: shelf[there] for name, there in match(totals, shelf).items()}
        firsts, assumed = first_numbers(found, totals)
        if assumed:
            report.notes["folders whose pages are taken to count from 0, as the authors number them"] += 1
        for name, first in firsts.items():
            if isinstance(first, str):
                doubts.setdefault(name, f"{first}, in {where}")
            else:
                for number, image in found[name].items():
                    pages[name].setdefault(number - first, image)
    return pages, {name: doubt for name, doubt in doubts.items() if not pages[name]}


def first_numbers(
    numbers: Mapping[str, Collection[int]], totals: Mapping[str, int]
) -> tuple[dict[str, int | str], bool]:
    """From which number, 0 or 1, the pages of each document count, or why that is not known; and if 0 was assumed.

    Of N pages, a page 0 proves the one and a page N the other; what proves it for one document holds for all that were
    named with it, unless they contradict each other. Without any proof the authors' 0 is taken, if pages are
    missing here and there; a folder that lacks the first page, or else the last, of whole documents is refused.
    """
    firsts: dict[str, int | str | None] = {}
    for name, found in numbers.items():
        total = totals[name]
        if min(found) < 0 or max(found) > total or (0 in found and total in found):
            firsts[name] = f"other pages: images {min(found)} to {max(found)} of a document of {total} pages"
        else:
            firsts[name] = 0 if 0 in found else 1 if total in found else None
    proven = {first for first in firsts.values() if isinstance(first, int)}
    unsure = [name for name, first in firsts.items() if first is None]
    common, assumed = (next(iter(proven)) if len(proven) == 1 else None), False
    if not proven and unsure:
        gaps = any(max(numbers[n]) - min(numbers[n]) >= len(set(numbers[n])) for n in unsure)
        chance = prod(1 - len(set(numbers[n])) / totals[n] for n in unsure)
        if gaps and chance >= BY_CHANCE:
            common, assumed = 0, True
    doubt = "unproven numbering: there is neither a page 0 nor a last page, so it may count from 0 or from 1"
    return {n: (doubt if common is None else common) if f is None else f for n, f in firsts.items()}, assumed


def _shelves(folder: Path, totals: Mapping[str, int], report: Report) -> Iterator[tuple[str, Shelf]]:
    rows: Shelf = {}
    for path in find(folder, ("**/MMDocIR_pages*.parquet",)):
        for row, values in parquet.rows(path, FIELDS, report):
            with report.guard(f"{path.name}:{row}"):
                name, number = str(values["doc_name"]), int(values["passage_id"])
                rows.setdefault(name, {})[number] = _row(path, row, f"{name}, page {number}")
    yield "parquet", rows
    known = {name for name, count in Counter(map(stem, totals)).items() if count == 1}
    for root in find(folder, ("**/page_images",)):
        files: Shelf = {}
        for path in find(root, ("**/*",)):
            if path.suffix.lower() in SUFFIXES and (named := page_of(path, known)):
                files.setdefault(named[0], {})[named[1]] = _file(path)
        yield str(root), files


def page_of(path: Path, known: Collection[str]) -> tuple[str, int] | None:
    """Document and number of a page image, as "a_3.jpg", "a.pdf_3.jpg", "a/3.jpg" or "a/page_03.jpg"; None if it is none.

    known: stems of the documents there are, each of one alone; they decide where a name could be read in several ways.
    """
    number = re.search(r"(\d+)$", path.stem)
    if not number:
        return None
    before = path.stem[: number.start()].rstrip("_-. ")
    names = (before, re.sub(r"[_\-. ]*(page|p)$", "", before, flags=re.IGNORECASE), path.parent.name)
    name = next((stem(name) for name in names if stem(name) in known), None)
    return None if name is None else (name, int(number[1]))


def _row(path: Path, row: int, name: str) -> Open:
    return lambda: picture(lambda: parquet.cell(path, row, "image_binary"), name)


def _file(path: Path) -> Open:
    return lambda: picture(path)
