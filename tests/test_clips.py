"""Generated clips: exact boxes and frame ranges, movement that respects pairs, questions with one answer."""

import re
from dataclasses import replace

import numpy as np
import pytest

from corehead_lib.data import load_samples, samples_checksum
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Clip, Frames, Pages, Sample
from corehead_lib.worlds.clips import CONTROLS, NEEDLES, as_images, ask, clips
from corehead_lib.worlds.films import Actor, Film, draw_frames, make_clip
from corehead_lib.worlds.phrases import listing
from corehead_lib.worlds.sprites import BACKGROUNDS, COLOURS
from corehead_lib.worlds.synthetic import SPLITS

TASKS = NEEDLES + CONTROLS
CLIPS = [
    make_clip(np.random.default_rng(seed), unique=bool(seed % 2), paired=bool(seed // 2 % 2), anywhere=False)
    for seed in range(24)
]


def stack(film: Film) -> np.ndarray:
    """(frames, height, width, 3) int"""
    return np.stack([np.array(frame) for frame in film.clip.frames]).astype(int)


def inside(box: Box) -> tuple:
    return box.frame, slice(int(box.y0), int(box.y1)), slice(int(box.x0), int(box.x1))


@pytest.mark.parametrize("film", CLIPS)
def test_boxes_hold_the_shapes_and_nothing_lies_outside(film: Film) -> None:
    pixels = stack(film)
    painted = (pixels != BACKGROUNDS[film.background]).any(-1)
    for actor in film.actors:
        assert [box.frame for box in actor.boxes] == list(range(actor.frames.start, actor.frames.stop))
        for box in actor.boxes:
            part = inside(box)
            assert painted[part].mean() > 0.15
            assert (np.abs(pixels[part] - COLOURS[actor.colour]).max(-1) <= 3).sum() > 5
            painted[part] = False  # so that an overlap with the next would fail
    assert not painted.any()


@pytest.mark.parametrize("film", CLIPS[:8])
def test_another_digit_changes_pixels_in_the_evidence_alone(film: Film) -> None:
    before = stack(film)
    size = film.clip.frames[0].size
    for i, actor in enumerate(film.actors):
        other = replace(actor, digit=str((int(actor.digit) + 1) % 10))
        actors = (*film.actors[:i], other, *film.actors[i + 1 :])
        frames = draw_frames(actors, len(before), size, film.background)
        differs = (np.stack([np.array(frame) for frame in frames]) != before).any(-1)
        for box in actor.boxes:
            assert differs[inside(box)].any()
            differs[inside(box)] = False
        assert not differs.any()


def test_shapes_come_in_order_and_move_straight_by_a_cell() -> None:
    moved = 0
    for film in CLIPS:
        starts = [actor.frames.start for actor in film.actors]
        assert starts == sorted(starts)
        for actor in film.actors:
            for one, two in zip(actor.boxes, actor.boxes[1:], strict=False):
                step = abs(two.x0 - one.x0), abs(two.y0 - one.y0)
                assert set(step) <= {0, 32}
                moved += step != (0, 0)
            assert {box.x0 % 32 for box in actor.boxes} | {box.y0 % 32 for box in actor.boxes} == {0}
    assert moved > 50


def test_paired_clips_change_between_pairs_only_and_others_within_them() -> None:
    changed = {True: 0, False: 0}
    for seed in range(20):
        for paired in changed:
            pixels = stack(make_clip(np.random.default_rng(seed), paired=paired, frames=(6, 9)))
            ends = len(pixels) // 2 * 2
            changed[paired] += int((pixels[0:ends:2] != pixels[1:ends:2]).any((1, 2, 3)).sum())
    assert changed[True] == 0
    assert changed[False] > 30


def actors_named_by(question: str, film: Film) -> list[Actor]:
    words = set(question.rstrip("?").split(" the ")[1].split()) - {"shape"}
    return [actor for actor in film.actors if words <= {actor.shape, actor.colour}]


@pytest.mark.parametrize("film", CLIPS)
def test_a_needle_has_one_answer_and_exact_evidence(film: Film) -> None:
    for task in set(NEEDLES) & set(film.tasks):
        sample = ask(film, task, np.random.default_rng(3))
        (actor,) = actors_named_by(sample.question, film)
        assert sample.answer == actor.digit
        assert sample.evidence == actor.boxes
        assert sample.media == (film.clip,)
        whole = ask(film, task, np.random.default_rng(3), level="frames")
        assert (whole.question, whole.evidence) == (sample.question, (actor.frames,))


@pytest.mark.parametrize("film", CLIPS)
def test_controls_have_the_right_answer_and_no_evidence(film: Film) -> None:
    asked = {task: ask(film, task, np.random.default_rng(5)) for task in CONTROLS}
    assert all(sample.evidence == () for sample in asked.values())
    assert asked["sum"].answer == str(sum(int(n) for n in re.findall(r"\d", asked["sum"].question)))
    values, counts = np.unique(stack(film).reshape(-1, 3), axis=0, return_counts=True)
    assert tuple(values[counts.argmax()]) == BACKGROUNDS[asked["background"].answer]


def test_unique_clips_repeat_no_attribute_and_others_do() -> None:
    repeated = 0
    for film in CLIPS:
        shapes, colours = ({getattr(a, name) for a in film.actors} for name in ("shape", "colour"))
        if film.unique:
            assert len(shapes) == len(colours) == len(film.actors)
        repeated += len(shapes) < len(film.actors)
        assert len({actor.name for actor in film.actors}) == len(film.actors)
    assert repeated > 6  # of 12, some with two shapes


def test_frames_as_images_keep_the_evidence() -> None:
    for level in ("box", "frames"):
        film = CLIPS[0]
        sample = as_images(ask(film, "pair", np.random.default_rng(0), film.actors[0], level))
        assert sample.media == film.clip.frames
        boxes = film.actors[0].boxes
        if level == "box":
            assert sample.evidence == tuple(Box(b.x0, b.y0, b.x1, b.y1, b.frame or 0) for b in boxes)
        else:
            assert sample.evidence == (Pages(tuple(b.frame or 0 for b in boxes)),)
    (scene,) = load_samples("scenes", "tuning", 1, 0)
    with pytest.raises(CoreheadError, match="only a clip"):
        as_images(scene)


def test_a_listing_names_every_shape_in_shuffled_order() -> None:
    film = max(CLIPS, key=lambda film: len(film.actors))
    names = [f"{actor.name}{actor.digit}" for actor in film.actors]
    listed = [listing(film.actors, np.random.default_rng(seed)).split(", ") for seed in range(3)]
    assert all(sorted(some) == sorted(names) for some in listed)
    assert len({tuple(some) for some in listed}) > 1


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_among_the_options(task: str) -> None:
    samples = clips("tuning", 20, 0, (task,))
    assert all(sample.answer in sample.options for sample in samples)
    assert len({sample.answer for sample in samples}) > 2


def test_numbers_of_frames_and_sizes_can_be_given() -> None:
    one = make_clip(np.random.default_rng(0), frames=(1, 1), things=(1, 1), size=(48, 48), shown=(1.0, 1.0))
    assert len(one.clip.frames) == 1
    assert one.clip.frames[0].size == (48, 48)
    assert one.actors[0].frames == Frames(0, 1)
    counts = {
        len(sample.media[0].frames) for sample in clips("tuning", 80, 0) if isinstance(sample.media[0], Clip)
    }
    assert counts == set(range(4, 13))  # odd ones too
    assert {frame.size for film in CLIPS for frame in film.clip.frames} == {(96, 96)}


def same(one: Sample, other: Sample) -> bool:
    return samples_checksum([one]) == samples_checksum([other]) and one.id == other.id


def test_the_seed_decides_everything() -> None:
    first = clips("detection", 6, 7)
    assert all(map(same, first, clips("detection", 9, 7)))
    assert not same(first[0], replace(first[1], id=first[0].id))


def test_the_checksum_sees_the_frames_and_the_rate() -> None:
    (sample,) = clips("detection", 1, 0)
    (clip,) = sample.media
    assert isinstance(clip, Clip)
    for other in (
        Clip(clip.frames[:-1], clip.fps),
        Clip(clip.frames, 9.0),
        Clip(clip.frames[::-1], clip.fps),
    ):
        assert not same(sample, replace(sample, media=(other,)))


def test_no_clip_occurs_in_two_splits_or_seeds() -> None:
    made = [sample for split in SPLITS for seed in (0, 1) for sample in clips(split, 8, seed)]
    frames = [s.media[0].frames for s in made if isinstance(s.media[0], Clip)]
    assert len({b"".join(frame.tobytes() for frame in some) for some in frames}) == len(made)
    assert len({sample.id for sample in made}) == len(made)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": (0, 2)}, "frames=(0, 2)"),
        ({"things": (3, 2)}, "things=(3, 2)"),
        ({"shown": (0.0, 0.5)}, "shown=(0.0, 0.5)"),
        ({"size": (24, 64)}, "24 x 64 pixels has no room"),
        ({"size": (32, 32), "frames": (2, 2), "things": (5, 5)}, "no room for 5 shapes"),
        ({"things": (9, 9), "unique": True}, "8 at most"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(CoreheadError, match=re.escape(message)):
        make_clip(np.random.default_rng(0), **arguments)


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(CoreheadError, match="nothing to ask 'shape' about"):
        ask(CLIPS[0], "shape", np.random.default_rng(0))
    with pytest.raises(CoreheadError, match="Unknown task 'page'; clips have"):
        load_samples("clips", "tuning", 3, 0, ("page",))
    with pytest.raises(CoreheadError, match="Unknown level 'frame'; clips have"):
        load_samples("clips", "tuning", 3, 0, level="frame")
