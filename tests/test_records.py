"""Splits, seeds, limits and the account of records, without any file."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from corehead_lib.data.images import LazyImage, picture
from corehead_lib.datasets.names import document_group
from corehead_lib.datasets.page_choice import choose_pages
from corehead_lib.datasets.records import SHARES, Record, collect, split_of
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Clip, Sample


def records(count: int, per_group: int = 3) -> Iterator[Record]:
    for i in range(count):

        def build(i: int = i) -> Sample:
            if i % 10 == 7:
                raise CoreheadError(f"bad luck: number {i}")
            if i % 10 == 8:
                raise RuntimeError("a file broke")
            return Sample(str(i), f"task{i % 2}", "q", "a", ())

        yield Record(str(i), f"group {i // per_group}", f"task{i % 2}", build)


def ids(split: str = "all", **options) -> list[str]:
    return [sample.id for sample in collect(records(300), Report("set"), split=split, **options).samples]


def test_splits_never_share_a_group_and_miss_none() -> None:
    parts = {split: {int(i) // 3 for i in ids(split)} for split in SHARES}
    assert sum(len(part) for part in parts.values()) == len(set.union(*parts.values()))
    assert set.union(*parts.values()) == {int(i) // 3 for i in ids()}
    assert len(parts["detection"]) > 25
    assert len(parts["evaluation"]) > 25


def test_a_group_stays_in_its_split_whatever_the_seed_and_its_spelling() -> None:
    assert set(ids("detection", seed=1)) == set(ids("detection", seed=2))
    assert split_of("Document/A") == split_of("document/a")
    assert document_group("Report.pdf") == document_group("Report")
    assert document_group("2305.13186v3.pdf") == document_group("2305.13186v3")


def test_the_split_is_the_same_on_every_machine_and_in_every_release() -> None:
    expected = ["evaluation", "tuning", "detection", "detection"]
    assert [split_of(f"coco/{n}") for n in (431, 582, 700, 1000)] == expected


def test_seed_and_limit_choose_and_the_same_seed_chooses_the_same() -> None:
    assert ids(seed=3, limit=20) == ids(seed=3, limit=20) != ids(seed=4, limit=20)
    assert ids(seed=3, limit=20) == ids(seed=3)[:20]


def test_broken_records_are_counted_by_reason_and_the_rest_goes_on() -> None:
    loaded = collect(records(100), Report("set"))
    assert loaded.report.reasons() == {"bad luck": 10, "broken record": 10}
    assert (loaded.report.kept, loaded.report.seen) == (80, 100)
    assert "10 refused, bad luck: " in loaded.report.summary()
    assert "RuntimeError a file broke" in loaded.report.summary()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"question": ""}, "bad question"),
        ({"question": "why? "}, "bad question"),
        ({"answer": " "}, "no answer"),
        ({"context": f"{MEDIA} and {MEDIA}"}, "miscounted media"),
    ],
)
def test_samples_that_no_prompt_can_be_made_of_are_refused(fields: dict, reason: str) -> None:
    picture = (Image.new("RGB", (2, 2)),)

    def build() -> Sample:
        return Sample(**{"id": "a", "task": "t", "question": "q", "answer": "a", "media": picture, **fields})

    report = Report("set")
    with pytest.raises(CoreheadError, match="No sample is left"):
        collect([Record("a", "g", "t", build)], report)
    assert report.reasons() == {reason: 1}


def test_a_clip_whose_frames_change_in_size_is_refused_before_a_run() -> None:
    frames = [Image.new("RGB", size) for size in ((8, 8), (8, 8), (16, 8))]

    def record(id: str, shown: list[Image.Image]) -> Record:
        return Record(id, id, "t", lambda: Sample(id, "t", "q", "a", (Clip(shown),)))

    report = collect([record("good", frames[:2]), record("bad", frames)], Report("set")).report
    assert [(id, reason.split(":")[0]) for id, reason in report.refused] == [("bad", "changing size")]


def test_limit_and_tasks_account_for_the_rest() -> None:
    report = collect(records(100), Report("set"), tasks=("task0",), limit=5).report
    assert report.seen == 100
    assert report.aside["other tasks"] == 50
    assert report.kept == 5


def test_an_id_that_stands_twice_is_refused() -> None:
    twice = [*records(3), *records(1)]
    assert collect(twice, Report("set")).report.reasons() == {"an id that stands twice": 1}


def test_nothing_left_is_an_error_that_says_why() -> None:
    only_bad = [record for record in records(10) if record.id in "78"]
    with pytest.raises(CoreheadError, match=r"No sample is left: .*bad luck: 7 \(number 7\)"):
        collect(only_bad, Report("set"))


@pytest.mark.parametrize("options", [{"split": "train"}, {"seed": -1}, {"limit": 0}])
def test_wrong_requests_are_refused(options: dict) -> None:
    with pytest.raises(CoreheadError):
        collect(records(10), Report("set"), **options)


@given(st.integers(1, 60), st.integers(1, 20), st.data())
def test_pages_shown_hold_the_evidence_in_order_within_the_budget(
    total: int, most: int, data: st.DataObject
) -> None:
    needed = data.draw(st.lists(st.integers(0, total - 1), max_size=most))
    shown = choose_pages("id", total, needed, most)
    assert set(needed) <= set(shown) <= set(range(total))
    assert shown == sorted(set(shown))
    assert len(shown) == min(most, total)
    assert shown == choose_pages("id", total, needed, most)
    assert choose_pages("id", total, needed, 0) == list(range(total))


def test_pages_that_do_not_exist_or_do_not_fit_are_refused() -> None:
    with pytest.raises(CoreheadError, match=r"missing page: \[5\]"):
        choose_pages("id", 5, [5], 3)
    with pytest.raises(CoreheadError, match="too many pages"):
        choose_pages("id", 9, [1, 2, 3], 2)


def test_lazy_pictures_read_when_asked_and_only_the_last_keeps_its_pixels() -> None:
    reads = []

    def lazy(shade: int) -> LazyImage:
        def read() -> Image.Image:
            reads.append(shade)
            return Image.new("L", (4, 3), shade)

        return LazyImage((4, 3), read, "name")

    one, two = lazy(1), lazy(2)
    assert (one.size, one.mode, reads) == ((4, 3), "RGB", [])
    upright = ImageOps.exif_transpose(one).convert("RGB")  # what processors do
    assert upright.tobytes() == one.tobytes() == np.asarray(one).tobytes() == bytes([1]) * 36
    assert one.getpixel((3, 2)) == one.load()[3, 2] == (1, 1, 1)
    assert one.resize((2, 2)).getpixel((0, 0)) == (1, 1, 1)
    assert reads == [1]
    assert two.copy().getpixel((0, 0)) == (2, 2, 2)
    assert one._im is None  # nothing is left of it but how to read it
    assert one.crop((0, 0, 1, 1)).getpixel((0, 0)) == (1, 1, 1)
    assert reads == [1, 2, 1]


def test_a_lazy_picture_that_is_written_to_keeps_what_was_written() -> None:
    picture, other = (LazyImage((4, 3), lambda: Image.new("RGB", (4, 3)), "name") for _ in range(2))
    picture.putpixel((1, 1), (9, 9, 9))
    ImageDraw.Draw(picture).point((2, 2), fill=(8, 8, 8))
    other.load()
    assert picture.getpixel((1, 1)) == (9, 9, 9)
    assert picture.convert("RGB").getpixel((2, 2)) == (8, 8, 8)
    assert other.getpixel((1, 1)) == (0, 0, 0)


def test_exif_rotation_is_applied_before_anything_is_measured(tmp_path) -> None:
    image, exif = Image.new("RGB", (40, 20), (200, 0, 0)), Image.Exif()
    exif[0x0112] = 6  # stored on its side
    image.save(tmp_path / "side.jpg", exif=exif)
    opened = picture(tmp_path / "side.jpg")
    assert opened.size == opened.convert("RGB").size == (20, 40)
