"""Generated documents: exact boxes, questions with one answer, pages that say what their structure says."""

import re
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from letters import read_word
from PIL import Image

from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Frames, Pages, Sample
from corehead_lib.worlds.documents import (
    CONTROLS,
    NEEDLES,
    Document,
    among_others,
    ask,
    corpus,
    documents,
    make_document,
)
from corehead_lib.worlds.pages import UNIT, Entry, draw_page, glyph
from corehead_lib.worlds.phrases import TOPICS, listing
from corehead_lib.worlds.sprites import COLOURS
from corehead_lib.worlds.synthetic import DIGITS, SPLITS

TASKS = NEEDLES + CONTROLS
EVERY = ("bar", "word", "pair")
DOCUMENTS = [make_document(np.random.default_rng(seed), pages=(4, 7), tasks=EVERY) for seed in range(12)]


def inside(box: Box) -> tuple[slice, slice]:
    return slice(int(box.y0), int(box.y1)), slice(int(box.x0), int(box.x1))


def within(box: Box, outer: Box) -> bool:
    return outer.x0 <= box.x0 and outer.y0 <= box.y0 and box.x1 <= outer.x1 and box.y1 <= outer.y1


def other_digit(entry: Entry) -> Entry:
    digit = int(entry.digit)
    return replace(entry, digit=str(digit % 8 + 1 if entry.kind == "bar" else (digit + 1) % 10))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_another_digit_changes_pixels_in_the_entrys_box_alone(document: Document) -> None:
    for page, picture in zip(document.pages, document.media, strict=True):
        before = np.array(picture).astype(int)
        for i, entry in enumerate(page.entries):
            redrawn = replace(page, entries=(*page.entries[:i], other_digit(entry), *page.entries[i + 1 :]))
            differs = (np.array(draw_page(redrawn)) != before).any(-1)
            assert differs.any()
            differs[inside(entry.box)] = False
            assert not differs.any()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_an_entry_fills_a_cell_below_the_heading_and_blocks_stand_apart(document: Document) -> None:
    for item, (page, picture) in enumerate(zip(document.pages, document.media, strict=True)):
        assert picture.size == page.size == (96, 96)
        assert page.number == item + 1
        blocks = np.zeros((96, 96), dtype=int)
        cells = np.zeros((96, 96), dtype=int)
        for block in dict.fromkeys(entry.block for entry in page.entries):
            blocks[inside(block)] += 1
        for x, y, _ in page.texts:
            cells[y : y + 32, x : x + 32] += 1
            assert y >= 32
        for entry in page.entries:
            box = entry.box
            assert box.item == entry.block.item == item
            assert (box.x0 % 32, box.y0 % 32, box.x1 - box.x0, box.y1 - box.y0) == (0, 0, 32, 32)
            assert within(box, entry.block)
            assert within(entry.block, Box(0, 32, 96, 96, item))
            cells[inside(box)] += 1
        assert max(blocks.max(), cells.max()) <= 1


def test_an_entry_looks_the_same_wherever_it_stands() -> None:
    looks: dict[tuple[str, str, str], list[bytes]] = {}
    places: dict[tuple[str, str, str], set[tuple[float, float]]] = {}
    for seed in range(60):
        document = make_document(np.random.default_rng(seed), pages=(6, 6))
        for entry in document.entries:
            key = entry.kind, entry.key, entry.digit
            cell = np.array(document.media[entry.box.item])[inside(entry.box)]
            looks.setdefault(key, []).append(cell.tobytes())
            places.setdefault(key, set()).add((entry.box.x0, entry.box.y0))
    assert all(len(set(cells)) == 1 for cells in looks.values())
    for kind in NEEDLES:
        assert sum(len(places[key]) > 1 for key in places if key[0] == kind) > 20
    assert len({cells[0] for cells in looks.values()}) == len(looks)  # and no two look alike


@pytest.mark.parametrize("document", DOCUMENTS)
def test_words_can_be_read_with_the_digit_below(document: Document) -> None:
    for page, picture in zip(document.pages, document.media, strict=True):
        for entry in page.entries:
            if entry.kind == "word":
                x, y = int(entry.box.x0) + 4, int(entry.box.y0)
                assert (read_word(picture, x, y), read_word(picture, x, y + 16)) == (
                    entry.key,
                    f"{entry.digit}  ",
                )
        for x, y, word in page.texts:
            start = x + 16 - 4 * len(word)
            assert (read_word(picture, start, y, len(word)), read_word(picture, x + 4, y + 16)) == (
                word,
                "   ",
            )


def read_bar(picture: Image.Image, block: Box, colour: str) -> int:
    """Measure the bar of this colour among the block's pixels."""
    pixels = np.array(picture)[inside(block)]
    return int((pixels == COLOURS[colour]).all(-1).sum(0).max()) // UNIT


def test_a_bar_is_as_high_as_its_value() -> None:
    for document in DOCUMENTS:
        for entry in document.entries:
            if entry.kind == "bar":
                assert read_bar(document.media[entry.box.item], entry.block, entry.key) == int(entry.digit)


def test_no_key_occurs_twice() -> None:
    for document in DOCUMENTS:
        keys = [(entry.kind, entry.key) for entry in document.entries]
        assert len(set(keys)) == len(keys)
        words = {entry.key for entry in document.entries if entry.kind == "word"}
        assert not words & {word for page in document.pages for _, _, word in page.texts}


def entries_named_by(question: str, document: Document) -> list[Entry]:
    """Find what a question asks for, by a rule of our own."""
    if found := re.fullmatch(r"How high is the (\w+) bar\?", question):
        kind, key = "bar", found[1]
    else:
        key = question.removeprefix("Which digit is on the ").removesuffix("?")
        kind = "pair" if " " in key else "word"
    return [entry for entry in document.entries if entry.kind == kind and entry.key == key]


@pytest.mark.parametrize("task", NEEDLES)
def test_a_needle_has_one_answer_and_exact_evidence(task: str) -> None:
    for seed, document in enumerate(DOCUMENTS):
        sample = ask(document, task, np.random.default_rng(seed))
        (entry,) = entries_named_by(sample.question, document)
        assert sample.media == document.media
        assert (sample.answer, sample.evidence) == (entry.digit, (entry.box,))
        asked = {
            level: ask(document, task, np.random.default_rng(seed), level=level)
            for level in ("block", "page")
        }
        assert {a.question for a in asked.values()} == {sample.question}
        assert asked["page"].evidence == (Pages((entry.box.item,)),)
        assert asked["block"].evidence == (entry.block,)


def test_controls_have_the_right_answer_and_no_evidence() -> None:
    for seed, document in enumerate(DOCUMENTS):
        asked = {task: ask(document, task, np.random.default_rng(seed)) for task in CONTROLS}
        assert all(sample.evidence == () for sample in asked.values())
        assert asked["sum"].answer == str(sum(int(n) for n in re.findall(r"\d", asked["sum"].question)))
        bands = {picture.getpixel((1, 1)) for picture in document.media}
        assert bands == {COLOURS[asked["heading"].answer]}
        words = {entry.key for entry in document.entries if entry.kind == "word"}
        words |= {word for page in document.pages for _, _, word in page.texts}
        (topic,) = [topic for topic, known in TOPICS.items() if words & set(known)]
        assert asked["topic"].answer == topic


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_among_the_options(task: str) -> None:
    samples = documents("tuning", 15, 0, (task,))
    assert all(sample.answer in sample.options for sample in samples)
    assert all(len(set(sample.options)) == len(sample.options) > 1 for sample in samples)
    assert len({sample.answer for sample in samples}) > 2


def test_a_listing_names_every_entry_in_shuffled_order() -> None:
    document = DOCUMENTS[0]
    names = [f"{entry.name}{entry.digit}" for entry in document.entries]
    listed = listing(document.entries, np.random.default_rng(0)).split(", ")
    assert sorted(listed) == sorted(names)
    assert listed != names
    assert len(listing(document.entries, np.random.default_rng(0), most=3).split(", ")) == 3


def test_documents_have_from_one_to_forty_pages() -> None:
    one = make_document(np.random.default_rng(0), pages=(1, 1), tasks=("pair",))
    assert len(one.media) == 1
    forty = make_document(np.random.default_rng(0), pages=(40, 40), tasks=("word",))
    assert len(forty.media) == 40
    assert sum(not page.entries for page in forty.pages) > 2  # distractors


def test_entries_of_every_kind_stand_anywhere_in_a_long_document() -> None:
    made = [make_document(np.random.default_rng(seed), pages=(30, 30)) for seed in range(8)]
    for kind in NEEDLES:
        items = [e.box.item for document in made for e in document.entries if e.kind == kind]
        assert 9 < np.mean(items) < 20
        assert min(items) < 6
        assert max(items) > 23


def test_size_and_kinds_can_be_given() -> None:
    document = make_document(np.random.default_rng(0), size=(64, 128), kinds=("pair", "word"))
    assert {picture.size for picture in document.media} == {(64, 128)}
    assert {entry.kind for entry in document.entries} == {"pair", "word"}
    assert max(entry.box.y1 for entry in document.entries) == 128
    words = make_document(np.random.default_rng(0), pages=(1, 1), kinds=("word",))
    assert "bar" not in words.tasks


def test_digits_and_letters_can_be_told_apart() -> None:
    letters = [np.array(glyph(letter)).astype(int) for letter in DIGITS + tuple("abcdefghijklmnopqrstuvwxyz")]
    for i, one in enumerate(letters):
        for other in letters[i + 1 :]:
            assert (np.abs(one - other) > 64).sum() >= 5


def same(one: Sample, other: Sample) -> bool:
    return samples_checksum([one]) == samples_checksum([other]) and one.id == other.id


def test_the_seed_decides_everything() -> None:
    first = documents("detection", 6, 7)
    assert all(map(same, first, documents("detection", 9, 7)))


def test_no_document_occurs_in_two_splits_or_seeds() -> None:
    made = [sample for split in SPLITS for seed in (0, 1) for sample in documents(split, 8, seed)]
    assert len(
        {samples_checksum([replace(s, task="", question="", answer="", evidence=())]) for s in made}
    ) == len(made)
    assert len({sample.id for sample in made}) == len(made)


def test_the_corpus_has_every_word() -> None:
    from corehead_lib.zoo.training.turns import corpus as whole

    known = set(re.findall(r"[A-Za-z]+", " ".join(whole())))
    texts = [f"{s.question} {s.answer}" for s in documents("tuning", 60, 0, TASKS)]
    assert set(re.findall(r"[A-Za-z]+", " ".join(texts))) <= known
    assert len(corpus()) > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pages": (0, 2)}, "pages=(0, 2)"),
        ({"pages": (3, 41)}, "between 1 and 40"),
        ({"blocks": (2, 1)}, "blocks=(2, 1)"),
        ({"kinds": ("map",)}, "Unknown kind of entry 'map'"),
        ({"tasks": ("size",)}, "Unknown task 'size'"),
        ({"size": (64, 64), "tasks": ("bar",)}, "64 x 64 pixels has no room"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(CoreheadError, match=re.escape(message)):
        make_document(np.random.default_rng(0), **arguments)


def test_what_cannot_be_asked_is_refused() -> None:
    document = make_document(np.random.default_rng(0), kinds=("pair",))
    with pytest.raises(CoreheadError, match="nothing to ask 'bar' about"):
        ask(document, "bar", np.random.default_rng(0))
    with pytest.raises(CoreheadError, match="is no entry of this document"):
        ask(document, "pair", np.random.default_rng(0), replace(DOCUMENTS[0].entries[0], key="no"))
    with pytest.raises(CoreheadError, match="Unknown split 'test'"):
        load_samples("documents", "test", 3, 0)
    with pytest.raises(CoreheadError, match="Unknown level 'pages'; documents have"):
        load_samples("documents", "tuning", 3, 0, level="pages")
    with pytest.raises(CoreheadError, match="Unknown task 'shape'; documents have"):
        load_samples("documents", "tuning", 3, 0, ("shape",))


@pytest.mark.parametrize("level", ["entry", "block", "page"])
def test_among_others_the_evidence_keeps_up(level: Literal["entry", "block", "page"]) -> None:
    rng = np.random.default_rng(0)
    for sample in documents("evaluation", 12, 3, pages=(2, 3), level=level):
        mixed = among_others(sample, rng, pages=2)
        assert len(mixed.media) == len(sample.media) + 4
        for old, new in zip(sample.media, mixed.media[2:-2], strict=True):
            assert np.array_equal(np.asarray(old), np.asarray(new))
        (piece,), (moved,) = sample.evidence, mixed.evidence
        if isinstance(piece, Box):
            assert moved == replace(piece, item=piece.item + 2)
        else:
            assert isinstance(piece, Pages)
            assert moved == Pages((piece.index[0] + 2,))
        assert mixed.visible[: len(sample.visible)] == sample.visible
    with pytest.raises(CoreheadError, match="no page"):
        among_others(replace(sample, evidence=(Frames(0, 1),)), rng)
