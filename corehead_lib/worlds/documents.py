"""Generated documents: several pages with shapes, words and charts, and questions about them.

The evidence of a needle is where its digit can be read: the cell of a shape, a word or a bar; or, as in
MMDocIR (arXiv 2501.08828), the whole layout block or the whole page.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from PIL import Image

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Evidence, Pages, Sample
from corehead_lib.worlds import phrases
from corehead_lib.worlds.layout import Stock, make_page
from corehead_lib.worlds.pages import Entry, Page, draw_page
from corehead_lib.worlds.phrases import TOPICS, check_range, check_tasks, digit_on, draw_split
from corehead_lib.worlds.sprites import COLOURS, DIGITS

NEEDLES = ("pair", "word", "bar")
CONTROLS = ("heading", "topic", "sum")
LISTING = "List the entries."
MOST_PAGES = 40
SIZE = (96, 96)  # pixels of a page: one tile of the tiny models that cut pictures into tiles

Level = Literal["entry", "block", "page"]


@dataclass(frozen=True)
class Document:
    """Pages, each with its picture, one topic that its words are about, and one colour of headings."""

    pages: tuple[Page, ...]
    topic: str
    colour: str
    media: tuple[Image.Image, ...] = field(repr=False)

    context = ""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry of every page, in reading order."""
        return tuple(entry for page in self.pages for entry in page.entries)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that can be asked of this document."""
        kinds = {entry.kind for entry in self.entries}
        words = "word" in kinds or any(w in TOPICS[self.topic] for p in self.pages for _, _, w in p.texts)
        able = {*kinds, "heading", "sum"} | ({"topic"} if words else set())
        return tuple(task for task in NEEDLES + CONTROLS if task in able)


def make_document(
    rng: np.random.Generator,
    *,
    pages: tuple[int, int] = (2, 8),
    blocks: tuple[int, int] = (1, 3),
    size: tuple[int, int] = SIZE,
    kinds: tuple[str, ...] = NEEDLES,
    empty: float = 0.2,
    tasks: tuple[str, ...] = (),
) -> Document:
    """Draw a document; every key occurs once in it.

    pages: least and most pages, from 1 to MOST_PAGES.
    blocks: least and most blocks on a page, one row of cells each, as far as there is room.
    size: ``(width, height)`` of every page in pixels, a multiple of 32; charts need 96 in width.
    kinds: the kinds of entry that may occur, see ``Entry``.
    empty: share of distractor pages, which hold no entry; one page at least is none.
    tasks: tasks that must be askable (needles beyond the first go to other pages where there are some).
    Raises CoreheadError for ranges that make no sense, and if a task's entry finds no room.
    """
    check_range("pages", pages, 1, MOST_PAGES)
    check_range("blocks", blocks, 1, 8)
    check_tasks(kinds, NEEDLES, "documents", "kind of entry")
    check_tasks(tasks, NEEDLES + CONTROLS, "documents")
    number = int(rng.integers(pages[0], pages[1] + 1))
    must = ["pair"] * ("pair" in tasks)
    must += [task for task in tasks if task in ("word", "bar")] + ["word"] * ("topic" in tasks)
    topic, colour = str(rng.choice(list(TOPICS))), str(rng.choice(list(COLOURS)))
    stock = Stock.draw(rng, topic, min(80, 2 * number + 4), Counter(must))
    hosts: list[list[str]] = [[] for _ in range(number)]
    for place, kind in zip(np.resize(rng.permutation(number), len(must)), must, strict=True):
        hosts[place].append(kind)
    made: list[Page] = []
    # pages with a task's entry choose their keys first
    for item in sorted(rng.permutation(number).tolist(), key=lambda i: not hosts[i]):
        none = bool(made) and not hosts[item] and rng.random() < empty
        room = 0 if none else int(rng.integers(blocks[0], blocks[1] + 1))
        made.append(make_page(rng, stock, item, (size[0], size[1]), colour, kinds, room, tuple(hosts[item])))
    made.sort(key=lambda page: page.number)
    return Document(tuple(made), topic, colour, tuple(draw_page(page) for page in made))


def ask(
    document: Document,
    task: str,
    rng: np.random.Generator,
    entry: Entry | None = None,
    level: Level = "entry",
) -> Sample:
    """Ask one question of ``task`` (about ``entry``, or a random one that fits).

    level: the evidence of a needle: the "entry" itself, its layout "block", or its "page".
    Raises CoreheadError if the document cannot answer such a question.
    """
    check_tasks([task], NEEDLES + CONTROLS, "documents")
    check_tasks([level], get_args(Level), "documents", "level")
    if task not in document.tasks:
        raise CoreheadError(
            f"This document of {len(document.pages)} pages has nothing to ask {task!r} about."
        )
    fitting = [e for e in document.entries if e.kind == task]
    if entry is not None and entry not in fitting:
        raise CoreheadError(f"{entry.name!r} is no entry of this document for the task {task!r}.")
    if task in CONTROLS:
        question, answer, options = _control(document, task, rng)
        return Sample("", task, question, answer, document.media, (), options)
    entry = entry or fitting[rng.integers(len(fitting))]
    if task == "bar":
        question, options = f"How high is the {entry.name}?", DIGITS[1:9]
    else:
        question, options = digit_on(entry.name), DIGITS
    found: dict[str, Evidence] = {"entry": entry.box, "block": entry.block, "page": Pages((entry.box.item,))}
    seen = tuple(each.digit for each in document.entries)
    return Sample("", task, question, entry.digit, document.media, (found[level],), options, visible=seen)


def among_others(sample: Sample, rng: np.random.Generator, pages: int = 2) -> Sample:
    """Put ``pages`` pages of another document before a sample's own, and as many of a third one behind; the evidence keeps up.

    No entry of the others has the name that is asked for.
    """
    others: list[Document] = []
    while len(others) < 2:
        drawn = make_document(rng, pages=(pages, pages), size=sample.media[0].size)  # type: ignore[union-attr]
        if not any(entry.name in sample.question for entry in drawn.entries):
            others.append(drawn)
    before, behind = others
    evidence: list[Evidence] = []
    for piece in sample.evidence:
        if isinstance(piece, Pages):
            evidence.append(Pages(tuple(number + pages for number in piece.index)))
        elif isinstance(piece, Box):
            evidence.append(replace(piece, item=piece.item + pages))
        else:
            raise CoreheadError(f"{sample.id}: {piece} lies on no page.")
    seen = tuple(entry.digit for other in others for entry in other.entries)
    return replace(
        sample,
        media=(*before.media, *sample.media, *behind.media),
        evidence=tuple(evidence),
        visible=sample.visible + seen,
    )


def _control(document: Document, task: str, rng: np.random.Generator) -> phrases.Question:
    if task == "sum":
        return phrases.small_sum(rng)
    if task == "heading":
        return "Which colour are the headings?", document.colour, tuple(COLOURS)
    return phrases.topic_question(document.topic)


def documents(
    split: str,
    samples: int,
    seed: int,
    tasks: tuple[str, ...] = NEEDLES,
    *,
    pages: tuple[int, int] = (2, 8),
    size: tuple[int, int] = SIZE,
    level: Level = "entry",
) -> list[Sample]:
    """Make ``samples`` one-question samples of held-out documents, the tasks taking turns.

    Arguments as in ``make_document`` and ``ask``; splits as in ``draw_split``.
    """
    check_tasks(tasks, NEEDLES + CONTROLS, "documents")

    def make(rng: np.random.Generator, task: str) -> Sample:
        return ask(make_document(rng, pages=pages, size=size, tasks=(task,)), task, rng, level=level)

    return draw_split("documents", split, samples, seed, tasks, make)


def corpus() -> list[str]:
    """Lines with every word of questions and answers, for training a tokenizer."""
    words = [word for topic in TOPICS.values() for word in topic]
    lines = [digit_on(word) for word in words] + [f"How high is the {colour} bar?" for colour in COLOURS]
    lines += [
        f"{word} {digit}, {colour} bar {digit}"
        for word in words
        for colour, digit in zip(COLOURS, DIGITS, strict=False)
    ]
    return lines + ["Which colour are the headings?", LISTING] * 20
