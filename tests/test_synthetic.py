"""Generated scenes: exact boxes, questions with one answer, and streams that never mix."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Sample
from corehead_lib.worlds import synthetic
from corehead_lib.worlds.sprites import BACKGROUNDS, COLOURS
from corehead_lib.worlds.synthetic import (
    CONTROL_TASKS,
    RETRIEVAL_TASKS,
    SPLITS,
    Scene,
    Thing,
    ask,
    make_scene,
    scenes,
)

TASKS = RETRIEVAL_TASKS + CONTROL_TASKS
SCENES = [
    make_scene(np.random.default_rng(seed), unique=bool(seed % 2), anywhere=False) for seed in range(40)
]
LOOSE = [make_scene(np.random.default_rng(seed), unique=bool(seed % 2)) for seed in range(40)]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Scene]:
    """Every scene that is made from here on."""
    made: list[Scene] = []
    original: Callable[..., Scene] = make_scene

    def recorded(*arguments: object, **named: object) -> Scene:
        made.append(original(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(synthetic, "make_scene", recorded)
    return made


def named_by(question: str, things: tuple[Thing, ...]) -> list[Thing]:
    """The things that fit a question's words, read by a rule of our own."""
    words = set(re.findall("[a-z]+", question.lower())) - {"which", "digit", "is", "on", "the", "shape"}
    return [thing for thing in things if words <= {thing.shape, thing.colour}]


def inside(box: Box) -> tuple[slice, slice]:
    return slice(int(box.y0), int(box.y1)), slice(int(box.x0), int(box.x1))


@pytest.mark.parametrize("scene", SCENES[:20] + LOOSE[:20])
def test_boxes_hold_what_was_drawn_and_nothing_lies_outside(scene: Scene) -> None:
    pixels = np.array(scene.image).astype(int)
    painted = (pixels != BACKGROUNDS[scene.background]).any(-1)
    for thing in scene.things:
        part = inside(thing.box)
        assert thing.box.x1 <= scene.image.width
        assert thing.box.y1 <= scene.image.height
        assert painted[part].mean() > 0.2
        distance = np.abs(pixels[part] - COLOURS[thing.colour]).max(-1)
        assert (distance <= 3).sum() > 5  # its colour is there (least on stars)
        painted[part] = False  # so that an overlap with the next would fail
    assert not painted.any()


def test_things_stand_in_order_of_their_upper_rims() -> None:
    for scene in SCENES:
        corners = [(thing.box.y0, thing.box.x0) for thing in scene.things]
        assert corners == sorted(corners)


def test_a_shape_fills_a_cell() -> None:
    for scene in SCENES:
        for box in (thing.box for thing in scene.things):
            assert (box.x0 % 32, box.y0 % 32, box.x1 - box.x0, box.y1 - box.y0) == (0, 0, 32, 32)


def test_anywhere_shapes_have_three_sizes_and_never_touch() -> None:
    sides, offsets = set(), set()
    for scene in LOOSE:
        assert set(scene.image.size) <= {96, 192}
        boxes = [thing.box for thing in scene.things]
        for i, box in enumerate(boxes):
            assert box.x1 - box.x0 == box.y1 - box.y0
            sides.add(box.x1 - box.x0)
            offsets.add((box.x0 % 32, box.y0 % 32))
            for other in boxes[i + 1 :]:
                assert max(box.x0, other.x0) >= min(box.x1, other.x1) or max(box.y0, other.y0) >= min(
                    box.y1, other.y1
                )
    assert sides == {32, 48, 64}
    assert len(offsets) == 16  # every place of the lattice of 8 pixels
    assert len({scene.image.size for scene in LOOSE}) == 4


def test_places_are_drawn_evenly_and_a_full_picture_is_refused() -> None:
    rng = np.random.default_rng(0)
    places = [synthetic.scatter(rng, (96, 96), [64])[0] for _ in range(2000)]
    assert set(places) == {(x, y) for x in range(0, 40, 8) for y in range(0, 40, 8)}
    counts = [places.count(place) for place in set(places)]
    assert min(counts) > 40  # 80 expected
    assert len(synthetic.scatter(rng, (64, 64), [32] * 4, tries=10000)) == 4
    with pytest.raises(CoreheadError, match="no room for squares"):
        synthetic.scatter(rng, (96, 96), [64, 64])


def test_a_scene_knows_what_it_can_be_asked() -> None:
    for scene in SCENES:
        assert scene.media == (scene.image,)
        assert scene.unique == ("pair" not in scene.tasks) == ("shape" in scene.tasks)
        for task in scene.tasks:
            sample = ask(scene, task, np.random.default_rng(0))
            assert task not in RETRIEVAL_TASKS or len(named_by(sample.question, scene.things)) == 1


def test_unique_scenes_repeat_no_attribute() -> None:
    for scene in SCENES[1::2]:
        assert len({t.shape for t in scene.things}) == len(scene.things)
        assert len({t.colour for t in scene.things}) == len(scene.things)


def test_other_scenes_repeat_attributes_but_no_pair() -> None:
    repeated = 0
    for scene in SCENES[::2]:
        assert len({(t.shape, t.colour) for t in scene.things}) == len(scene.things)
        repeated += len({t.shape for t in scene.things}) < len(scene.things)
    assert repeated >= 15  # of 20


def test_retrieval_questions_name_one_thing_and_ask_for_its_digit(drawn: list[Scene]) -> None:
    samples = scenes("evaluation", 60, seed=1)
    for sample, scene in zip(samples, drawn, strict=True):
        (thing,) = named_by(sample.question, scene.things)
        assert sample.answer == thing.digit
        assert sample.evidence == (thing.box,)
    assert {s.task for s in samples} == set(RETRIEVAL_TASKS)


def test_a_pair_question_needs_both_words() -> None:
    """Else a model could answer it with one attribute alone."""
    alone = 0
    for scene in SCENES[::2]:
        for thing in scene.things:
            others = [t for t in scene.things if t != thing]
            alone += not any(thing.shape == t.shape or thing.colour == t.colour for t in others)
    assert alone < 0.2 * sum(len(scene.things) for scene in SCENES[::2])


def test_control_questions_have_the_right_answer_and_no_evidence(drawn: list[Scene]) -> None:
    samples = scenes("evaluation", 30, 0, CONTROL_TASKS)
    for sample, scene in zip(samples, drawn, strict=True):
        numbers = [int(n) for n in re.findall(r"\d+", sample.question)]
        answers = {"background": scene.background, "sum": sum(numbers)}
        assert sample.answer == str(answers[sample.task])
        assert sample.evidence == ()


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_among_the_options(task: str) -> None:
    samples = scenes("tuning", 40, 0, (task,))
    assert all(sample.answer in sample.options for sample in samples)
    assert len({sample.answer for sample in samples}) > 2
    assert all(len(set(sample.options)) == len(sample.options) > 2 for sample in samples)


def same(one: Sample, other: Sample) -> bool:
    return samples_checksum([one]) == samples_checksum([other]) and one.id == other.id


def test_the_seed_decides_everything() -> None:
    first, again = scenes("detection", 12, 7), scenes("detection", 12, 7)
    assert all(map(same, first, again))
    assert all(map(same, first, scenes("detection", 20, 7)))  # more samples begin with the same ones


def pixels(sample: Sample) -> bytes:
    (image,) = sample.media
    assert isinstance(image, Image.Image)
    return image.tobytes()


def test_no_picture_occurs_in_two_splits_or_seeds() -> None:
    pictures = [pixels(s) for split in SPLITS for seed in (0, 1) for s in scenes(split, 20, seed)]
    assert len(set(pictures)) == len(pictures)


def test_ids_are_unique() -> None:
    ids = [s.id for split in SPLITS for seed in (0, 1) for s in scenes(split, 5, seed)]
    assert len(set(ids)) == len(ids)


def test_asking_about_a_given_thing() -> None:
    scene = SCENES[1]
    for thing in scene.things:
        sample = ask(scene, "shape", np.random.default_rng(0), thing)
        assert named_by(sample.question, scene.things) == [thing]
        assert sample.answer == thing.digit


def test_size_and_number_of_things_can_be_given() -> None:
    scene = make_scene(np.random.default_rng(0), unique=True, size=(96, 160), things=(5, 5))
    assert scene.image.size == (96, 160)
    assert len(scene.things) == 5


def test_a_picture_without_room_is_refused() -> None:
    with pytest.raises(CoreheadError, match="no room for 3 shapes"):
        make_scene(np.random.default_rng(0), unique=True, size=(64, 32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scenes", "test", 3, 0), "Unknown split 'test'"),
        (("scenes", "detection", 0, 0), "samples=0"),
        (("scenes", "detection", 3, 0, ("size",)), "Unknown task 'size'"),
        (("scene", "detection", 3, 0), "There is no dataset 'scene'. Did you mean 'scenes'?"),
    ],
)
def test_unknown_names_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(CoreheadError, match=re.escape(message)):
        load_samples(*arguments)


def test_the_checksum_sees_questions_and_pixels() -> None:
    one, other = scenes("detection", 2, 0)
    assert samples_checksum([one]) != samples_checksum([other])
    assert isinstance(one.media[0], Image.Image)
    changed = one.media[0].copy()
    changed.putpixel((0, 0), (1, 2, 3))
    redrawn = Sample(one.id, one.task, one.question, one.answer, (changed,), one.evidence)
    assert samples_checksum([one]) != samples_checksum([redrawn])
