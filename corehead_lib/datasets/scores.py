"""Which score each dataset defines for a written answer: how it is read, and what it is worth in [0, 1]."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corehead_lib.datasets.boxes import Convention, Corners
from corehead_lib.datasets.document_metrics import NOT_ANSWERABLE, doc_score
from corehead_lib.datasets.metrics import (
    box_iou,
    chosen_letter,
    count_match,
    normalized,
    substring_match,
    time_iou,
)
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.samples import Box, Sample

NUMBERS = ("Int", "Integer", "Float")
FOUND = 0.5  # IoU from which a box counts as found
CLOCK = r"(?:\d+:)?\d+:\d{2}(?:\.\d+)?|\d+(?:\.\d+)?"
SPAN = re.compile(rf"({CLOCK})\s*(?:s|secs?|seconds?)?\W*?(?:to|and|until|through|[-–—,])\W*?({CLOCK})(?![\d.]*\d)")  # fmt: skip
Read = Callable[[str, Sample, Convention | None], Any]


@dataclass(frozen=True)
class Score:
    """``read`` turns text into what is judged, or None if it cannot be read; ``value`` is that against the gold answer.

    overlap: ``value`` is an IoU; ``least`` is then the IoU that counts as found, None: the IoU itself is the score.
    """

    read: Read
    value: Callable[[Any, Sample], float]
    overlap: bool = False
    least: float | None = None

    def judge(self, text: str, sample: Sample, how: Convention | None) -> tuple[float | None, float]:
        """(``value``, or None if the text cannot be read; the score in [0, 1], 0 for such a text)."""
        found = self.read(text, sample, how)
        if found is None:
            return None, 0.0
        value = float(self.value(found, sample))
        return value, value if self.least is None else float(value >= self.least)


def read_time(text: str) -> tuple[float, float] | None:
    """Seconds from and to: "3.2 to 7.5", "<3.2 seconds> - <7.5 seconds>", "00:03-00:07"; the first such range."""
    found = SPAN.search(text)
    return (_seconds(found[1]), _seconds(found[2])) if found else None


def _seconds(clock: str) -> float:
    return sum(float(part) * 60**n for n, part in enumerate(reversed(clock.split(":"))))


def read_option(text: str, sample: Sample) -> str | None:
    """The option that a text settles on, by its words or its letter; None if it is none, or several."""
    words = {option: normalized(option) for option in sample.options}
    if set(sample.options) <= set("ABCDEFGHIJ"):  # letters: what they stand for is in the question
        listed = re.findall(r"^\s*\(?([A-J])[).]\)?\s*(\S.*)$", sample.question, re.MULTILINE)
        same = [letter for letter, option in listed if normalized(option) == normalized(text) != ""]
        return same[0] if len(same) == 1 else chosen_letter(text, len(sample.options))
    said = normalized(text)
    first = [o for o, w in words.items() if w and (said == w or said.startswith(w + " "))]
    inside = first or [o for o, w in words.items() if w and re.search(rf"\b{re.escape(w)}\b", said)]
    longest = max(inside, key=len, default=None)  # "dark red" beside "red"
    return longest if longest and all(words[o] in words[longest] for o in inside) else None


def answer_form(sample: Sample) -> str:
    """The dataset's own form of the answer, else what the gold answer looks like: Int, Float, List or Str."""
    gold = sample.answer.strip()
    if sample.form:
        return sample.form
    if gold.startswith("[") and gold.endswith("]"):
        return "List"
    if re.fullmatch(r"-?\d+", gold):
        return "Int"
    return "Float" if re.fullmatch(r"\$?-?[\d,]*\.?\d+\s*%?", gold) else "Str"


def read_short(text: str, sample: Sample) -> str | None:
    """The short answer in a text: what follows "answer:", and of a sentence that should be a number the only number."""
    text = re.split(r"(?i)\banswer(?: is)?\s*:", text)[-1].strip().strip("*").strip().removesuffix(".")
    if answer_form(sample) in NUMBERS and text.lower() != NOT_ANSWERABLE:
        numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)
        return numbers[0].replace(",", "") if len(numbers) == 1 else None
    return text or None


def _gold_counts(sample: Sample) -> list[int]:
    counts = json.loads(sample.answer)
    return counts if isinstance(counts, list) else [counts]


def _document(read: str, sample: Sample) -> float:
    form, golds = answer_form(sample), (sample.answer, *sample.accepted)
    if form in NUMBERS:  # "1,234": the authors' code reads no such number, in gold answers or in others
        golds = tuple(gold.replace(",", "") for gold in golds)
    return max(doc_score(gold, read, form) for gold in golds)


def _box(read: Corners, sample: Sample) -> float:
    boxes = [piece for piece in sample.evidence if isinstance(piece, Box)]
    return max(box_iou(read, box.corners) for box in boxes)


SCORES = {
    "box": Score(lambda t, s, c: c.read(t) if c else None, _box, overlap=True, least=FOUND),
    "time": Score(
        lambda t, s, c: read_time(t), lambda r, s: time_iou(r, read_time(s.answer) or (0, 0)), overlap=True
    ),
    "choice": Score(lambda t, s, c: read_option(t, s), lambda r, s: float(r == s.answer)),
    "document": Score(lambda t, s, c: read_short(t, s), _document),
    "contained": Score(
        lambda t, s, c: t.strip() or None, lambda r, s: float(substring_match(r, [s.answer, *s.accepted]))
    ),
    "count": Score(
        lambda t, s, c: t if re.search(r"\d", t) else None,
        lambda r, s: float(count_match(r, _gold_counts(s))),
    ),
    "exact": Score(lambda t, s, c: t.strip() or None, lambda r, s: float(r in (s.answer, *s.accepted))),
}
# dataset -> score, or task -> score; a sample's id begins with its dataset
OF: dict[str, str | dict[str, str]] = {
    "refcocog": "box",
    "vidstg": {"declarative": "time", "interrogative": "contained"},
    "mlvu": "choice",
    "mmdocir": "document",
    "mmlongbench-doc": "document",
    "mmlongbench": {
        **dict.fromkeys(("longdocurl", "mmlongdoc", "slidevqa", "unanswerable"), "document"),
        **dict.fromkeys(("infoseek", "viquae", "retrieval-text", "reasoning-text"), "contained"),
        **dict.fromkeys(("counting-text", "counting-image"), "count"),
        **dict.fromkeys(("vh_single", "vh_multi", "retrieval-image", "reasoning-image", "icl"), "choice"),
    },
}


def score_of(sample: Sample) -> str:
    """The name of the score that the sample's dataset defines; "exact" for generated data.

    Raises CoreheadError for a task without a rule (summaries are judged by people, or by other models).
    """
    known = OF.get(sample.id.split("/")[0], "exact")
    if isinstance(known, str):
        return known
    if sample.task not in known:
        raise CoreheadError(f"{sample.id}: no rule scores its task.{did_you_mean(sample.task, known)}")
    return known[sample.task]
