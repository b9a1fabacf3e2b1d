"""Exercises that check themselves: `check("ex-ram-hand", answer, attention=attention)` says right or wrong, and why.

An exercise is written in its chapter. What stands here for each is the stub that a student begins with, and a function that
recomputes what is right, and what typical mistakes give, from the chapter's own variables: its parameters are their names.
The exercises of a chapter are in one module, named as in their labels: `ex-ram-hand` is in `course/ram.py`.
"""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from corehead_lib.errors import CoreheadError, did_you_mean

GRADING = "NBGRADER_EXECUTION"  # set by nbgrader: there a wrong answer has to raise


@dataclass(frozen=True)
class Expected:
    """What is right, and what typical mistakes give.

    value: a number, a text, or a sequence or dict of them; an answer of the same shape within ``tolerance`` is right.
    why: what a right answer shows. mistakes: from a sentence that helps to the answer that calls for it.
    accept: for open questions, says whether an answer of the shape of ``value``, an example, is right.
    """

    value: Any
    why: str
    mistakes: Mapping[str, Any]
    tolerance: float = 0.01
    accept: Callable[[Any], bool] | None = None


@dataclass(frozen=True)
class Exercise:
    """One exercise: the stub, and the function from variables of the chapter to what is expected."""

    label: str
    stub: str
    expected: Callable[..., Expected] = field(repr=False)

    @property
    def needs(self) -> list[str]:
        """Names of the chapter's variables that the check reads."""
        asked = inspect.signature(self.expected).parameters.values()
        return [p.name for p in asked if p.default is p.empty]


_KNOWN: dict[str, Exercise] = {}


def exercise(label: str, stub: str) -> Callable[[Callable[..., Expected]], Callable[..., Expected]]:
    """Enter the decorated function as the check of an exercise."""

    def enter(expected: Callable[..., Expected]) -> Callable[..., Expected]:
        _KNOWN[label] = Exercise(label, stub, expected)
        return expected

    return enter


def find(label: str) -> Exercise | None:
    """Return the exercise of that label, or None if it has no check."""
    try:
        import_module(f"{__name__}.{label.split('-')[1]}")
    except (ModuleNotFoundError, IndexError):
        return None
    return _KNOWN.get(label)


def check(label: str, answer: Any, **variables: Any) -> None:
    """Print whether the answer is right, and why; under nbgrader a wrong one raises instead.

    variables: those of the chapter that ``find(label).needs`` names.
    """
    known = find(label)
    if known is None:
        raise CoreheadError(f"No exercise {label!r} has a check.{did_you_mean(label, _KNOWN)}")
    right, said = verdict(answer, known.expected(**variables) if answer is not ... else None)
    if os.environ.get(GRADING) and not right:
        raise CoreheadError(f"{label}: {said}")
    print(f"{label}: {said}")


def verdict(answer: Any, expected: Expected | None) -> tuple[bool, str]:
    """Return whether the answer is right, with a sentence for the student; expected is None while there is no answer."""
    if expected is None:
        return False, "no answer yet. Put yours in the place of the dots."
    alike = shape(answer) == shape(expected.value)
    if alike and (expected.accept or (lambda got: same(got, expected.value, expected.tolerance)))(answer):
        return True, f"right. {expected.why}"
    mistakes = dict(expected.mistakes) | usual(expected.value)
    for slack in (expected.tolerance / 100, expected.tolerance):  # the nearest first
        for sentence, wrong in mistakes.items():
            if same(answer, wrong, slack):
                return False, f"not yet. {sentence}"
    if not alike:
        return False, f"not yet. The answer should be {shape(expected.value)}, and yours is {shape(answer)}."
    return (
        False,
        "not yet, and this is no mistake that we know. Read the hints, and print what you compute with.",
    )


def usual(value: Any) -> dict[str, Any]:
    """Return mistakes that any answer in numbers invites, as in ``Expected.mistakes``."""
    if isinstance(value, Mapping) or not _numeric(value):
        return {}
    array = np.asarray(value, dtype=float)
    turned = "The numbers are right, their order is not: see what stands beside the dots."
    return ({turned: array[::-1]} if array.ndim == 1 else {}) | {
        "Those are percents; give the numbers themselves.": 100 * array,
        "That is one minus what is asked for.": 1 - array,
    }


def same(one: Any, other: Any, tolerance: float) -> bool:
    """Say whether two answers have one shape, with equal texts and truths, and numbers that are at most ``tolerance`` apart."""
    if shape(one) != shape(other):
        return False
    if isinstance(other, Mapping):
        return all(same(one[key], other[key], tolerance) for key in other)
    if isinstance(other, str):
        return bool(one.strip().casefold() == other.strip().casefold())
    if isinstance(other, list | tuple) and not _numeric(other):
        return all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    return bool(np.all(np.abs(np.asarray(one, float) - np.asarray(other, float)) <= tolerance))


def unlike(value: Any, mistakes: Mapping[str, Any], tolerance: float = 0.01) -> dict[str, Any]:
    """Return the mistakes that can be told from ``value``: by luck one may give what is right, or NaN, for a model and its samples."""
    return {s: m for s, m in mistakes.items() if same(m, m, 0) and not same(m, value, tolerance)}


def shape(answer: Any) -> str:
    """Say in words what kind of thing an answer is."""
    if isinstance(answer, str):
        return "a text"
    if isinstance(answer, Mapping):
        return f"a dict with the keys {', '.join(sorted(map(str, answer)))}"
    if _numeric(answer):
        size = np.shape(answer)
        return " x ".join(map(str, size)) + f" number{'s' * (size != (1,))}" if size else "one number"
    if isinstance(answer, list | tuple):
        return f"a sequence of {len(answer)}"
    return f"a {type(answer).__name__}"


def _numeric(answer: Any) -> bool:
    if answer is None or isinstance(answer, str | bytes):  # NumPy takes them for numbers
        return False
    try:
        return np.asarray(answer, dtype=float).dtype.kind == "f"
    except (TypeError, ValueError):
        return False
