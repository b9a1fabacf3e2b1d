"""MMDocIR in miniature: two documents, their pages in parquet or as files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mini.paint import jpeg, painted, save

POINTS = (200, 300)  # size of a page in PDF points
PIXELS = (400, 450)  # of its picture: scaled by 2 across and by 1.5 down
DOCUMENTS = {"alpha.pdf": 3, "2305.13186v3.pdf": 20}
RED = {("alpha.pdf", 1): (40, 90, 160, 180), ("2305.13186v3.pdf", 13): (100, 300, 200, 375)}  # in pixels


def layout(page: int, corners: list[Any]) -> dict:
    return {"page": page, "page_size": [200.0, 300.0], "bbox": corners}


QUESTIONS: dict[str, list[dict]] = {
    "alpha.pdf": [
        {"Q": "Which share?", "A": "18.29%", "type": "['Pure-text (Plain-text)']", "page_id": [1],
         "layout_mapping": [layout(1, [20, 60.0, 80, 120])]},
        {"Q": "Over the edge?", "A": "yes", "type": "multimodal-t", "page_id": [0],
         "layout_mapping": [layout(0, [100, 200, 350, 504]), layout(0, [100, 150, 100, 250])]},
        {"Q": "No area?", "A": "['x','y']", "type": "['Table', 'Chart']", "page_id": [0],
         "layout_mapping": [layout(0, [100, 150, 100, 250]), layout(0, [float("nan"), 1, 2, 3])]},
        {"Q": "Which page?", "A": "7", "type": "meta-data", "page_id": [3], "layout_mapping": []},
    ],
    "2305.13186v3.pdf": [
        {"Q": "What is shown?", "A": "a block", "type": "['Figure", "page_id": [4, 13],
         "layout_mapping": [layout(13, [50, 200, 100, 250]), layout(7, [0, 0, 10, 10])]},
        {"Q": "Half a record"},
    ],
}  # fmt: skip


def another(i: int) -> dict:
    """The question of one more document of two pages: its second page has a red block."""
    x, y = 10 + 20 * (i % 4), 40 + 10 * (i % 5)
    return {"Q": "Which share?", "A": str(i % 10), "type": ("text-only", "['Table']")[i % 2], "page_id": [1],
            "layout_mapping": [layout(1, [x, y, x + 60, y + 40])]}  # fmt: skip


def annotations(more: int = 0) -> str:
    first, lines = 0, []
    questions = QUESTIONS | {f"more-{i}.pdf": [another(i)] for i in range(more)}
    for name, pages in (DOCUMENTS | {f"more-{i}.pdf": 2 for i in range(more)}).items():
        lines.append(
            json.dumps(
                {
                    "doc_name": name,
                    "domain": "Academic paper",
                    "page_indices": [first, first + pages - 1],
                    "layout_indices": [0, 0],
                    "questions": questions[name],
                }
            )
        )
        first += pages
    return "\n".join([*lines, '{"doc_name": "cut off']) + "\n"


def page(name: str, number: int) -> bytes:
    red = RED.get((name, number))
    if name.startswith("more-") and number:
        x0, y0, x1, y1 = another(int(name.removesuffix(".pdf")[5:]))["layout_mapping"][0]["bbox"]
        red = (2 * x0, round(1.5 * y0), 2 * x1, round(1.5 * y1))
    return jpeg(painted(PIXELS, red))


def build(folder: Path, more: int = 0, named: Callable[[str], str] = str) -> Path:
    """MMDocIR_annotations.jsonl and MMDocIR_pages.parquet; ``more`` documents than those above.

    named: how the parquet spells the document's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MMDocIR_annotations.jsonl").write_text(annotations(more))
    documents = DOCUMENTS | {f"more-{i}.pdf": 2 for i in range(more)}
    names = [(name, number) for name, pages in documents.items() for number in range(pages)]
    table = pa.table(
        {
            "doc_name": [named(name) for name, _ in names],
            "domain": ["Academic paper"] * len(names),
            "passage_id": [str(number) for _, number in names],
            "image_path": [f"page_images/{name}_{number}.jpg" for name, number in names],
            "image_binary": [page(*pair) for pair in names],
            "ocr_text": [""] * len(names),
            "vlm_text": [""] * len(names),
        }
    )
    pq.write_table(table, folder / "MMDocIR_pages.parquet", row_group_size=5)
    return folder


def build_hub(folder: Path, more: int = 0) -> Path:
    """As on the hub: the parquet names documents without ".pdf", the annotations with it."""
    return build(folder, more, lambda name: name.removesuffix(".pdf"))


def build_files(
    folder: Path,
    first: int = 0,
    kept: Callable[[str, int, int], bool] = lambda name, page, total: True,
    form: str = "{stem}_{number}.jpg",
) -> Path:
    """The same with page images as files, numbered from ``first``; ``kept`` says which pages, from 0, are there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MMDocIR_annotations.jsonl").write_text(annotations())
    for name, pages in DOCUMENTS.items():
        for page_number in range(pages):
            if kept(name, page_number, pages):
                file = form.format(stem=name.removesuffix(".pdf"), name=name, number=page_number + first)
                save(painted(PIXELS, RED.get((name, page_number))), folder / "page_images" / file)
    return folder
