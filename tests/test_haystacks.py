"""Generated haystacks: spans and boxes that hold what they say, and conversations to train on."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from letters import read_word

from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.datasets.manifest import read_manifests
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Box, Sample, TextSpan
from corehead_lib.worlds.haystacks import CONTROLS, NEEDLES, ask, haystacks, interleaved
from corehead_lib.worlds.needles import PARTS, Haystack, make_haystack
from corehead_lib.worlds.phrases import TOPICS
from corehead_lib.worlds.sprites import COLOURS, SHAPES
from corehead_lib.worlds.synthetic import DIGITS, GRAIN, SIDES, SPLITS
from corehead_lib.zoo.training.turns import MODALITIES, corpus, draw_turns

REQUESTS = {f"List the {what}." for what in ("shapes", "colours", "coloured shapes", "entries")}
TEXTS = [make_haystack(np.random.default_rng(seed)) for seed in range(20)]
MIXTURES = [make_haystack(np.random.default_rng(seed), images=(1, 4), prints=(1, 2)) for seed in range(20)]


def pixels(haystack: Haystack, box: Box) -> np.ndarray:
    picture = np.array(haystack.media[box.item]).astype(int)
    return picture[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]


def read(haystack: Haystack, piece: TextSpan | Box) -> str:
    """Read a span, or what is printed in a box, line by line."""
    if isinstance(piece, TextSpan):
        return haystack.context[piece.start : piece.stop]
    lines = range(int(piece.y0), int(piece.y1), 16)
    return " ".join(read_word(haystack.media[piece.item], int(piece.x0) + 4, y).strip() for y in lines)


@pytest.mark.parametrize("haystack", TEXTS + MIXTURES)
def test_every_part_of_a_needle_holds_what_it_says(haystack: Haystack) -> None:
    for needle in haystack.needles:
        texts = {part: read(haystack, needle.part(part)) for part in needle.parts if needle.kind != "image"}
        assert (
            texts
            == {
                "fact": {
                    "fact": f"The {needle.name} holds {needle.digit}.",
                    "key": needle.name,
                    "value": needle.digit,
                    "separator": ".",
                },
                "print": {
                    "fact": f"{needle.name} {needle.digit}",
                    "key": needle.name,
                    "value": needle.digit,
                },
                "image": {},
            }[needle.kind]
        )
        assert set(needle.parts) == (set(texts) or {"fact"}) <= set(PARTS)


def test_a_printed_fact_fills_a_cell_and_all_digits_of_its_page_are_facts() -> None:
    for haystack in MIXTURES:
        prints = [needle for needle in haystack.needles if needle.kind == "print"]
        cells = [box for n in prints if isinstance(box := n.part("fact"), Box)]
        for box in cells:
            assert (box.x0 % GRAIN, box.y0 % GRAIN) == (0, 0)
            assert box.x1 - box.x0 == box.y1 - box.y0
            assert box.x1 - box.x0 in SIDES
        for item in {box.item for box in cells}:
            for x in range(0, 96, 32):
                for y in range(0, 96, 32):
                    has = read_word(haystack.media[item], x + 4, y + 16).strip() != ""
                    assert has == any((box.item, box.x0, box.y0) == (item, x, y) for box in cells)


@pytest.mark.parametrize("haystack", MIXTURES)
def test_a_picture_shows_its_shape_in_its_box_alone(haystack: Haystack) -> None:
    for needle in haystack.needles:
        if needle.kind == "image":
            box = needle.part("fact")
            assert isinstance(box, Box)
            colour = COLOURS[needle.name.split()[0]]
            assert (np.abs(pixels(haystack, box) - colour).max(-1) <= 3).sum() > 5
            assert (box.x0 % GRAIN, box.y0 % GRAIN) == (0, 0)
            assert box.x1 - box.x0 == box.y1 - box.y0
            assert box.x1 - box.x0 in SIDES
            width, height = haystack.media[box.item].size
            everything = pixels(haystack, Box(0, 0, width, height, box.item))
            ground = everything[0, 0] if box.x0 or box.y0 else everything[-1, -1]
            assert (ground >= 235).all()  # a shade of paper
            outside = (everything != ground).any(-1)
            outside[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = False
            assert not outside.any()


@pytest.mark.parametrize("haystack", TEXTS + MIXTURES)
def test_a_text_has_a_place_for_every_picture_and_every_fact_once(haystack: Haystack) -> None:
    assert haystack.context.count(MEDIA) == len(haystack.media)
    assert haystack.context.endswith("\n")
    said = re.findall(r"The (\w+ \w+) holds (\d)\.", haystack.context)
    assert said == [(n.name, n.digit) for n in haystack.needles if n.kind == "fact"]
    assert len({needle.name for needle in haystack.needles}) == len(haystack.needles)
    without = haystack.context
    for needle in haystack.needles:
        span = needle.part("fact")
        if isinstance(span, TextSpan):
            without = without[: span.start] + "#" * (span.stop - span.start) + without[span.stop :]
    assert not re.search(r"\d", without)  # no answer is left once the evidence is gone


@pytest.mark.parametrize("haystack", MIXTURES)
def test_a_needle_has_one_answer_and_its_part_as_evidence(haystack: Haystack) -> None:
    for task in set(NEEDLES) & set(haystack.tasks):
        for part in {"fact": PARTS, "print": PARTS[:3], "image": PARTS[:1]}[task]:
            sample = ask(haystack, task, np.random.default_rng(2), part=part)
            name = sample.question.rstrip("?").split(" the ")[1]
            (needle,) = [n for n in haystack.needles if n.name == name]
            assert needle.kind == task
            assert (sample.answer, sample.evidence) == (needle.digit, (needle.part(part),))
            assert (sample.context, sample.media) == (haystack.context, haystack.media)


@pytest.mark.parametrize("haystack", TEXTS + MIXTURES)
def test_controls_have_the_right_answer_and_no_evidence(haystack: Haystack) -> None:
    asked = {task: ask(haystack, task, np.random.default_rng(5)) for task in CONTROLS}
    assert all(sample.evidence == () for sample in asked.values())
    assert asked["sum"].answer == str(sum(int(n) for n in re.findall(r"\d", asked["sum"].question)))
    words = set(re.findall("[a-z]+", haystack.context))
    (topic,) = [topic for topic, known in TOPICS.items() if words & set(known)]
    assert asked["topic"].answer == topic


@pytest.mark.parametrize("make", [haystacks, interleaved])
def test_answers_are_among_the_options(make: Callable[..., list[Sample]]) -> None:
    tasks = (*(NEEDLES if make is interleaved else ("fact",)), *CONTROLS)
    samples = make("tuning", 80, 0, tasks)
    assert all(sample.answer in sample.options for sample in samples)
    assert {sample.task for sample in samples} == set(tasks)


@pytest.mark.parametrize("make", [haystacks, interleaved])
def test_seeds_and_splits_draw_from_streams_of_their_own(make: Callable[..., list[Sample]]) -> None:
    made = [sample for split in SPLITS for seed in (0, 1) for sample in make(split, 8, seed)]
    assert len({sample.id for sample in made}) == len(made)
    assert len({sample.context for sample in made}) == len(made)
    again = make("train", 12, 0)
    assert all(samples_checksum([a]) == samples_checksum([b]) for a, b in zip(made, again[:8], strict=False))


def test_the_checksum_sees_the_context() -> None:
    (sample,) = haystacks("tuning", 1, 0)
    assert samples_checksum([sample]) != samples_checksum([replace(sample, context="x")])


def test_the_number_of_facts_can_be_given() -> None:
    haystack = make_haystack(np.random.default_rng(0), facts=(40, 40), filler=(20, 20))
    assert len(haystack.needles) == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"facts": (3, 2)}, "facts=(3, 2)"),
        ({"facts": (0, 0)}, "no needle was drawn"),
        ({"filler": (0, 2)}, "filler=(0, 2)"),
        ({"images": (0, 13)}, "between 0 and 12"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(CoreheadError, match=re.escape(message)):
        make_haystack(np.random.default_rng(0), **arguments)


def test_what_cannot_be_asked_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(CoreheadError, match="nothing to ask 'image' about"):
        ask(TEXTS[0], "image", rng)
    with pytest.raises(CoreheadError, match="A needle in a picture has"):
        ask(MIXTURES[0], "image", rng, part="value")
    printed = next(h for h in MIXTURES if "print" in h.tasks)
    with pytest.raises(CoreheadError, match="A needle in a printed page has"):
        ask(printed, "print", rng, part="separator")
    with pytest.raises(CoreheadError, match="is no 'fact' needle"):
        ask(MIXTURES[0], "fact", rng, next(n for n in MIXTURES[0].needles if n.kind == "image"))
    with pytest.raises(CoreheadError, match="Unknown task 'image'; haystacks have"):
        load_samples("haystacks", "tuning", 3, 0, ("image",))


def test_every_world_has_a_manifest() -> None:
    assert set(MODALITIES) <= set(read_manifests("dataset"))


@pytest.mark.parametrize("modality", [name for name, kind in MODALITIES.items() if kind.needles])
def test_a_conversation_asks_about_one_set_of_media(modality: str) -> None:
    kind = MODALITIES[modality]
    seen, requests = set(), set()
    for seed in range(60):
        drawn = draw_turns(np.random.default_rng(seed), modality, tasks=kind.needles + kind.controls)
        again = draw_turns(np.random.default_rng(seed), modality, tasks=kind.needles + kind.controls)
        assert (drawn.context, drawn.turns) == (again.context, again.turns)
        questions = [question for _, question, _ in drawn.turns]
        assert len(set(questions)) == len(questions) <= 8
        assert drawn.context.count(MEDIA) in (0, len(drawn.media))
        seen |= {task for task, _, _ in drawn.turns}
        for task, question, answer in drawn.turns:
            if task == "listing":
                named = [(part[:-1], part[-1]) for part in answer.split(", ")]
                assert len({name for name, _ in named}) == len(named)
                assert all(digit in DIGITS for _, digit in named)
                assert question in REQUESTS
                if question in ("List the shapes.", "List the colours.") and modality == "scenes":
                    known = SHAPES if question == "List the shapes." else COLOURS
                    assert {name for name, _ in named} <= set(known)
                requests.add(question)
    assert seen >= {"listing", *kind.needles, "sum"}
    assert len(requests) == (3 if modality == "scenes" else 1)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_corpus_has_every_word_of_the_conversations(modality: str) -> None:
    kind = MODALITIES[modality]
    known = set(re.findall(r"[A-Za-z]+", " ".join(corpus())))
    for seed in range(40):
        listing = 0.3 if kind.needles else 0
        drawn = draw_turns(np.random.default_rng(seed), modality, tasks=kind.tasks, listing=listing)
        texts = [drawn.context, *(f"{question} {answer}" for _, question, answer in drawn.turns)]
        assert (
            set(re.findall(r"[A-Za-z]+", " ".join(texts))) - {"larger"} <= known
        )  # a task that no model trains on any more


def test_difficulty_and_lengths_reach_the_conversation() -> None:
    rng = np.random.default_rng(0)
    drawn = draw_turns(rng, "documents", tasks=["pair"], listing=0.0, pages=[1, 1], size=[64, 64])
    assert len(drawn.media) == 1
    assert {task for task, _, _ in drawn.turns} == {"pair"}
    drawn = draw_turns(rng, "haystacks", listing=1.0, most=2, facts=[5, 5])
    assert len(drawn.turns[0][2].split(", ")) == 2
    with pytest.raises(CoreheadError, match=r"no modality 'clip'\. Did you mean 'clips'"):
        draw_turns(rng, "clip")
    with pytest.raises(CoreheadError, match="Unknown task 'page'; clips have"):
        draw_turns(rng, "clips", tasks=["page"])


def test_splits_share_no_picture() -> None:
    seen = [
        {np.asarray(item).tobytes() for s in interleaved(split, 150, 0) for item in s.media}
        for split in ("detection", "evaluation", "tuning")
    ]
    assert all(len(pictures) > 300 for pictures in seen)
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
