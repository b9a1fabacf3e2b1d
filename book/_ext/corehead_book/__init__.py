"""A Sphinx extension for what the book says about itself; nothing here is executed or typed by hand.

Directives: `verdicts`, `chapters`, `results`, `cards`. Each chapter offers its student notebook. Each published number gets a label, `CHAPTER-NAME`, at the cell that
computed it, and chapters carry in the sidebar the numbers that the commands know.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from corehead_book import tables
from corehead_book.buttons import chapter_buttons, write_students
from corehead_book.chapters import Chapter, Missing, chapters
from corehead_book.origins import origins

CHAPTER = re.compile(r"(?:.*/)?(\d\d)_\w+$")
log = logging.getLogger(__name__)


class Gathered(SphinxDirective):
    """A directive without content that stands for text made from the chapters."""

    @property
    def known(self) -> dict[str, Chapter]:
        return chapters(Path(self.env.srcdir))

    def text(self) -> str:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        gathering(self.env).add(self.env.docname)
        try:
            text = self.text()
        except Missing as missing:
            log.warning("%s: %s", self.name, missing, location=self.get_location())
            return []
        here = nodes.section()
        lines = StringList(text.splitlines(), source=self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset, here, match_titles=True)
        return here.children


class Verdicts(Gathered):
    """The table of verdicts, from book/verdicts.yaml."""

    def text(self) -> str:
        return tables.verdict_table(self.known, Path(__file__).parents[2] / "verdicts.yaml")


class Contents(Gathered):
    """The chapters that there are, each with its claim."""

    def text(self) -> str:
        return tables.contents(self.known)


class Results(Gathered):
    """What came out of each chapter."""

    def text(self) -> str:
        return tables.results(self.known)


class Cards(Gathered):
    """The cards of the shipped models."""

    def text(self) -> str:
        return tables.cards(Path(self.env.doc2path(self.env.docname)))


def gathering(env: BuildEnvironment) -> set[str]:
    """Return the names of the pages that speak of others: they are read anew each time."""
    if not hasattr(env, "corehead_gathering"):
        env.corehead_gathering = set()  # type: ignore[attr-defined]
    found: set[str] = env.corehead_gathering  # type: ignore[attr-defined]
    return found


def read_again(app: Sphinx, env: BuildEnvironment, *_: Any) -> list[str]:
    """Name the gathering pages as outdated."""
    return sorted(gathering(env) & env.found_docs)


def number(app: Sphinx, doctree: nodes.document) -> None:
    """Give a chapter its number in the sidebar, and each of its numbers a label at the cell that computed it."""
    env = app.env
    match = CHAPTER.match(env.docname)
    if not match:
        return
    title = nodes.title()
    title += [nodes.Text(f"{match[1]}  "), *(n.deepcopy() for n in env.titles[env.docname].children)]
    if int(match[1]):
        env.titles[env.docname] = title
        entry = next(env.tocs[env.docname].findall(nodes.reference))
        entry.insert(0, nodes.Text(f"{match[1]}  "))
    chapter = Chapter(Path(env.doc2path(env.docname)))
    cells = {c["cell_index"]: c for c in doctree.findall(nodes.container) if "cell_index" in c}
    for name, index in origins(chapter.notebook, [*chapter.found.numbers]).items():
        anchor = f"cell-{index}"
        if index in cells and anchor not in cells[index]["ids"]:
            cells[index]["ids"].append(anchor)
        label = f"{chapter.stem}-{name}".lower()
        env.domaindata["std"]["anonlabels"][label] = env.docname, anchor if index in cells else ""


def dashes(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Show a dash in cells of tables where pandas has NaN: nothing was measured, or there was nothing to test."""
    for raw in doctree.findall(nodes.raw):
        if "<td>NaN</td>" in raw.astext():
            raw.children = [nodes.Text(raw.astext().replace("<td>NaN</td>", "<td>–</td>"))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of it."""
    directives = {"verdicts": Verdicts, "chapters": Contents, "results": Results, "cards": Cards}
    for name, directive in directives.items():
        app.add_directive(name, directive)
    app.connect("doctree-read", number, priority=900)  # after the titles were collected
    app.connect("env-get-outdated", read_again)
    app.connect("doctree-resolved", dashes)
    app.add_config_value("corehead_pages", "gh-pages", "html")
    app.connect("html-page-context", chapter_buttons, priority=900)  # after the theme's own
    app.connect("build-finished", write_students)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
