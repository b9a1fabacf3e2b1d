"""The rules by which datasets score written answers: choices, short answers, counts, times, boxes."""

import re
import string
from collections.abc import Sequence

Corners = Sequence[float]  # x0, y0, x1, y1


def chosen_letter(text: str, options: int) -> str | None:
    """The option that a model's text settles on: after "answer", else its last capital letter alone; None if none."""
    letters = f"[A-{chr(ord('A') + options - 1)}]"
    patterns = (rf"[Aa]nswer(?: is)?:?\s*\(?({letters})\b", rf"\b({letters})\b(?!.*\b{letters}\b)")
    found = next((m for p in patterns if (m := re.search(p, text, re.DOTALL))), None)
    return found[1] if found else None


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


def _area(box: Corners) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _shared(a: Corners, b: Corners) -> float:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
