"""What MMLongBench's tasks show and ask, one reader each: a line of the file in, the parts of a sample out.

Templates follow data.py of https://github.com/EdinburghNLP/MMLongBench, except that images never stand in
the question: options with images stand at the end of the context.
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from corehead_lib.datasets.geometry import whole
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Evidence, Pages, TextSpan


@dataclass(frozen=True)
class Parts:
    """Everything of a sample but its pixels; ``images`` are paths under mmlb_image."""

    question: str
    answer: str
    images: list[str]
    context: str
    evidence: tuple[Evidence, ...] = ()
    options: tuple[str, ...] = ()
    form: str = ""
    accepted: tuple[str, ...] = ()


def document(entry: dict, report: Report) -> Parts:
    """Pages, cut or padded with other documents; evidence by file name, because page numbers are the original's."""
    pages, name = entry["page_list"], entry["doc_name"]
    context = "\n\n".join(f"Document {PurePosixPath(page).parent.name:.15}: {MEDIA}" for page in pages)
    question = f"Based on Document {name:.15}, answer the following question. {entry['question']}"
    answer = entry["answer"] if isinstance(entry["answer"], str) else json.dumps(entry["answer"])
    form = str(entry["answer_format"])
    if form == "None":
        return Parts(question, answer, pages, context, form=form)
    wanted: set = set(entry.get("ans_page_path_list") or ())  # some versions of the files name them
    numbers: list = pages
    if not wanted:
        wanted = {whole(number) for number in entry["ans_page_list"]}
        numbers = [page_number(page, name) for page in pages]
    found = tuple(i for i, number in enumerate(numbers) if number in wanted)
    if not found:
        raise CoreheadError(f"missing page: pages {sorted(wanted)} of {name} are not among those shown")
    if wanted - set(numbers):
        report.notes["questions of which some evidence pages are not shown"] += 1
    return Parts(question, answer, pages, context, (Pages(found),), form=form)


def page_number(path: str, document: str) -> int | None:
    """Number, from 0, of a page of ``document`` by its file's name; None for pages of other documents.

    "<document>_page3.jpg" counts from 0, slidevqa's "<document>-4-1024.jpg" from 1.
    """
    file = PurePosixPath(path)
    document = document.removesuffix(".pdf")
    named = re.fullmatch(r"(.*)_page(\d+)", file.stem)
    slide = re.fullmatch(r"(.*)-(\d+)-\d+", file.stem)
    match = named or slide
    if not match or document not in (match[1], file.parent.name.removesuffix(".pdf")):
        return None
    return int(match[2]) - (0 if named else 1)


def retrieval_from_text(entry: dict, report: Report) -> Parts:
    """Passages and one image of the entity asked about; the evidence is text: the passages that hold the answer."""
    right = {passage["doc_id"] for passage in entry["positive_ctxs"]}
    context, spans = "", []
    for passage in entry["ctxs"]:
        text = plain(f"Document (Title: {passage['title']}): {passage['text']}")
        if passage["doc_id"] in right:
            spans.append(TextSpan(len(context), len(context) + len(text)))
        context += text + "\n\n"
    if not spans:
        raise CoreheadError("no evidence: none of the passages is a positive one")
    answer, *others = wordings(entry["answer"])
    return Parts(
        entry["question"], answer, [entry["image"]], context + MEDIA, tuple(spans), accepted=tuple(others)
    )


def summary(entry: dict, report: Report) -> Parts:
    """Pages to summarize; no evidence."""
    pages, text = entry["image_list"], entry["summary"]
    if not isinstance(text, str):
        text = "\n\n".join(f"{s['section_title']}:\n" + "\n".join(s["paragraphs"]) for s in text)
    context = "\n\n".join(f"Document {PurePosixPath(page).parent.name:.15}: {MEDIA}" for page in pages)
    return Parts("Summarize these documents.", text, pages, context)


def many_shots(id: str, exemplars: list, test: dict) -> Parts:
    """Labelled images, one round of each class after the other, then one to label; the id draws and shuffles."""
    rng = np.random.default_rng(int.from_bytes(sha256(id.encode()).digest()[:8]))
    rounds = exemplars[int(rng.integers(len(exemplars)))]
    items = [turn[i] for turn in rounds for i in rng.permutation(len(turn))]
    context = "\n\n".join(f"{MEDIA}\nlabel: {item['id']}" for item in items)
    options = tuple(sorted({str(item["id"]) for item in items}))
    images = [item["image"] for item in items] + [test["image"]]
    question = "Which label has the last image? Answer with the label alone."
    return Parts(question, wordings(test["answer"])[0], images, f"{context}\n\n{MEDIA}", (), options)


def plain(text: str) -> str:
    """The text without the character that stands for media in a context."""
    return text.replace(MEDIA, "")


def wordings(answer: Any) -> list[str]:
    """The texts of all accepted answers, each once; of anything that is neither text nor a list of them its JSON."""
    if isinstance(answer, str):
        return [answer]
    if isinstance(answer, list) and answer and isinstance(answer[0], list | str):
        parts = [part for part in answer if isinstance(part, list | str)]
        return list(dict.fromkeys(text for part in parts for text in wordings(part)))
    return [json.dumps(answer)]
