"""The scores that the datasets define: choices, short answers, pages, layouts, times, boxes."""

import re
import string
from collections.abc import Mapping, Sequence

import numpy as np

from corehead_lib.errors import CoreheadError

Corners = Sequence[float]  # x0, y0, x1, y1


def chosen_letter(text: str, options: int) -> str | None:
    """The option that a model's text settles on: after "answer", else its last capital letter alone; None if none."""
    letters = f"[A-{chr(ord('A') + options - 1)}]"
    patterns = (rf"[Aa]nswer(?: is)?:?\s*\(?({letters})\b", rf"\b({letters})\b(?!.*\b{letters}\b)")
    found = next((m for p in patterns if (m := re.search(p, text, re.DOTALL))), None)
    return found[1] if found else None


def choice_accuracy(texts: Sequence[str], answers: Sequence[str], options: int) -> float:
    """Share of texts whose chosen letter is the answer."""
    pairs = zip(texts, answers, strict=True)
    return float(np.mean([chosen_letter(text, options) == answer for text, answer in pairs]))


def macro_average(scores: Sequence[float], tasks: Sequence[str]) -> float:
    """Mean over tasks of each task's mean: MLVU's M-Avg."""
    values, names = np.asarray(scores, float), np.asarray(tasks)
    return float(np.mean([values[names == name].mean() for name in np.unique(names)]))


def normalized(text: str) -> str:
    """Lower case, no punctuation, no articles, single blanks (SQuAD's rule)."""
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def substring_match(text: str, answers: str | Sequence[str]) -> bool:
    """MMLongBench's sub_em: is one of the accepted answers part of the text, both normalized?"""
    accepted = [answers] if isinstance(answers, str) else answers
    return any(normalized(answer) in normalized(text) for answer in accepted)


def count_match(text: str, answer: Sequence[int]) -> bool:
    """MMLongBench's soft_acc: do the last bracketed list of numbers, or else all numbers, add up to the same?"""
    lists = re.findall(r"\[[\d\s,]*\]", text)
    return sum(int(n) for n in re.findall(r"\d+", lists[-1] if lists else text)) == sum(answer)


def page_recall(ranked: Sequence[int], gold: Sequence[int], k: int) -> float:
    """Share of the gold pages among the first ``k`` ranked ones. Raises CoreheadError without gold pages."""
    if not gold:
        raise CoreheadError("Recall needs at least one gold page.")
    return len(set(ranked[:k]) & set(gold)) / len(set(gold))


def layout_recall(
    ranked: Sequence[tuple[int, Corners]], gold: Sequence[tuple[int, Corners]], k: int
) -> float:
    """MMDocIR's: area shared by gold (page, box) pairs and the first ``k``, over the gold area.

    Exceeds 1 where retrieved boxes overlap, as in the authors' metric_eval.py.
    """
    area = sum(_area(box) for _, box in gold)
    if not area > 0:
        raise CoreheadError("Recall needs gold boxes with area.")
    return sum(_shared(a, b) for page, a in gold for other, b in ranked[:k] if page == other) / area


def box_iou(a: Corners, b: Corners) -> float:
    """Intersection over union of two boxes; RefCOCOg counts 0.5 and more as found."""
    shared = _shared(a, b)
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0


def time_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """VidSTG's tIoU of two ranges, ends exclusive."""
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / union if union > 0 else 0.0


def tube_iou(a: Mapping[int, Corners], b: Mapping[int, Corners]) -> float:
    """VidSTG's vIoU of two tubes {frame: box}: box IoU summed over common frames, over all frames of both.

    TubeDETR's vidstg_eval.py ends the union at the earlier of the two ends, which inflates the score; not here.
    """
    frames = set(a) | set(b)
    return sum(box_iou(a[f], b[f]) for f in set(a) & set(b)) / len(frames) if frames else 0.0


def _area(box: Corners) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _shared(a: Corners, b: Corners) -> float:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
