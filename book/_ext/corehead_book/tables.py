"""What the book says about its chapters, as MyST text: verdicts, contents, results, cards of the models."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from corehead_book.chapters import Chapter, filled
from corehead_lib.models import ZOO

LINKED = "{{ref}}`{text} <{chapter}-{name}>`"


def verdicts(known: Mapping[str, Chapter], path: Path, show: str = LINKED) -> list[dict[str, Any]]:
    """Return the rows of the table of verdicts, numbers filled in; a row whose chapter is not there is left out.

    Each row says its claim, what was found, how sure that is, and the chapter. Missing for a number nobody published.
    """
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    kept = [row for row in rows if row["chapter"] in known]
    return [{k: filled(" ".join(v.split()), known, show) for k, v in row.items()} for row in kept]


def rests_on(chapter: Chapter) -> str:
    """Say on how many models and sets of samples a chapter rests, by its record of inputs."""
    models, data = map(len, chapter.inputs)
    parts = [f"{models} model{'s' * (models != 1)}", f"{data} set{'s' * (data != 1)} of samples"]
    return ", ".join(part for part in parts if not part.startswith("0 "))


def verdict_table(known: Mapping[str, Chapter], path: Path) -> str:
    """Return the verdicts as a MyST table, one row a claim, made of cards on a narrow screen."""
    lines = ["| the claim | what we found | how sure | rests on | chapter |", "|---|---|---|---|---|"]
    rows = verdicts(known, path)
    for row in rows:
        chapter = known[row["chapter"]]
        link = f"{{doc}}`{chapter.number} </notebooks/{chapter.stem}>`"
        lines.append(f"| {row['claim']} | {row['found']} | {row['sure']} | {rests_on(chapter)} | {link} |")
    return "\n".join([":::{div} verdicts", "", *lines, "", ":::"]) if rows else ""


def plain_verdicts(known: Mapping[str, Chapter], path: Path) -> str:
    """Return the verdicts as a plain Markdown table with links from the root of the repository."""
    lines = ["| the claim | what we found | chapter |", "|---|---|---|"]
    for row in verdicts(known, path, "{text}"):
        said = re.sub(r"\{\w+\}`([^`<]+)(?: <[^`]*)?`", r"\1", f"{row['claim']} | {row['found']}")
        stem = row["chapter"]
        lines.append(f"| {said} | [{known[stem].number}](notebooks/{stem}.ipynb) |")
    return "\n".join(lines)


def contents(known: Mapping[str, Chapter]) -> str:
    """Return a table of the chapters, each with the sentence below its title."""
    rows = [c for c in known.values() if int(c.number)]
    lines = [f"| {{doc}}`/notebooks/{c.stem}` | {c.claim} |" for c in rows]
    return "\n".join(["| chapter | what it is about |", "|---|---|", *lines]) if rows else ""


def results(known: Mapping[str, Chapter]) -> str:
    """Return a section for each chapter: what came out, numbers linked to their cells, and all of its numbers."""
    parts = []
    for chapter in known.values():
        if not int(chapter.number):
            continue
        stem = chapter.stem
        opening = filled(chapter.opening.replace("{glue:text}`", f"{{glue:text}}`{stem}::"), known, LINKED)
        rows = [
            f"| {{ref}}`{name} <{stem}-{name}>` | {value:.4g} |"
            for name, value in chapter.found.numbers.items()
        ]
        parts += [f"## {chapter.number}  {chapter.title}", opening]
        parts += [f"Rests on {rests_on(chapter)}. All of it: {{doc}}`/notebooks/{stem}`."]
        parts += [f":::{{dropdown}} All {len(rows)} numbers of this chapter\n"]
        parts += ["| number | value |\n|---|---|\n" + "\n".join(rows), ":::"]
    return "\n\n".join(parts)


def cards(page: Path) -> str:
    """Return the cards of all shipped models, the tiny ones first, as sections of the page that lies at ``page``."""
    parts = []
    for path in [path for kind in ("tiny", "smollm2") for path in sorted(ZOO.glob(f"{kind}-*/README.md"))]:
        here = os.path.relpath(path.parent, page.parent)
        text = path.read_text(encoding="utf-8").replace("](curve.png)", f"]({here}/curve.png)")
        lines = [f"#{line}" if line.startswith("#") else line for line in text.splitlines()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
