"""The chapters of a built tree, read from their executed notebooks: title, opening, numbers, inputs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from corehead_lib.models import zoo_names
from corehead_lib.results import Findings, published

OPENING = "**What came out.**"
GLUED = re.compile(r"\{glue:text\}`(?:(?P<chapter>\w+)::)?(?P<name>\w+)(?::(?P<form>[^`]*))?`")


class Missing(LookupError):
    """A number, or a chapter, that is cited and not there."""


@dataclass(frozen=True)
class Chapter:
    """One executed notebook of the book."""

    path: Path

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return self.stem[:2]

    @cached_property
    def notebook(self) -> NotebookNode:
        return nbformat.read(self.path, as_version=4)

    @cached_property
    def found(self) -> Findings:
        return published(self.notebook)

    @property
    def first(self) -> list[str]:
        """The paragraphs of its first cell: title, claim, what came out, figure."""
        return [part.strip() for part in self.notebook.cells[0].source.split("\n\n")]

    @property
    def title(self) -> str:
        return self.first[0].removeprefix("# ")

    @property
    def claim(self) -> str:
        """The paragraph below the title, on one line: it goes into tables."""
        return " ".join(self.first[1].split())

    @property
    def opening(self) -> str:
        """What came out, without these three words; empty if the chapter does not say it so."""
        said = [part for part in self.first if part.startswith(OPENING)]
        return said[0].removeprefix(OPENING).strip() if said else ""

    def number_text(self, name: str, form: str) -> str:
        """Return a published number as text; Missing if there is none of that name."""
        if name not in self.found.numbers:
            raise Missing(f"{self.stem} publishes no number {name!r}")
        return format(self.found.numbers[name], form)

    @property
    def inputs(self) -> tuple[set[str], set[str]]:
        """Names of the models that it looked at, and checksums of its sets of samples."""
        said = self.found.inputs.values()
        models = {str(i["name"]) for i in said if "checksum" in i or i.get("name") in zoo_names()}
        return models, {str(i["sha256"]) for i in said if "sha256" in i and i.get("name") not in models}


def chapters(root: Path) -> dict[str, Chapter]:
    """Return the chapters whose executed notebooks lie under ``root``, by name, in order."""
    paths = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {path.stem: Chapter(path) for path in paths}


def filled(text: str, known: Mapping[str, Chapter], show: str = "{text}") -> str:
    """Put published numbers in place of {glue:text}`CHAPTER::NAME:FORMAT` in ``text``.

    show: what stands for each, with {text}, {chapter} and {name}. Missing for what nobody published.
    """

    def number(match: re.Match[str]) -> str:
        stem, name = match["chapter"], match["name"]
        if stem not in known:
            raise Missing(f"there is no chapter {stem!r}")
        value = known[stem].number_text(name, match["form"] or "")
        return show.format(text=value, chapter=stem, name=name)

    return GLUED.sub(number, text)
