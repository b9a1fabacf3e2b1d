"""Each loader on a miniature in its dataset's own format: the evidence lies on what is painted red."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mini import BUILDERS, mini_samples, mmdocir, mmlongbench, mmlongbench_doc, refcocog
from mini.paint import red_box, time_of

from corehead_lib.data import load_samples
from corehead_lib.datasets import real
from corehead_lib.datasets.mmdocir import kind
from corehead_lib.datasets.mmlongbench import TASKS
from corehead_lib.datasets.mmlongbench_tasks import page_number
from corehead_lib.datasets.records import Loaded
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Box, Clip, Frames, Pages, Sample, TextSpan

EDGE = 1.5  # pixels by which lossy pictures may smear an edge


def load(dataset: str, folder: Path, build: Callable[[Path], Path] | None = None, **options) -> Loaded:
    (build or BUILDERS[dataset])(folder)
    return real.load(dataset, data_dir=folder, **options)


def by_id(loaded: Loaded) -> dict[str, Sample]:
    return {sample.id.split("/", 1)[1]: sample for sample in loaded.samples}


def corners(box: Box) -> tuple[float, ...]:
    return box.x0, box.y0, box.x1, box.y1


def assert_on_red(sample: Sample, box: Box) -> None:
    media = sample.media[box.item]
    picture = media.frames[box.frame or 0] if isinstance(media, Clip) else media
    assert np.abs(np.subtract(corners(box), red_box(picture))).max() <= EDGE, (sample.id, box)


@pytest.mark.parametrize("dataset", BUILDERS)
def test_every_record_is_kept_refused_or_set_aside_once(dataset: str, tmp_path: Path) -> None:
    report = load(dataset, tmp_path).report
    known = {
        "refcocog": len(refcocog.REFS),
        "mmdocir": 7,  # six questions and one broken line
        "mmdocir-layouts": 7,
        "vidstg": 14,  # seven sentences, six questions less two, and both lists of the broken record
        "vidstg-tubes": 14,
        "mmlongbench": sum(len(v) for k, v in mmlongbench.FILES.items() if "_K8" in k)
        + 1,  # and one to label
        "mmlongbench-doc": len(mmlongbench_doc.RECORDS),
        "mlvu": 4,  # the task without options is no part of it
    }[dataset]
    assert report.seen == known
    assert report.kept > 0
    assert f"{report.kept} samples from {known} records" in report.summary()


def test_refcocog_from_the_original_files(tmp_path: Path) -> None:
    loaded = load("refcocog", tmp_path)
    samples = by_id(loaded)
    assert set(samples) == {"10", "11"}  # 12 is of another subset
    for sample in samples.values():
        (box,) = sample.evidence
        assert isinstance(box, Box)
        assert_on_red(sample, box)
    assert corners(samples["10"].evidence[0]) == (40, 30, 90, 50)  # type: ignore[arg-type]
    assert corners(samples["11"].evidence[0]) == (100, 60, 160, 120)  # type: ignore[arg-type]
    assert "the red block" in samples["10"].question
    assert samples["10"].answer == "[40, 30, 90, 50]"
    assert "café" in samples["11"].question  # a byte string of Python 2
    assert loaded.report.reasons() == {
        "bad box": 2,
        "missing annotation": 1,
        "missing picture": 1,
        "no expression": 1,
    }


def test_refcocog_of_another_subset(tmp_path: Path) -> None:
    (sample,) = load("refcocog", tmp_path, subsets=("val",)).samples
    assert_on_red(sample, sample.evidence[0])  # type: ignore[arg-type]


def test_refcocog_from_the_mirror_with_pixels_reads_doubles_once(tmp_path: Path) -> None:
    loaded = load("refcocog", tmp_path, refcocog.build_lmms, subsets=("val",))
    assert sorted(s.question.split("?")[0] for s in loaded.samples) == [
        "Where is the block in the corner",
        "Where is the red block",
    ]
    for sample in loaded.samples:
        assert_on_red(sample, sample.evidence[0])  # type: ignore[arg-type]
    assert loaded.report.aside["doubles of a reference"] == 1
    assert loaded.report.reasons() == {"bad box": 1}


def test_refcocog_from_the_mirror_whose_box_convention_is_not_written_down(tmp_path: Path) -> None:
    loaded = load("refcocog", tmp_path, refcocog.build_jxu124)
    assert set(by_id(loaded)) == {"20", "21"}  # one row states corners, one states width and height
    for sample in loaded.samples:
        assert_on_red(sample, sample.evidence[0])  # type: ignore[arg-type]
    assert loaded.report.reasons() == {"bad box": 1}


@pytest.mark.parametrize(
    "build", [mmdocir.build, mmdocir.build_files, lambda folder: mmdocir.build_files(folder, first=1)]
)
def test_mmdocir_pages_count_from_0_however_they_are_stored(build: Callable, tmp_path: Path) -> None:
    samples = by_id(load("mmdocir", tmp_path, build))
    first = samples["alpha.pdf/0"]
    assert first.evidence == (Pages((1,)),)
    assert len(first.media) == 3  # page_indices holds both ends
    assert red_box(first.media[1])[:2] == (40, 90)  # type: ignore[arg-type]
    long = samples["2305.13186v3.pdf/0"]
    assert len(long.media) == 16  # of 20 pages
    (pages,) = long.evidence
    assert isinstance(pages, Pages)
    assert len(pages.index) == 2
    assert red_box(long.media[pages.index[1]])[:2] == (100, 300)  # type: ignore[arg-type]


def test_mmdocir_boxes_are_scaled_from_points_to_pixels(tmp_path: Path) -> None:
    loaded = load("mmdocir-layouts", tmp_path)
    samples = by_id(loaded)
    (box,) = samples["alpha.pdf/0"].evidence
    assert isinstance(box, Box)
    # 200 x 300 points on 400 x 450 pixels: 20, 60, 80, 120 become 40, 90, 160, 180
    assert (corners(box), box.item) == ((40, 90, 160, 180), 1)
    assert_on_red(samples["alpha.pdf/0"], box)
    (clipped,) = samples["alpha.pdf/1"].evidence  # 100, 200, 350, 504 points; the other has no width
    assert corners(clipped) == (200, 300, 400, 450)  # type: ignore[arg-type]
    block, stray = samples["2305.13186v3.pdf/0"].evidence
    assert_on_red(samples["2305.13186v3.pdf/0"], block)  # type: ignore[arg-type]
    assert corners(stray) == (0, 0, 20, 15)  # type: ignore[arg-type]
    assert loaded.report.notes == {
        "boxes clipped to their picture": 1,
        "boxes dropped: not finite, or without area": 3,
        "layouts on a page that page_id does not list": 1,
    }


@pytest.mark.parametrize(
    ("type", "task"),
    [
        ("text-only", "text"),
        ("multimodal-t", "multimodal"),
        ("meta-data", "meta"),
        ("['Pure-text (Plain-text)']", "text"),
        ("['Table', 'Chart']", "multimodal"),
        ("['Generalized-text (Layout)']", "meta"),
        ("['Figure", "multimodal"),  # broken off
    ],
)
def test_mmdocir_types_are_words_or_lists_in_strings(type: str, task: str) -> None:
    assert kind(type) == task


def test_vidstg_ends_are_exclusive_and_clips_keep_frame_numbers(tmp_path: Path) -> None:
    loaded = load("vidstg", tmp_path, frames=48)
    samples = by_id(loaded)
    last = samples["test/0/captions/0"]
    (clip,), (span,) = last.media, last.evidence
    assert isinstance(clip, Clip)
    # the event is frames 36 to 47 of 48; used_segment says 47, one too few
    assert clip.index == tuple(range(48))
    assert span == Frames(36, 48)
    assert last.answer == "1.5 to 2.0"
    for frame, image in zip(clip.index, clip.frames, strict=True):
        assert abs(time_of(image) - frame) < 0.75
    cut = samples["test/4/captions/0"]
    assert cut.evidence == (Frames(0, 6),)  # 24 to 29, counted from the clip's first frame
    assert cut.media[0].index == tuple(range(24, 48))  # type: ignore[union-attr]
    assert loaded.report.notes == {"clips cut to the frames that the video has": 1}
    assert samples["test/1/questions/0"].answer == "block"
    assert {s.task for s in samples.values()} == {"declarative", "interrogative"}


def test_vidstg_moves_a_frame_into_an_event_that_the_spacing_misses(tmp_path: Path) -> None:
    loaded = load("vidstg", tmp_path, frames=4)
    sample = by_id(loaded)["test/1/captions/0"]
    clip, (span,) = sample.media[0], sample.evidence
    assert isinstance(clip, Clip)
    assert clip.index == (10, 20, 29, 39)  # evenly spaced without that
    assert span == Frames(1, 2)
    event = by_id(load("vidstg", tmp_path, frames=3))["test/1/captions/0"]
    assert event.media[0].index == (10, 20, 39)  # type: ignore[union-attr]  # 24 moved to 20
    assert event.evidence == (Frames(1, 2),)


def test_vidstg_tubes_follow_the_block(tmp_path: Path) -> None:
    samples = by_id(load("vidstg-tubes", tmp_path, frames=16))
    for id in ("test/0/captions/0", "test/5/captions/0"):  # the second is annotated at twice the size
        clip = samples[id].media[0]
        assert isinstance(clip, Clip)
        assert len(samples[id].evidence) >= 3
        for box in samples[id].evidence:
            assert isinstance(box, Box)
            assert box.frame is not None
            frame = clip.index[box.frame]
            assert corners(box) == (frame, 16, frame + 12, 32)
            assert_on_red(samples[id], box)


def test_mmlongbench_finds_pages_by_name(tmp_path: Path) -> None:
    loaded = load("mmlongbench", tmp_path)
    samples = by_id(loaded)
    assert set(samples) == {"mmlongdoc/0", "mmlongdoc/1", "slidevqa/0"}
    for sample in samples.values():
        (pages,) = sample.evidence
        assert isinstance(pages, Pages)
        red = []
        for i, media in enumerate(sample.media):
            assert not isinstance(media, Clip)
            if np.asarray(media)[16, 16, 1] < 100:
                red.append(i)
        assert list(pages.index) == red
        assert sample.context.count(MEDIA) == len(sample.media)
    assert samples["mmlongdoc/0"].context.startswith("Document other: ")
    assert loaded.report.reasons() == {"missing page": 1, "bad path": 1}


def test_page_numbers_in_names_count_from_0_or_from_1() -> None:
    assert page_number("a/report/report_page5.jpg", "report.pdf") == 5
    assert page_number("a/deck-2/deck-2-6-1024.jpg", "deck-2") == 5
    assert page_number("a/deck-2/deck-2-6-1024.jpg", "deck") is None
    assert page_number("a/other/other_page5.jpg", "report") is None
    assert page_number("a/report/cover.jpg", "report") is None


def test_mmlongbench_needles_are_found_or_the_record_is_refused(tmp_path: Path) -> None:
    loaded = load("mmlongbench", tmp_path, tasks=TASKS)
    samples = by_id(loaded)
    assert samples["vh_single/0"].evidence == (Pages((1,)),)  # a key names it
    assert samples["vh_single/1"].evidence == (Pages((0,)),)  # depth 0
    assert samples["retrieval-image/0"].evidence == (Pages((1,)),)
    assert samples["retrieval-image/0"].answer == "B"
    assert samples["counting-image/0"].evidence == (Pages((0, 1)),)
    assert len(samples["counting-image/0"].media) == 3  # two in the haystack, one to count
    assert samples["retrieval-image/2"].evidence == (Pages((1,)),)  # a mark says so
    for id in ("retrieval-text/0", "retrieval-text/1", "retrieval-text/4"):
        (span,) = samples[id].evidence
        assert isinstance(span, TextSpan)
        assert "secret is an oak." in samples[id].context[span.start : span.stop]
    (passage,) = samples["viquae/1"].evidence
    assert isinstance(passage, TextSpan)
    assert (
        samples["viquae/1"].context[passage.start : passage.stop]
        == "Document (Title: T3): Passage 3 of text."
    )
    refused = {
        id.split("/", 1)[1] for id, reason in loaded.report.refused if reason.startswith("needle not found")
    }
    assert refused == {"vh_single/2", "vh_single/3", "retrieval-text/2", "retrieval-image/1"}
    assert loaded.report.aside["other depths of an id"] == 4
    for sample in samples.values():
        assert sample.context.count(MEDIA) == len(sample.media)


@pytest.mark.parametrize("answer", [-1, 2, 0.5, "-1"])
def test_mmlongbench_answers_that_are_no_option_are_refused(
    answer: object, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setitem(mmlongbench.NIAH_IMAGE[0], "answer", answer)
    report = load("mmlongbench", tmp_path, tasks=TASKS).report
    reason = dict(report.refused)["mmlongbench/retrieval-image/0"]
    assert reason.startswith(("no such option", "bad number"))


def test_mmlongbench_shots_and_summaries_have_no_evidence(tmp_path: Path) -> None:
    samples = by_id(load("mmlongbench", tmp_path, tasks=("icl", "summ", "unanswerable")))
    assert len(samples) == 3
    assert not any(sample.evidence for sample in samples.values())
    assert samples["cars196/cars/0"].options == ("4", "6")
    assert samples["gov-report/0"].answer == "What:\nOne.\nTwo."


def test_mmlongbench_of_another_length(tmp_path: Path) -> None:
    mmlongbench.build(tmp_path)
    with pytest.raises(CoreheadError, match=r"holds no \*\*/mmlb_data/\*/\*_K9"):
        real.load("mmlongbench", data_dir=tmp_path, length=9)
    assert len(real.load("mmlongbench", data_dir=tmp_path, length=16).samples) == 1  # one id, three times


@pytest.mark.parametrize("build", [mmlongbench_doc.build, mmlongbench_doc.build_parquet])
def test_mmlongbench_doc_pages_count_from_1(build: Callable, tmp_path: Path) -> None:
    loaded = load("mmlongbench-doc", tmp_path, build)
    samples = by_id(loaded)
    assert set(samples) == {"0", "1", "2"}
    assert samples["0"].evidence == (Pages((1,)),)
    assert samples["0"].media[0].size == (240, 320)  # type: ignore[union-attr]  # 120 x 160 points at 144 dpi
    page = samples["0"].media[1]
    assert not isinstance(page, Clip)
    assert np.abs(np.subtract(red_box(page), np.multiply(mmlongbench_doc.BLOCK, 2))).max() <= 2
    assert samples["1"].evidence == (Pages((0,)),)  # page 0 can only mean the first
    (pages,) = samples["2"].evidence
    assert isinstance(pages, Pages)
    assert (len(samples["2"].media), len(pages.index)) == (16, 2)
    red = samples["2"].media[pages.index[1]]
    assert not isinstance(red, Clip)
    assert red_box(red)[0] > 50
    assert loaded.report.notes == {"page 0, read as page 1": 1}
    assert loaded.report.reasons() == {
        "no evidence": 1,
        "missing page": 1,
        "missing document": 1,
        "bad page list": 1,
        "unreadable document": 1,
    }


def test_mmlongbench_doc_keeps_the_unanswerable_apart(tmp_path: Path) -> None:
    loaded = load("mmlongbench-doc", tmp_path, tasks=("unanswerable",))
    assert [sample.evidence for sample in loaded.samples] == [(), ()]
    assert loaded.report.notes == {"unanswerable questions that list pages, not used as evidence": 1}


def test_mlvu_asks_for_letters_and_looks_in_the_tasks_own_folder(tmp_path: Path) -> None:
    samples = by_id(load("mlvu", tmp_path, frames=8))
    assert set(samples) == {"2_needle/0", "4_count/0"}
    needle, count = samples["2_needle/0"], samples["4_count/0"]
    assert (needle.answer, needle.options, needle.evidence) == ("B", ("A", "B", "C", "D"), ())
    assert "(B) a block" in needle.question
    for sample, last in ((needle, 47), (count, 23)):
        clip = sample.media[0]
        assert isinstance(clip, Clip)
        assert (clip.index[0], clip.index[-1], len(clip.frames)) == (0, last, 8)
        assert abs(time_of(clip.frames[7]) - last) < 0.75


def test_the_mini_helper_loads_what_it_builds(tmp_path: Path) -> None:
    assert len(mini_samples("mmdocir", tmp_path)) == 4


def test_load_samples_prints_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    mmdocir.build(tmp_path)
    samples = load_samples("mmdocir", "all", 2, 0, data_dir=str(tmp_path))
    assert len(samples) == 2
    assert "mmdocir: 2 samples from 7 records" in capsys.readouterr().err


@pytest.mark.parametrize("dataset", real.SOURCES)
def test_missing_files_are_named_with_their_source_and_layout(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(real.VARIABLE, str(tmp_path))
    for data_dir in ("", str(tmp_path / "nowhere")):
        with pytest.raises(CoreheadError, match=r"It comes from https://.*The folder must hold: ") as error:
            load_samples(dataset, "detection", 2, 0, data_dir=data_dir)
        assert str(tmp_path) in str(error.value)
    with pytest.raises(CoreheadError, match=r"is not there: .* holds no .*The folder must hold: "):
        load_samples(dataset, "detection", 2, 0, data_dir=str(tmp_path))


def test_a_dataset_is_found_under_the_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(real.VARIABLE, str(tmp_path))
    mmdocir.build(tmp_path / "mmdocir")
    assert len(load_samples("mmdocir-layouts", "all", 1, 0)) == 1


def test_unknown_tasks_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match=r"no task 'texts'\. Did you mean 'text'"):
        load("mmdocir", tmp_path, tasks=("texts",))
    with pytest.raises(CoreheadError, match=r"no such option: .*'page'"):
        real.load("mmdocir", data_dir=tmp_path, page=3)
