"""MMLongBench-Doc's typed scores of document answers. Model output is parsed as a literal at most, never run."""

import ast
import re
from collections.abc import Callable, Sequence
from math import isclose, isfinite
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from corehead_lib.errors import CoreheadError

NOT_ANSWERABLE = "not answerable"
EXACT = re.compile(  # answers that are right or wrong, not nearly right
    r".*https://.*|.*\.py|.*ipynb|page.*|\d+([-\s]\d+)?|.*[ap]\.m\..*|\d{4}[-\s]\d{2}([-\s]\d{2})?"
    r"|[\w.%+-]+@[\w.-]+\.[a-z]{2,}",
    re.DOTALL,
)


def anls(gold: str, text: str, threshold: float = 0.5) -> float:
    """Normalized Levenshtein similarity, 0 where it does not exceed the threshold."""
    similarity = Levenshtein.normalized_similarity(gold, text)
    return similarity if similarity > threshold else 0.0


def doc_score(gold: Any, text: Any, form: str) -> float:
    """MMLongBench-Doc's rule score in [0, 1] of an extracted answer.

    form: Int (equal), Float (equal to 1 %, or when rounded, also off by 100, for percent), Str and None (ANLS, or
        equal for numbers, addresses, dates, ...), List (as many entries; sorted, the worst entry's score). MMLongBench's
        names Integer and String are the same here, though its own code scores texts by F1.
    Source: eval/eval_score.py of github.com/mayubo2333/MMLongBench-Doc, whose ``eval`` of model output is a literal
    parse here. Raises CoreheadError for an unknown form.
    """
    rules: dict[str, Callable[[Any, Any], float]] = {
        "Int": _int_score,
        "Integer": _int_score,
        "Float": _float_score,
        "Str": _text_score,
        "String": _text_score,
        "None": _text_score,
        "List": _list_score,
    }
    if form not in rules:
        raise CoreheadError(f"Unknown answer format {form!r}; known are {', '.join(rules)}.")
    return float(rules[form](gold, text))


def doc_f1(scores: Sequence[float], answers: Sequence[str], texts: Sequence[str]) -> float:
    """MMLongBench-Doc's F1: recall over the answerable questions, precision over those that the model answered."""
    answerable = np.array([a.strip().lower() != NOT_ANSWERABLE for a in answers])
    answered = np.array([t.strip().lower() != NOT_ANSWERABLE for t in texts])
    gained = float(np.asarray(scores, float)[answerable].sum())
    return 2 * gained / (answerable.sum() + answered.sum()) if gained else 0.0


def _clean(value: Any) -> str:
    text = re.sub(r"\s*\([^)]*\)", "", str(value).lower().strip()).strip()
    text = re.sub(r"^['\"]|['\"]$", "", text).strip()
    return text.lstrip("$").strip().rstrip("%").strip()


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _int_score(gold: Any, text: Any) -> float:
    expected, given = _number(gold), _number(text)
    return expected is not None and given is not None and int(expected) == int(given)


def _float_score(gold: Any, text: Any) -> float:
    expected, given = _number(_clean(gold)), _number(_clean(text))
    if expected is None or given is None:
        return False
    return any(_nearly(value, given) for value in (expected / 100, expected, expected * 100))


def _nearly(a: float, b: float) -> bool:
    digits = max(2, min(len(str(value).partition(".")[2]) for value in (a, b)))
    return isclose(a, b, rel_tol=0.01) or round(a, digits) == round(b, digits)


def _text_score(gold: Any, text: Any) -> float:
    expected, given = _clean(gold), _clean(text)
    return expected == given if EXACT.fullmatch(expected) else anls(expected, given)


def _list_score(gold: Any, text: Any) -> float:
    expected, given = (sorted(_clean(entry) for entry in _entries(value)) for value in (gold, text))
    if len(expected) != len(given) or not expected:
        return False
    if _number(expected[0]) is not None or EXACT.fullmatch(expected[0]):
        return expected == given
    return min(anls(a, b) for a, b in zip(expected, given, strict=True))


def _entries(value: Any) -> list:
    """A list, or the list that a text writes down as a literal; anything else is a list of one."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [value]
    return value if isinstance(value, list) else [value]
