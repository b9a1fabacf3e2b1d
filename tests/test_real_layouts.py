"""Datasets as people have them: spelled, numbered, cut and linked in other ways. The right page, frame and box, or none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mini import BUILDERS, mlvu, mmdocir, mmlongbench, mmlongbench_doc, refcocog, vidstg
from mini.paint import film, painted, red_box, save, time_of
from PIL import Image
from test_real_data import assert_on_red, by_id

from corehead_lib.datasets import parquet, real, video, vidor
from corehead_lib.datasets.mmdocir_pages import first_numbers
from corehead_lib.datasets.mmlongbench_doc import checked, errata
from corehead_lib.datasets.names import document_group, match, photograph_group
from corehead_lib.datasets.records import Loaded, split_of
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Clip, Frames, Pages, Sample

LONG = "2305.13186v3.pdf"


def load(dataset: str, folder: Path, **options) -> Loaded:
    return real.load(dataset, data_dir=folder, **options)


def assert_red_pages(sample: Sample) -> None:
    """What is asked for is painted red, so the wrong page shows at once."""
    (pages,) = sample.evidence
    assert isinstance(pages, Pages)
    wanted = {(40, 90), (100, 300)}
    assert red_box(sample.media[pages.index[-1]])[:2] in wanted  # type: ignore[arg-type]


# --- MMDocIR: names


def test_documents_whose_names_differ_in_case_alone_are_not_taken_for_one_another(tmp_path: Path) -> None:
    """Files are joined in any case, so that page 1 of A.pdf would be shown for a.pdf, which has none."""
    question = mmdocir.QUESTIONS["alpha.pdf"][0]
    lines = [
        {"doc_name": name, "page_indices": [0, 2], "questions": [question]}
        for name in ("A.pdf", "a.pdf", "b.pdf")
    ]
    (tmp_path / "MMDocIR_annotations.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name in "Ab":
        for number in range(3):
            save(painted(mmdocir.PIXELS), tmp_path / "page_images" / f"{name}_{number}.jpg")
    report = load("mmdocir", tmp_path).report
    assert {id: reason.split(":")[0] for id, reason in report.refused} == {
        "mmdocir/A.pdf/0": "missing picture",
        "mmdocir/a.pdf/0": "missing picture",
    }
    assert match(["a", "a.pdf"], ["a"]) == {"a": "a"}


def test_boxes_of_a_page_that_was_turned_are_refused(tmp_path: Path) -> None:
    mmdocir.build_files(tmp_path)
    for path in (tmp_path / "page_images").glob("alpha_*"):
        with Image.open(path) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(path)
    report = load("mmdocir-layouts", tmp_path).report
    assert [id for id, reason in report.refused if reason.startswith("turned page")] == [
        "mmdocir/alpha.pdf/0",
        "mmdocir/alpha.pdf/1",
    ]
    assert report.kept == 1  # of the other document


@pytest.mark.parametrize(
    "named",
    [
        str,
        lambda n: n.removesuffix(".pdf"),
        str.upper,
        lambda n: f"docs/{n}",
        lambda n: n.replace(".pdf", ".PDF"),
    ],
)
def test_mmdocir_names_are_joined_whichever_way_they_are_written(named: Callable, tmp_path: Path) -> None:
    mmdocir.build(tmp_path, named=named)
    samples = by_id(load("mmdocir", tmp_path))
    assert set(samples) == {"alpha.pdf/0", "alpha.pdf/1", "alpha.pdf/2", f"{LONG}/0"}
    for id in ("alpha.pdf/0", f"{LONG}/0"):
        assert_red_pages(samples[id])


def test_names_that_could_mean_two_are_not_joined() -> None:
    assert match(["a.pdf", "B"], ["a", "b.pdf"]) == {"a.pdf": "a", "B": "b.pdf"}
    assert match(["a.pdf", "A.pdf"], ["a"]) == {"a.pdf": "a"}
    assert match(["A.pdf"], ["a", "a.PDF"]) == {}
    assert match(["A", "a.PDF"], ["a"]) == {}
    assert match(["caf\u00e9.pdf"], ["cafe\u0301"]) == {"caf\u00e9.pdf": "cafe\u0301"}  # composed or not


# --- MMDocIR: from which number do pages count


def keep_all(name: str, page: int, total: int) -> bool:
    return True


def no_first(name: str, page: int, total: int) -> bool:
    return page > 0


def no_last(name: str, page: int, total: int) -> bool:
    return page < total - 1


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    "kept",
    [
        keep_all,
        lambda name, page, total: name == "alpha.pdf" or page > 0,
        lambda name, page, total: name == "alpha.pdf" or page < total - 1,
        lambda name, page, total: name != "alpha.pdf" or page == 1,
        lambda name, page, total: page in (0, 1, total - 1) or page in (4, 13),
    ],
)
def test_mmdocir_numbering_that_one_document_proves_holds_for_its_folder(
    kept: Callable, first: int, tmp_path: Path
) -> None:
    samples = by_id(load("mmdocir", mmdocir.build_files(tmp_path, first, kept)))
    assert {"alpha.pdf/0", f"{LONG}/0"} <= set(samples)
    for id in ("alpha.pdf/0", f"{LONG}/0"):
        assert_red_pages(samples[id])


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kept", [no_first, no_last])
def test_mmdocir_numbering_without_a_proof_is_refused_with_the_questions_ids(
    kept: Callable, first: int, tmp_path: Path
) -> None:
    mmdocir.build_files(tmp_path, first, kept)
    proven = (first == 0) == (kept is no_last)  # a page 0, or a last page, is there
    if proven:
        assert_red_pages(by_id(load("mmdocir", tmp_path))[f"{LONG}/0"])
    else:
        with pytest.raises(
            CoreheadError, match=r"unproven numbering: mmdocir/.* neither a page 0 nor a last"
        ):
            load("mmdocir", tmp_path)


def test_mmdocir_folders_that_contradict_each_other_prove_nothing_for_the_rest(tmp_path: Path) -> None:
    totals = {"a": 4, "b": 4, "c": 4}
    firsts, _ = first_numbers({"a": {0, 1, 2, 3}, "b": {1, 2, 3, 4}, "c": {1, 3}}, totals)
    assert (firsts["a"], firsts["b"]) == (0, 1)
    assert str(firsts["c"]).startswith("unproven numbering")
    for numbers in ({0, 1, 2, 3, 4}, {2, 5}, {-1, 2}):  # another edition of the document
        firsts, _ = first_numbers({"a": {0}, "b": numbers}, totals)
        assert str(firsts["b"]).startswith("other pages")


@given(st.integers(2, 30), st.integers(0, 1), st.data())
def test_mmdocir_numbering_is_never_wrong_where_one_end_is_there(
    total: int, first: int, data: st.DataObject
) -> None:
    pages = data.draw(st.sets(st.integers(0, total - 1), min_size=1))
    numbers = {page + first for page in pages}
    firsts, assumed = first_numbers({"a": numbers}, {"a": total})
    if 0 in numbers or total in numbers:
        assert firsts["a"] == first
        assert not assumed
    else:
        assert assumed or isinstance(firsts["a"], str)


def test_mmdocir_shows_other_pages_where_some_are_missing(tmp_path: Path) -> None:
    half = {"alpha.pdf": {1}, LONG: {4, 7, 13}}
    loaded = load("mmdocir", mmdocir.build_files(tmp_path, kept=lambda name, page, total: page in half[name]))
    samples = by_id(loaded)
    assert {id: len(sample.media) for id, sample in samples.items()} == {"alpha.pdf/0": 1, f"{LONG}/0": 3}
    for sample in samples.values():
        assert_red_pages(sample)
    assert samples[f"{LONG}/0"].evidence == (Pages((0, 2)),)
    assert loaded.report.notes == {
        "documents of which pages are missing, others of their pages are shown": 2,
        "folders whose pages are taken to count from 0, as the authors number them": 1,
    }
    lost = [reason for _, reason in loaded.report.refused if reason.startswith("missing picture")]
    assert lost == ["missing picture: evidence is on page [0] (from 0), which is not there"] * 2


@pytest.mark.parametrize(
    "form",
    ["{name}_{number}.jpg", "{stem}/{number}.jpg", "{stem}/page_{number:03d}.jpg", "{stem}-page{number}.JPG",
     "{stem}/{stem}_{number:04d}.jpg", "._x_{number}.jpg"],
)  # fmt: skip
def test_mmdocir_page_files_are_named_in_several_ways(form: str, tmp_path: Path) -> None:
    mmdocir.build_files(tmp_path, form=form)
    if form.startswith("._"):
        with pytest.raises(CoreheadError, match="no page image is named after"):
            load("mmdocir", tmp_path)
    else:
        assert_red_pages(by_id(load("mmdocir", tmp_path))[f"{LONG}/0"])


# --- VidSTG: one time axis


@pytest.mark.parametrize("begin", [0, 10, 24])
def test_vidstg_answers_and_time_marks_count_from_the_same_moment(
    begin: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = vidstg.record(vidstg.VIDEO, (begin, 47), (36, 48), questions=0)
    monkeypatch.setattr(vidstg, "RECORDS", [record])
    (sample,) = load("vidstg", vidstg.build(tmp_path)).samples
    (clip,), (span,) = sample.media, sample.evidence
    assert isinstance(clip, Clip)
    assert isinstance(span, Frames)
    start, stop = map(float, sample.answer.split(" to "))
    marks = [frame / clip.fps for frame in clip.index]  # what processors write between frames
    assert [start <= mark < stop for mark in marks] == [
        span.start <= i < span.stop for i in range(len(marks))
    ]
    assert f"seconds {begin / 24:.1f} to 2.0 of a video" in sample.question
    assert abs(time_of(clip.frames[span.start]) - 36) < 0.75


def test_vidstg_refuses_a_video_that_was_encoded_at_another_rate(tmp_path: Path) -> None:
    vidstg.build(tmp_path)
    film(tmp_path / "vidor" / "video" / "0000" / f"{vidstg.VIDEO}.mp4", 96, vidstg.SIZE, fps=48)
    report = load("vidstg", tmp_path).report
    assert report.reasons()["other frames"] == 8  # of twice as many frames, each would be half a second early
    assert report.kept == 1  # of the other video


def test_a_video_is_looked_at_once_and_its_trajectories_are_parsed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vidstg.build(tmp_path)
    opened, parsed = [], []
    open_, parse = video.av.open, vidor.parse

    def counted_open(name: str) -> object:
        opened.append(name)
        return open_(name)

    def counted_parse(path: Path) -> object:
        parsed.append(path)
        return parse(path)

    monkeypatch.setattr(video.av, "open", counted_open)
    monkeypatch.setattr(vidor, "parse", counted_parse)
    loaded = load("vidstg-tubes", tmp_path, check_pixels=False)
    assert loaded.report.kept == 7
    assert len(opened) == 4  # two videos, each for its first frame and for its packets
    assert len(parsed) == len(set(parsed)) == 2


@pytest.mark.parametrize("frames", [48, 24])
def test_vidstg_without_a_count_of_frames_cannot_bear_another_rate(
    frames: int, tmp_path: Path, monkeypatch
) -> None:
    record = {k: v for k, v in vidstg.record(vidstg.VIDEO, (0, 23), (10, 20)).items() if k != "frame_count"}
    monkeypatch.setattr(vidstg, "RECORDS", [record, vidstg.record(vidstg.WIDE, (0, 47), (10, 20))])
    vidstg.build(tmp_path)
    film(tmp_path / "vidor" / "video" / "0000" / f"{vidstg.VIDEO}.mp4", frames, vidstg.SIZE, fps=12)
    report = load("vidstg", tmp_path).report
    assert dict(report.reasons()) == {"other frames": 2}


@pytest.mark.parametrize("options", [{"subset": "*"}, {"subset": "../test"}, {"frames": 0}, {"frames": "8"}])
def test_vidstg_refuses_options_that_mean_nothing(options: dict, tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match="vidstg has train, val and test"):
        load("vidstg", vidstg.build(tmp_path), **options)


# --- RefCOCOg as the refer repository has it


@pytest.mark.parametrize("below", ["", "refcocog"])
def test_refcocog_loads_from_the_root_of_refer_or_its_own_folder(below: str, tmp_path: Path) -> None:
    refcocog.build_refer(tmp_path / "data")
    samples = by_id(load("refcocog", tmp_path / "data" / below))
    assert set(samples) == {"10", "11"}
    for sample in samples.values():
        assert_on_red(sample, sample.evidence[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("other", ["RefCOCO", "refcoco+", "refclef", "refcoco-plus"])
def test_refcocog_never_takes_the_files_of_a_neighbour(other: str, tmp_path: Path) -> None:
    refcocog.build(tmp_path / other)
    with pytest.raises(
        CoreheadError, match=rf"refcocog is not among them; .* in {other}".replace("+", r"\+")
    ):
        load("refcocog", tmp_path)
    refcocog.build(tmp_path / "a")
    assert set(by_id(load("refcocog", tmp_path))) == {"10", "11"}
    refcocog.build(tmp_path / "b")
    with pytest.raises(CoreheadError, match="lies in several folders"):
        load("refcocog", tmp_path)


@pytest.mark.parametrize("root", ["refcoco", "RefCOCO+", "datasets--lmms-lab--RefCOCO/snapshots/1a2b"])
def test_refcocog_is_not_looked_for_in_the_folder_of_a_neighbour(root: str, tmp_path: Path) -> None:
    refcocog.build(tmp_path / root)
    with pytest.raises(CoreheadError, match="refcocog is not among them"):
        load("refcocog", tmp_path / root)
    other = "datasets--lmms-lab--RefCOCOg/snapshots/1a2b"
    refcocog.build_lmms(tmp_path / other)
    samples = by_id(load("refcocog", tmp_path / other, subsets="val"))  # one name for a list of one
    assert set(samples) == {"val-00000-of-00001/0", "val-00000-of-00001/1"}


def test_photographs_that_were_shrunk_keep_their_boxes_and_cut_ones_are_refused(tmp_path: Path) -> None:
    refcocog.build(tmp_path)
    for number, (width, height) in ((431, (80, 60)), (582, (160, 90))):
        path = tmp_path / "train2014" / refcocog.name(number)
        with Image.open(path) as photograph:
            photograph.resize((width, height), Image.Resampling.BOX).save(path, quality=95, subsampling=0)
    loaded = load("refcocog", tmp_path)
    (sample,) = loaded.samples
    assert_on_red(sample, sample.evidence[0])  # type: ignore[arg-type]
    assert sample.answer == "[20, 15, 45, 25]"
    assert any("boxes scaled" in note for note in loaded.report.notes)
    assert loaded.report.reasons()["bad size"] == 1


def test_a_box_sample_carries_its_box_in_pixels_of_the_source(tmp_path: Path) -> None:
    for sample in load("refcocog", refcocog.build(tmp_path)).samples:
        (box,) = sample.evidence
        assert isinstance(box, Box)
        said = [float(part) for part in sample.answer.strip("[]").split(",")]
        assert max(abs(a - b) for a, b in zip(said, (box.x0, box.y0, box.x1, box.y1), strict=True)) <= 0.5


# --- links


@pytest.mark.parametrize("dataset", BUILDERS)
def test_linked_folders_are_entered_once_and_loops_end(dataset: str, tmp_path: Path) -> None:
    original = BUILDERS[dataset](tmp_path / "original")
    plain = load(dataset, original)
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in original.iterdir():
        (linked / path.name).symlink_to(path)
    (linked / "again").symlink_to(linked, target_is_directory=True)
    (linked / "gone").symlink_to(tmp_path / "nowhere")
    loaded = load(dataset, linked)
    assert [s.id for s in loaded.samples] == [s.id for s in plain.samples]
    assert loaded.report.summary() == plain.report.summary().replace(str(original), str(linked))


def test_linked_videos_below_an_unlinked_folder_are_seen(tmp_path: Path) -> None:
    vidstg.build(tmp_path / "store")
    (tmp_path / "set" / "annotations").mkdir(parents=True)
    for name in ("annotations/test_annotations.json", "vidor"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "store" / name)
    assert load("vidstg", tmp_path / "set").report.kept == 7


def test_a_folder_that_is_linked_to_from_where_it_belongs_is_seen_there(tmp_path: Path) -> None:
    """Videos of MLVU are told apart by their folder's name, which the link has and its target has not."""
    mlvu.build(tmp_path)
    (tmp_path / "downloads").mkdir()
    (tmp_path / "video" / "2_needle").rename(tmp_path / "downloads" / "x")
    (tmp_path / "video" / "2_needle").symlink_to("../downloads/x")
    assert {s.id for s in load("mlvu", tmp_path).samples} == {"mlvu/2_needle/0", "mlvu/4_count/0"}


@pytest.mark.parametrize(
    ("dataset", "victim"),
    [
        ("mmlongbench-doc", "documents"),
        ("mmlongbench-doc", "samples.json"),
        ("mmdocir", "MMDocIR_annotations.jsonl"),
        ("mmdocir", "MMDocIR_pages.parquet"),
        ("mmlongbench", "mmlb_image"),
        ("refcocog", "instances.json"),
        ("refcocog", "refs(umd).p"),
        ("vidstg", "annotations/test_annotations.json"),
        ("mlvu", "video"),
    ],
)
def test_a_folder_in_the_place_of_a_file_is_refused(dataset: str, victim: str, tmp_path: Path) -> None:
    BUILDERS[dataset](tmp_path)
    path = tmp_path / victim
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("version https://git-lfs.github.com/spec/v1")
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(CoreheadError, match=r"No sample is left|refused pickle|not JSON"):
        load(dataset, tmp_path)


def test_one_annotation_file_that_cannot_be_read_costs_its_own_records_only(tmp_path: Path) -> None:
    mmlongbench.build(tmp_path)
    path = tmp_path / "mmlb_data" / "documentQA" / "mmlongdoc_K8.jsonl"
    path.unlink()
    path.mkdir()
    loaded = load("mmlongbench", tmp_path)
    assert [s.id for s in loaded.samples] == ["mmlongbench/slidevqa/0"]
    assert loaded.report.files == [path.name]


# --- splits


@pytest.mark.parametrize(
    "names",
    [
        ("deck-150306115347-gate01.pdf", "deck-150306115347-gate01_95.pdf", "deck-150306115347-gate01_95"),
        ("2305.13186v3.pdf", "2305.13186v1", "2305.13186.PDF"),
        ("Report (1).pdf", "report.pdf", "folder/REPORT.pdf"),
        ("caf\u00e9.pdf", "cafe\u0301.pdf"),
    ],
)
def test_a_document_is_in_one_split_under_all_of_its_names(names: tuple[str, ...]) -> None:
    assert len({document_group(name) for name in names}) == 1
    assert len({split_of(document_group(name)) for name in names}) == 1


def test_other_documents_stay_apart() -> None:
    names = ["NYSE_UNH_2020", "NYSE_UNH_2021", "a_1", "a_2", "2305.13186", "2305.13187v2", "watch_d", "watch"]
    assert len({document_group(name) for name in names}) == len(names)


def test_a_photograph_of_coco_is_in_one_group_in_all_datasets() -> None:
    for name in ("COCO_train2014_000000000431.jpg", "vh/coco/train2017/000000000431.jpg"):
        assert photograph_group(name) == "coco/431"
    assert photograph_group("vh/needle.jpg") == "image/vh/needle.jpg"


def test_a_document_of_two_datasets_is_in_one_split_of_both(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(mmlongbench_doc, "PAGES", {"alpha_95.pdf": 2})
    monkeypatch.setattr(mmlongbench_doc, "RECORDS", [mmlongbench_doc.record("alpha_95.pdf", "[1]")])
    (one,) = load("mmlongbench-doc", mmlongbench_doc.build(tmp_path / "doc")).samples
    other = by_id(load("mmdocir", mmdocir.build(tmp_path / "ir")))["alpha.pdf/0"]
    assert one.group == other.group == "document/alpha"


# --- MMLongBench-Doc: documents, and pages that count otherwise


@pytest.mark.parametrize("spelled", ["one", "One.PDF", "one.pdf"])
def test_mmlongbench_doc_joins_documents_by_name(spelled: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(mmlongbench_doc, "RECORDS", [mmlongbench_doc.record(spelled, "[2]")])
    (sample,) = load("mmlongbench-doc", mmlongbench_doc.build(tmp_path)).samples
    assert sample.evidence == (Pages((1,)),)


def test_pages_that_count_otherwise_are_corrected_and_the_disputed_noted() -> None:
    corrected, disputed = errata()
    assert (len(corrected), len(disputed)) == (19, 61)
    assert not set(corrected) & disputed
    for says, pages, why in corrected.values():
        assert len({b - a for a, b in zip(says, pages, strict=True)}) == 1  # one shift for the whole list
        assert (why == "from 0") == (pages[0] - says[0] == 1)
    question = "When was the last serious shock recorded in the table? The answer needs to be accurate to the year, month, day"
    assert checked("no.pdf", question, [7]) == ([7], "")


def test_an_erratum_holds_for_the_list_of_pages_that_it_was_found_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hashlib import sha256

    from corehead_lib.datasets import mmlongbench_doc as module

    listed = {}
    for number, why in ((1, "printed"), (2, "from 0")):
        question = mmlongbench_doc.record("one.pdf", f"[{number}]")["question"]
        listed[sha256(f"one.pdf\n{question}".encode()).hexdigest()[:12]] = ([1], [number + 1], why)
    monkeypatch.setattr(module, "errata", lambda: (listed, frozenset()))
    records = [mmlongbench_doc.record("one.pdf", "[1]"), mmlongbench_doc.record("one.pdf", "[2]")]
    monkeypatch.setattr(mmlongbench_doc, "RECORDS", records)
    loaded = load("mmlongbench-doc", mmlongbench_doc.build(tmp_path))
    assert by_id(loaded)["0"].evidence == (Pages((1,)),)  # says 1, is 2
    assert by_id(loaded)["1"].evidence == (
        Pages((1,)),
    )  # says 2, the erratum was found for a list that says 1
    assert loaded.report.notes == {"page numbers that are printed ones, corrected": 1}


# --- options and types


@pytest.mark.parametrize(
    ("candidates", "answer", "letter", "options", "note"),
    [
        (["a", "b", "a", "c"], "a", "A", "ABC", "the right option stands twice"),
        (["b", "a", "b", "c"], "c", "C", "ABC", "a wrong option stands twice"),
        (["", "yes", "no", ""], "yes", "A", "AB", "a wrong one, left out"),
        (["2", "", "5"], "", "B", "ABC", "the right one, kept"),
        (["", "", "5"], "", "A", "AB", "the right option stands twice"),
        (["c", " a", "a", "b"], "a", "B", "ABC", "the right option stands twice"),
        (["a", "b  c", "b c "], "a", "A", "AB", "a wrong option stands twice"),
    ],
)
def test_mlvu_has_one_right_letter(
    candidates: list, answer: str, letter: str, options: str, note: str, tmp_path: Path, monkeypatch
) -> None:
    record = mlvu.record("needle_1.mp4", answer, candidates=candidates)
    monkeypatch.setattr(mlvu, "TASKS", {"2_needle": [record]})
    loaded = load("mlvu", mlvu.build(tmp_path))
    (sample,) = loaded.samples
    assert (sample.answer, "".join(sample.options)) == (letter, options)
    lines = [line for line in sample.question.splitlines() if line.startswith("(")]
    assert lines[options.index(letter)] == f"({letter}) {answer}"
    assert len(set(lines)) == len(lines) == len(options)
    assert any(note in noted for noted in loaded.report.notes)


@pytest.mark.parametrize(
    "candidates", [[], ["a"], ["a", "a"], ["a", "a "], ["", "a"], [None, "a"], "a", [*"abcdefghi"]]
)
def test_mlvu_without_a_choice_is_refused(candidates: object, tmp_path: Path, monkeypatch) -> None:
    records = [mlvu.record("needle_1.mp4", "a", candidates=candidates), mlvu.record("needle_1.mp4", "a cat")]
    monkeypatch.setattr(mlvu, "TASKS", {"2_needle": records})
    report = load("mlvu", mlvu.build(tmp_path)).report
    assert [id for id, _ in report.refused] == ["mlvu/2_needle/0"]


# --- parquet


def test_a_copy_of_a_parquet_goes_to_a_cache_folder_and_the_disk_may_be_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path = mmdocir.build(tmp_path / "data") / "MMDocIR_pages.parquet"
    pq.write_table(pq.read_table(path), path)
    monkeypatch.setattr(parquet, "LARGE", 1000)
    parquet._small_groups.cache_clear()
    (tmp_path / "no folder").write_text("")
    monkeypatch.setenv(parquet.CACHE, str(tmp_path / "no folder"))
    with pytest.raises(CoreheadError, match=r"no room for a copy: .*\$COREHEAD_CACHE name a folder that can"):
        load("mmdocir", tmp_path / "data")
    monkeypatch.setenv(parquet.CACHE, str(tmp_path / "cache"))
    before = sorted((tmp_path / "data").iterdir())
    assert load("mmdocir", tmp_path / "data").report.kept == 4
    assert sorted((tmp_path / "data").iterdir()) == before  # nothing is written beside the file
    assert f"goes to {tmp_path / 'cache' / 'parquet'}" in capsys.readouterr().err
    assert len(list((tmp_path / "cache" / "parquet").iterdir())) == 1
    parquet._small_groups.cache_clear()


def test_a_mmlongbench_photograph_of_coco_shares_its_group_with_refcocog(tmp_path: Path, monkeypatch) -> None:
    crowd = ["vh/a.jpg", "vh/000000000431.jpg", "vh/b.jpg"]
    entry = mmlongbench.HAYSTACK[0] | {"ctxs": crowd, "needle_path": crowd[1]}
    monkeypatch.setitem(mmlongbench.FILES, "NIAH/vh_single_test_1000_K8_dep6.jsonl", [entry])
    monkeypatch.setattr(mmlongbench, "PICTURES", [*mmlongbench.PICTURES, crowd[1]])
    (sample,) = load("mmlongbench", mmlongbench.build(tmp_path), tasks=("vh_single",)).samples
    assert sample.group == "coco/431"


def test_a_parquet_of_mmdocir_in_shards_is_one_set(tmp_path: Path) -> None:
    path = mmdocir.build_hub(tmp_path) / "MMDocIR_pages.parquet"
    table = pq.read_table(path)
    path.unlink()
    for shard in range(2):
        pq.write_table(
            table.slice(shard * 11, 11 + shard * 12), tmp_path / f"MMDocIR_pages-0000{shard}-of-00002.parquet"
        )
    assert_red_pages(by_id(load("mmdocir", tmp_path))[f"{LONG}/0"])


def test_what_a_dataset_counts_as_right_comes_with_the_sample(tmp_path: Path) -> None:
    doc = by_id(load("mmlongbench-doc", mmlongbench_doc.build(tmp_path / "doc")))
    assert {id: sample.form for id, sample in doc.items()} == {"0": "Int", "1": "Int", "2": "List"}
    loaded = load("mmlongbench", mmlongbench.build(tmp_path / "long"), tasks=("mmlongdoc", "viquae"))
    samples = by_id(loaded)
    assert samples["mmlongdoc/0"].form == "Integer"
    assert (samples["viquae/1"].answer, samples["viquae/1"].accepted) == ("Ada", ("Ada L.",))
