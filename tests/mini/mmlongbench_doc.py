"""MMLongBench-Doc in miniature: two PDFs, questions as JSON or as parquet."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mini.paint import painted, pdf

POINTS = (120, 160)
RED_PAGE = {"one.pdf": 1, "two [draft].pdf": 18}  # counting from 0
PAGES = {"one.pdf": 3, "two [draft].pdf": 20}
BLOCK = (30, 40, 60, 100)  # in points


def record(doc: str, pages: str, answer: str = "7", form: str = "Int") -> dict[str, str]:
    return {
        "doc_id": doc,
        "doc_type": "Guidebook",
        "question": f"What is on {pages}?",
        "answer": answer,
        "evidence_pages": pages,
        "evidence_sources": "['Chart']",
        "answer_format": form,
    }


RECORDS = [
    record("one.pdf", "[2]"),
    record("one.pdf", "[0]"),  # a slip for page 1
    record("two [draft].pdf", "[19, 3, 3]", "['a', 'b']", "List"),
    record("one.pdf", "[]", "Not answerable", "None"),
    record("one.pdf", "[3]", "Not answerable", "None"),
    record("one.pdf", "[]"),
    record("one.pdf", "[4]"),  # there are three
    record("three.pdf", "[1]"),  # missing
    record("one.pdf", "__import__('os').abort()"),
    record("broken.pdf", "[1]"),
]


def documents(folder: Path, more: int = 0) -> None:
    for name, count in (PAGES | {f"more {i}.pdf": 2 for i in range(more)}).items():
        pictures = [painted(POINTS, BLOCK if i == RED_PAGE.get(name, 0) else None) for i in range(count)]
        pdf(folder / "documents" / name, pictures)
    (folder / "documents" / "broken.pdf").write_bytes(b"%PDF-1.4 and nothing more")


def build(folder: Path, more: int = 0) -> Path:
    """samples.json and documents/; ``more`` documents of two pages than those above."""
    documents(folder, more)
    records = RECORDS + [record(f"more {i}.pdf", "[1]") for i in range(more)]
    (folder / "samples.json").write_text(json.dumps(records))
    return folder


def build_parquet(folder: Path) -> Path:
    """data/train-*.parquet and documents/."""
    documents(folder)
    (folder / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(RECORDS), folder / "data" / "train-00000-of-00001.parquet")
    return folder
