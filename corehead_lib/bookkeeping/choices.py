"""What a parameter may be: the braces at the end of its comment, checked before anything runs.

    queries: str = "last"  # rows to read heads at {question, last, answer}
    samples: int = 200  # how many samples {1..5000, quick 20}

The items in braces stand between commas. A value is right if it fits one of them:

    last                a value itself
    1.. | ..5 | 0..1    a number in the range, its ends included; `0<..1` and `0..<1` leave one out
    empty               the empty text
    model, dataset      a name of that kind; also folder (one that is there) and device
    models, datasets    several of them, separated by blanks or commas
    quick 20            no choice but the value in a quick run (`corehead run --quick`)

For a text, a range means several whole numbers in it, separated by blanks or commas.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corehead_lib.errors import CoreheadError, did_you_mean, shown
from corehead_lib.model_names import find_model

BRACES = re.compile(r"\s*\{([^{}]*)\}$")
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
RANGE = re.compile(rf"({NUMBER})?(<)?\.\.(<)?({NUMBER})?")


def _dataset(name: str) -> None:
    from corehead_lib.data import DATASETS

    if name not in DATASETS:
        raise CoreheadError(f"There is no dataset {shown(name)}.{did_you_mean(name, DATASETS)}")


def _folder(name: str) -> None:
    try:
        there = Path(name).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, an unknown user
        there = False
    if not there:
        raise CoreheadError(f"There is no folder {shown(name)}.")


def _device(name: str) -> None:
    if not re.fullmatch(r"cpu|auto|cuda(:\d+)?", name, re.ASCII):
        raise CoreheadError(f"There is no device {shown(name)}: it is cpu, auto, cuda or, say, cuda:1.")
    if name.startswith("cuda"):
        import torch

        number = int(name.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise CoreheadError(
                f"There is no device {shown(name)} here: torch can use {torch.cuda.device_count()} GPUs."
            )


KINDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "model": (find_model, "a model: one that ships, one that was fetched, a folder, or a hub id"),
    "dataset": (_dataset, "a dataset (corehead data list)"),
    "folder": (_folder, "a folder"),
    "device": (_device, "cpu, cuda or auto"),
}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``; None: no end. ``above`` and ``below`` leave that end out."""

    low: float | None
    above: bool
    below: bool
    high: float | None

    def __contains__(self, value: float) -> bool:
        over = self.low is None or (value > self.low if self.above else value >= self.low)
        under = self.high is None or (value < self.high if self.below else value <= self.high)
        return over and under

    def __str__(self) -> str:
        low = "" if self.low is None else f"{'above' if self.above else 'at least'} {self.low:.15g}"
        high = "" if self.high is None else f"{'below' if self.below else 'at most'} {self.high:.15g}"
        return " and ".join(filter(None, (low, high)))


@dataclass(frozen=True)
class Choices:
    """The items of one pair of braces; without items, anything goes."""

    values: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    kind: str = ""  # of KINDS
    several: bool = False
    empty: bool = False
    quick: str | None = None

    def __str__(self) -> str:
        said = [*self.values, *map(str, self.ranges)]
        if self.kind:
            said.append(KINDS[self.kind][1] + ", or several" * self.several)
        said += ["empty"] * self.empty
        return ", ".join(said[:-1]) + " or " * (len(said) > 1) + "".join(said[-1:])

    @property
    def free(self) -> bool:
        return not (self.values or self.ranges or self.kind)

    def checked(self, value: Any, like: Any) -> Any:
        """Return the value if it fits, a list in a text written as in ``like``; else raise CoreheadError, a sentence."""
        if isinstance(value, bool) or (self.free and not self.empty):
            return value
        if not isinstance(value, str):
            if any(value in one for one in self.ranges) or str(value) in self.values:
                return value
            raise CoreheadError(f"It must be {self}, not {value}.")
        if (value == "" and self.empty) or value in self.values or self.free:
            return value
        if self.kind or self.ranges:
            return self._listed(value, ", " if "," in str(like) else " ")
        raise CoreheadError(f"It cannot be {shown(value)}.{_known(value, self.values)}")

    def _listed(self, text: str, between: str) -> str:
        """Check a text that names something, or several things."""
        many = self.several or bool(self.ranges)
        names = text.replace(",", " ").split() if many else [text]
        if not names or not all(names):
            raise CoreheadError(f"It must be {self}; it is empty.")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise CoreheadError(f"{shown(twice)} stands in it twice.")
        for name in names:
            if self.kind:
                KINDS[self.kind][0](name)
            elif not re.fullmatch(r"-?\d{1,18}", name, re.ASCII) or not any(
                int(name) in r for r in self.ranges
            ):
                raise CoreheadError(f"It must be whole numbers {self}, not {shown(name)}.")
        return between.join(names) if many else text


FREE = Choices()


def _known(value: str, values: tuple[str, ...]) -> str:
    near = did_you_mean(value, values)
    return ("" if near.startswith(" Known") else near) + f" Known: {', '.join(values)}."


def read(comment: str) -> tuple[str, Choices]:
    """Split a comment into its help and its choices. Raises CoreheadError for braces that make no sense."""
    found = BRACES.search(comment)
    if not found:
        return comment, FREE
    values, ranges, kind, several, empty, quick = [], [], "", False, False, None
    for item in (part.strip() for part in found[1].split(",")):
        span = RANGE.fullmatch(item)
        if span and (span[1] or span[4]):
            low, high = (None if end is None else float(end) for end in span.group(1, 4))
            ranges.append(Range(low, bool(span[2]), bool(span[3]), high))
        elif item.startswith("quick "):
            quick = item.removeprefix("quick ").strip()
        elif item in KINDS or item.removesuffix("s") in KINDS:
            kind, several = item.removesuffix("s"), item.endswith("s")
        elif item == "empty":
            empty = True
        elif not item or ".." in item:
            raise CoreheadError(f"{{{found[1]}}} has an item {item!r} that is no value, range or kind.")
        else:
            values.append(item)
    return comment[: found.start()], Choices(tuple(values), tuple(ranges), kind, several, empty, quick)
