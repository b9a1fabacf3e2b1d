"""Hostile and broken input: never run, never a crash; refused with id and reason, counted, and the rest goes on."""

import io
import json
import pickle
import random
import tarfile
import warnings
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mini import mlvu, mmdocir, mmlongbench, mmlongbench_doc, refcocog, vidstg

from corehead_lib.data.images import picture
from corehead_lib.datasets import parquet, real
from corehead_lib.datasets.archives import unpack
from corehead_lib.datasets.pickles import read_pickle
from corehead_lib.datasets.records import Loaded
from corehead_lib.errors import CoreheadError


def load(dataset: str, folder: Path, **options) -> Loaded:
    return real.load(dataset, data_dir=folder, **options)


def truncate(path: Path, share: float = 0.6) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


class Malice:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_before_it_runs(protocol: int, tmp_path: Path) -> None:
    refcocog.build(tmp_path)
    mark = tmp_path / "mark"
    (tmp_path / "refs(umd).p").write_bytes(pickle.dumps([{"ref_id": Malice(mark)}], protocol))
    with pytest.raises(CoreheadError, match=r"refused pickle: .*(io|__builtin__|builtins)\.open"):
        load("refcocog", tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "stream",
    [
        b"cos\nsystem\n(S'touch mark'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cbuiltins\ngetattr\n(cbuiltins\nset\nS'__class__'\ntR.",
        b"\x80\x02ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",
        b"Pid\n.",  # a reference to something outside
        b"\x80\x02\x82\x01.",  # an extension code
        b"(lp0\nI1\na",  # broken off
        b"",
    ],
)
def test_pickles_may_hold_plain_containers_and_scalars_only(stream: bytes, tmp_path: Path) -> None:
    path = tmp_path / "refs.p"
    path.write_bytes(stream)
    with pytest.raises(CoreheadError, match="refused pickle"):
        read_pickle(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_read(protocol: int, tmp_path: Path) -> None:
    plain = [{"a": 1, "b": [2.5, None, True], "c": ("text", {3})}, 2**70]
    (tmp_path / "refs.p").write_bytes(pickle.dumps(plain, protocol))
    assert read_pickle(tmp_path / "refs.p") == plain


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/abs.txt", "..\\out.txt", "C:\\out.txt"])
def test_a_zip_that_slips_out_is_refused_whole(name: str, tmp_path: Path) -> None:
    archive, folder = tmp_path / "bad.zip", tmp_path / "deep" / "folder"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("good.txt", "good")
        bundle.writestr(name, "bad")
    with pytest.raises(CoreheadError, match=r"refused archive: .*bad.zip"):
        unpack(archive, folder)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["bad.zip"]


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as bundle:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        bundle.writestr(link, "/etc")
    with pytest.raises(CoreheadError, match="link is a link"):
        unpack(tmp_path / "bad.zip", tmp_path / "folder")


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        ("../out.txt", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.SYMTYPE, "../../out"),
        ("link", tarfile.LNKTYPE, "../../out"),
        ("device", tarfile.CHRTYPE, ""),
    ],
)
def test_a_tar_that_slips_out_is_refused_whole(name: str, kind: bytes, target: str, tmp_path: Path) -> None:
    archive, folder = tmp_path / "bad.tar.gz", tmp_path / "deep" / "folder"
    with tarfile.open(archive, "w:gz") as bundle:
        good = tarfile.TarInfo("good.txt")
        good.size = 4
        bundle.addfile(good, io.BytesIO(b"good"))
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        bundle.addfile(member)
    with pytest.raises(CoreheadError, match=r"refused archive: .*bad.tar.gz"):
        unpack(archive, folder)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["bad.tar.gz"]


def test_a_zip_that_says_it_is_larger_than_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("zeros", bytes(10**6))
    usage = shutil.disk_usage(tmp_path)._replace(free=10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CoreheadError, match="1,000,000 bytes, more than the disk has left"):
        unpack(tmp_path / "bomb.zip", tmp_path / "folder")


def test_good_archives_are_unpacked(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "a.txt").write_text("a")
    with tarfile.open(tmp_path / "good.tar.gz", "w:gz") as bundle:
        bundle.add(tmp_path / "in", "top")
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as zipped:
        zipped.write(tmp_path / "in" / "sub" / "a.txt", "top/sub/b.txt")
    for name in ("good.tar.gz", "good.zip"):
        unpack(tmp_path / name, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out" / "top" / "sub").iterdir()) == ["a.txt", "b.txt"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["top"]
    truncate(tmp_path / "good.tar.gz")
    with pytest.raises(CoreheadError, match="refused archive"):
        unpack(tmp_path / "good.tar.gz", tmp_path / "other")
    assert not list((tmp_path / "other").iterdir())


def test_a_truncated_parquet_is_refused_and_the_other_shard_goes_on(tmp_path: Path) -> None:
    good = refcocog.build_lmms(tmp_path, "val") / "data" / "val-00000-of-00001.parquet"
    bad = good.with_name("val-00001-of-00002.parquet")
    bad.write_bytes(good.read_bytes())
    truncate(bad)
    report = load("refcocog", tmp_path, subsets=("val",)).report
    assert report.kept == 2
    assert report.reasons()["unreadable parquet"] >= 1
    assert bad.name in {id for id, _ in report.refused}


def test_a_damaged_row_group_costs_its_own_rows_only(tmp_path: Path) -> None:
    path = mmdocir.build(tmp_path) / "MMDocIR_pages.parquet"
    group = pq.ParquetFile(path).metadata.row_group(4)  # the last pages of the long document
    column = next(group.column(i) for i in range(7) if group.column(i).path_in_schema == "image_binary")
    content = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    report = load("mmdocir", tmp_path).report
    assert report.reasons()["unreadable parquet"] == 1
    assert report.kept == 3  # the questions about the other document


def test_without_its_pages_mmdocir_refuses_every_question_by_id(tmp_path: Path) -> None:
    truncate(mmdocir.build(tmp_path) / "MMDocIR_pages.parquet")
    with pytest.raises(CoreheadError, match=r"unreadable parquet: MMDocIR_pages.parquet.*") as error:
        load("mmdocir", tmp_path)
    assert "missing picture: mmdocir/" in str(error.value)


@pytest.mark.parametrize(("share", "reason"), [(0.4, "unreadable picture"), (0.98, "damaged picture")])
def test_a_missing_and_a_damaged_picture_are_refused(share: float, reason: str, tmp_path: Path) -> None:
    mmlongbench.build(tmp_path)
    images = tmp_path / "mmlb_image"
    (images / mmlongbench.slide("deck-2", 3)).unlink()
    truncate(images / mmlongbench.page("other", 5), share)  # in its header, or in its pixels
    report = load("mmlongbench", tmp_path).report
    assert report.reasons()["missing picture"] == 1
    assert report.reasons()[reason] == 1
    assert report.kept == 1


def test_a_picture_that_is_none_or_far_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(CoreheadError, match="unreadable picture"):
        picture(tmp_path / "text.jpg")
    refcocog.photographs(tmp_path)
    monkeypatch.setattr("corehead_lib.data.images.MOST_PIXELS", 1000)
    with pytest.raises(CoreheadError, match="oversized picture"):
        picture(tmp_path / "train2014" / refcocog.name(431))


def test_a_video_with_fewer_frames_than_the_annotation_is_refused(tmp_path: Path) -> None:
    report = load("vidstg", vidstg.build(tmp_path)).report
    short = {id: reason for id, reason in report.refused if reason.startswith("short video")}
    assert set(short) == {"vidstg/test/3/captions/0", "vidstg/test/3/questions/0"}
    assert all("has 48 frames, the event ends at 90" in reason for reason in short.values())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_damaged_video_is_refused(share: float, tmp_path: Path) -> None:
    vidstg.build(tmp_path)
    path = tmp_path / "vidor" / "video" / "0000" / f"{vidstg.VIDEO}.mp4"
    truncate(path, share)
    report = load("vidstg", tmp_path).report
    assert report.kept == 1  # the one of the other video
    assert report.reasons()["unreadable video"] == 8  # every query about it, but the one about no frames


def test_frames_that_do_not_decode_are_refused(tmp_path: Path) -> None:
    vidstg.build(tmp_path)
    path = tmp_path / "vidor" / "video" / "0000" / f"{vidstg.VIDEO}.mp4"
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4 + len(content) // 4
    content[begin : begin + len(content) // 3] = bytes(len(content) // 3)
    path.write_bytes(content)
    assert (
        load("vidstg", tmp_path).report.kept >= 1
    )  # whatever the decoder makes of it, the other video is there


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "12"])
def test_a_box_that_is_no_number_is_refused(value: object, tmp_path: Path) -> None:
    vidstg.build(tmp_path)
    path = tmp_path / "vidor" / "annotation" / "validation" / "0000" / f"{vidstg.VIDEO}.json"
    entry = json.loads(path.read_text())
    for frame in range(36, 48):
        entry["trajectories"][frame][0]["bbox"]["xmin"] = value
    path.write_text(json.dumps(entry))
    report = load("vidstg-tubes", tmp_path).report
    assert report.reasons()["bad box"] == 2  # the sentence and the question about that event
    assert report.kept == 5


def test_a_box_turned_inside_out_is_refused(tmp_path: Path) -> None:
    vidstg.build(tmp_path)
    path = tmp_path / "vidor" / "annotation" / "validation" / "0000" / f"{vidstg.WIDE}.json"
    entry = json.loads(path.read_text())
    for frame in entry["trajectories"]:
        frame[0]["bbox"]["xmin"] = 1000
    path.write_text(json.dumps(entry))
    assert load("vidstg-tubes", tmp_path).report.reasons()["bad box"] == 1


@pytest.mark.parametrize("line", ["{", "[1, 2]", "null", '{"id": 9}', '{"id": NaN', "\x00\x01", '"x"'])
def test_a_corrupted_line_is_refused_by_its_number(line: str, tmp_path: Path) -> None:
    mmlongbench.build(tmp_path)
    path = tmp_path / "mmlb_data" / "documentQA" / "mmlongdoc_K8.jsonl"
    path.write_text(line + "\n" + path.read_text())
    report = load("mmlongbench", tmp_path).report
    assert report.kept == 3
    assert any("mmlongdoc_K8.jsonl" in id for id, _ in report.refused)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = mmdocir.build(tmp_path) / "MMDocIR_annotations.jsonl"
    path.write_bytes(b"\xff\xfe\xfd\n" + path.read_bytes())
    report = load("mmdocir", tmp_path).report
    assert "MMDocIR_annotations.jsonl:1" in {id for id, _ in report.refused}
    assert report.kept == 4


def test_an_annotation_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    mlvu.build(tmp_path)
    (tmp_path / "json" / "2_needle.json").write_text("[{")
    report = load("mlvu", tmp_path).report
    assert report.kept == 1
    assert "2_needle.json" in {id for id, _ in report.refused}


@pytest.mark.parametrize("junk", [None, 3, "text", [], {}, {"questions": "abc"}, [[]]])
def test_records_of_a_wrong_shape_are_refused(junk: object, tmp_path: Path) -> None:
    mmlongbench_doc.build(tmp_path)
    path = tmp_path / "samples.json"
    path.write_text(json.dumps([junk, *json.loads(path.read_text())]))
    report = load("mmlongbench-doc", tmp_path).report
    assert report.reasons()["broken record"] == 1
    assert report.kept == 3
    vidstg.build(tmp_path)
    path = tmp_path / "annotations" / "test_annotations.json"
    path.write_text(json.dumps([junk, *json.loads(path.read_text())]))
    report = load("vidstg", tmp_path).report
    assert report.kept == 7


def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    mmlongbench.build(tmp_path / "data")
    refcocog.photographs(tmp_path)  # something to find outside
    report = load("mmlongbench", tmp_path / "data").report
    assert [id for id, reason in report.refused if reason.startswith("bad path")] == [
        "mmlongbench/mmlongdoc/4"
    ]


def test_text_in_page_lists_is_never_run(tmp_path: Path) -> None:
    mmlongbench_doc.build(tmp_path)
    mark, path = tmp_path / "mark", tmp_path / "samples.json"
    entries = json.loads(path.read_text())
    entries[0]["evidence_pages"] = f"open({str(mark)!r}, 'w')"
    entries[1]["evidence_pages"] = "[" * 3000
    path.write_text(json.dumps(entries))
    report = load("mmlongbench-doc", tmp_path).report
    assert report.reasons()["bad page list"] == 3
    assert not mark.exists()


def test_a_parquet_of_one_huge_row_group_is_cut_into_small_ones_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mmdocir.build(tmp_path) / "MMDocIR_pages.parquet"
    pq.write_table(pq.read_table(path), path)
    assert pq.ParquetFile(path).num_row_groups == 1
    before = load("mmdocir", tmp_path).samples
    monkeypatch.setattr(parquet, "LARGE", 1000)
    monkeypatch.setattr(parquet, "ROWS", 4)
    monkeypatch.setenv(parquet.CACHE, str(tmp_path / "cache"))
    parquet._small_groups.cache_clear()
    after = load("mmdocir", tmp_path).samples
    assert [s.media[0].tobytes() for s in before] == [s.media[0].tobytes() for s in after]  # type: ignore[union-attr]
    copies = list((tmp_path / "cache" / "parquet").iterdir())
    assert [pq.ParquetFile(c).num_row_groups for c in copies] == [6]  # 23 rows by fours
    parquet._small_groups.cache_clear()


NAMES = ["a", "a/b", "a/b/c.txt", "b.txt", "./b.txt", "a//b.txt", "../out.txt", "a/../../out.txt", "/out-of-it.txt", "C:\\x",
         "..\\x", "n" * 300, "a\x00b", "café.txt", "cafe\u0301.txt", ".unpacking-x.zip/y", "*", " ", "a/", "."]  # fmt: skip


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_generated_archives_are_unpacked_whole_or_not_at_all(kind: str, tmp_path: Path) -> None:
    outcomes = set()
    for seed in range(60):
        rng = random.Random(f"{kind} {seed}")
        place = tmp_path / str(seed)
        folder = place / "deep" / "folder"
        folder.mkdir(parents=True)
        (folder / "b.txt").write_text("before")
        (folder / "a").mkdir()
        archive = place / f"x.{kind}"
        names = rng.sample(NAMES, rng.randint(1, 4)) if rng.random() < 0.7 else rng.sample(NAMES[:5], 2)
        write_archive(archive, names, rng)
        before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
        refused = ""
        try:
            unpack(archive, folder)
        except CoreheadError as error:  # anything else fails the test
            refused = str(error)
        outcomes.add(refused[:17])
        if refused:
            assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before, (seed, names)
        for path in place.rglob("*"):
            assert path == archive or path.is_relative_to(place / "deep"), path
            assert not path.is_symlink()
        assert not list(folder.glob(".unpacking*")) or any(name.startswith(".unpacking") for name in names)
    assert outcomes == {"", "refused archive: "}
    assert not Path("/out-of-it.txt").exists()


def write_archive(archive: Path, names: list[str], rng: random.Random) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive, "w") as bundle:
                for name in names:
                    bundle.writestr(zipfile.ZipInfo(name), "new")
        else:
            with tarfile.open(archive, "w:gz") as packed:
                for name in names:
                    member = tarfile.TarInfo(name)
                    member.size = 3
                    packed.addfile(member, io.BytesIO(b"new"))
    if rng.random() < 0.2:
        truncate(archive, rng.random())
