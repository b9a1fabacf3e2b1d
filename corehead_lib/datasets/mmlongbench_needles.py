"""MMLongBench's haystacks: where the needle is, which its own code never reads, so it is found or the record refused.

Templates follow data.py of https://github.com/EdinburghNLP/MMLongBench; that positive_ctxs names the needles is read off
data.py of https://github.com/ab-cli/MMRetHead, which uses the same files.
"""

import json
import re
from collections.abc import Iterator
from math import ceil, floor
from typing import Any

from corehead_lib.datasets.geometry import whole
from corehead_lib.datasets.mmlongbench_tasks import Parts, plain, wordings
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Pages, TextSpan

PLACEHOLDER = "<image>"


def haystack_of_images(entry: dict, report: Report) -> Parts:
    """Yes or no about the image that shows the anchor object, among others."""
    images = entry["ctxs"]
    found = needle_places(entry, images)
    if not found:
        found = by_depth(entry, len(images))
        report.notes["needle images found by depth, not by name"] += 1
    answer = {"1": "Yes", "yes": "Yes", "0": "No", "no": "No"}[str(entry["answer"]).strip().lower()]
    question = f"{entry['question']} Answer Yes or No."
    context = "\n".join(MEDIA for _ in images)
    return Parts(question, answer, images, context, (Pages(found),), ("Yes", "No"))


def needle_in_text(entry: dict, report: Report) -> Parts:
    """Interleaved text and images, the needle is a sentence: named by a key, or the only one with the answer."""
    context = _interleaved(entry)
    spans = [
        TextSpan(match.start(), match.end())
        for needle in dict.fromkeys(needles(entry))
        for match in re.finditer(re.escape(plain(needle)), context)
    ]
    answer, *others = wordings(entry["answer"])
    if not spans:
        sentences = [m for m in re.finditer(r"[^.!?\n]+[.!?]?", context) if answer and answer in m[0]]
        if len(sentences) != 1:
            raise _no_needle(entry)
        spans = [TextSpan(sentences[0].start(), sentences[0].end())]
        report.notes["text needles found by their answer, not by name"] += 1
    return Parts(
        entry["question"], answer, entry["image_list"], context, tuple(spans), accepted=tuple(others)
    )


def needle_in_images(entry: dict, report: Report) -> Parts:
    """Interleaved text and images, the needle is in one image; options are images too, at the end of the context."""
    context, images = _interleaved(entry), entry["image_list"]
    choices = entry["choices_image"]
    letters = tuple("ABCDEFGHIJ"[: len(choices)])
    context += "\n\nOptions:" + "".join(f"\n{letter}. {MEDIA}" for letter in letters)
    question = f"{entry['question']}\nAnswer with the letter of the right option."
    right = whole(entry["answer"])
    if not 0 <= right < len(letters):
        raise CoreheadError(f"no such option: the answer is {right} (from 0) of {len(letters)}")
    answer = letters[right]
    return Parts(question, answer, images + choices, context, (_pages(entry, images),), letters)


def count_in_images(entry: dict, report: Report) -> Parts:
    """As above, but counting: the things to count are shown at the end of the context, and named in the question."""
    context, images, shown = _interleaved(entry), entry["image_list"], entry["needle_image_list"]
    question = entry["question"]
    if question.count(PLACEHOLDER) != len(shown):
        raise CoreheadError(f"miscounted images: {len(shown)} for {question.count(PLACEHOLDER)} placeholders")
    for i in range(len(shown)):
        context += f"\n\nPicture {i + 1}: {MEDIA}"
        question = question.replace(PLACEHOLDER, f"(picture {i + 1})", 1)
    answer = json.dumps(entry["answer"])
    return Parts(question, answer, images + shown, context, (_pages(entry, images),))


def needles(entry: dict) -> list[str]:
    """Texts and image paths that the record calls its needles: in positive_ctxs, or under a key named so."""

    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        for part in value if isinstance(value, list) else ():
            yield from texts(part)

    positive = entry.get("positive_ctxs") or []
    found = [part for part in positive if isinstance(part, str)]
    for part in positive:
        found += [part[key] for key in ("text", "image") if isinstance(part, dict) and part.get(key)]
    meta = entry["meta"] if isinstance(entry.get("meta"), dict) else {}
    for key, value in {**entry, **meta}.items():
        if re.search("needle|target", key, re.IGNORECASE):
            found += texts(value)
    return [text for text in found if text and text != PLACEHOLDER]


def needle_places(entry: dict, images: list[str]) -> tuple[int, ...]:
    """Which of ``images`` are needles: by path (which may lack the first folders), or by a mark in ``ctxs``."""
    names = needles(entry)
    found = [i for i, image in enumerate(images) if any(f"/{image}".endswith(f"/{name}") for name in names)]
    if not found:
        pieces = [
            piece for piece in entry["ctxs"] if isinstance(piece, dict) and piece.get("type") == "image"
        ]
        marks = [bool(piece.get("has_ans") or piece.get("has_answer")) for piece in pieces]
        found = [i for i, mark in enumerate(marks) if mark and len(marks) == len(images)]
    return tuple(found)


def by_depth(entry: dict, total: int) -> tuple[int, ...]:
    """Place of the needle from its depth, where every rule of rounding gives the same; else CoreheadError."""
    depth = entry.get("depth")
    found = []
    for d in depth if isinstance(depth, list) else [depth]:
        if not (isinstance(d, int | float) and 0 <= d <= 1):
            raise _no_needle(entry)
        place = d * (total - 1)
        rules = {floor(place + 1e-9), ceil(place - 1e-9), min(floor(d * total + 1e-9), total - 1)}
        if len(rules) > 1:
            raise _no_needle(entry, f"; depth {d} of {total} images could be any of {sorted(rules)}")
        found.append(rules.pop())
    return tuple(sorted(set(found)))


def _no_needle(entry: dict, more: str = "") -> CoreheadError:
    return CoreheadError(f"needle not found: no key names it (keys: {', '.join(sorted(entry))}){more}")


def _pages(entry: dict, images: list[str]) -> Pages:
    found = needle_places(entry, images)
    if not found:
        raise _no_needle(entry)
    return Pages(found)


def _interleaved(entry: dict) -> str:
    text = "\n\n".join(plain(paragraph["text"]) for paragraph in entry["ctxs"])
    count = text.count(PLACEHOLDER)
    if count != len(entry["image_list"]):
        raise CoreheadError(f"miscounted images: {len(entry['image_list'])} for {count} placeholders")
    return text.replace(PLACEHOLDER, MEDIA)
