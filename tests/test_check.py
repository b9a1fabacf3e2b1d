"""`corehead data check` on sets that are not in order: it says so, and what share of them can be used."""

from pathlib import Path

import pytest
from mini import BUILDERS, mmdocir, mmlongbench_doc, refcocog, vidstg

from corehead_lib.datasets import real
from corehead_lib.datasets.check import Finding, check, verified
from corehead_lib.datasets.manifest import find_manifest


def found(dataset: str, folder: Path) -> dict[str, Finding]:
    """The findings without those about files of other sizes, and numbers of records, than the real ones."""
    manifest = find_manifest(real.SOURCES[dataset].manifest, "dataset").model_copy(update={"expected": {}})
    plain = tuple(file.model_copy(update={"size": None, "sha256": None}) for file in manifest.files)
    return {f.subject: f for f in check(manifest.model_copy(update={"files": plain}), folder)}


@pytest.mark.parametrize("dataset", [name for name, s in real.SOURCES.items() if name == s.manifest])
def test_check_makes_samples_and_says_which_share_can_be_used(dataset: str, tmp_path: Path) -> None:
    findings = found(dataset, BUILDERS[dataset](tmp_path))
    share = findings[dataset]
    assert share.status == "partly"  # every miniature has its broken records
    loaded = real.load(dataset, data_dir=tmp_path)
    tried = share.detail.split("samples made of ")[1].split(" tried")[0]
    assert int(tried.split(" of ")[0]) == loaded.report.kept
    usual = loaded.report.seen - sum(loaded.report.aside.values())
    assert f"about {loaded.report.kept / usual:.1%} of {usual} records" in share.detail
    assert findings["pixels"].status == "ok"
    assert verified(list(findings.values()))


def test_check_notices_annotations_without_a_single_picture(tmp_path: Path) -> None:
    for path in (mmdocir.build_files(tmp_path) / "page_images").iterdir():
        path.unlink()
    assert found("mmdocir", tmp_path)["mmdocir"].status == "WRONG"


def test_check_notices_annotations_and_media_of_different_sets(tmp_path: Path) -> None:
    mmdocir.build(tmp_path, named=lambda name: f"other-{name}")
    finding = found("mmdocir", tmp_path)["mmdocir"]
    assert finding.status == "WRONG"
    assert "about 0.0% of 7 records" in finding.detail
    assert "do these annotations and these media belong together?" in finding.detail
    assert "(first: mmdocir/" in finding.detail


def test_check_calls_a_broken_parquet_broken_and_no_record(tmp_path: Path) -> None:
    path = mmdocir.build(tmp_path) / "MMDocIR_pages.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    findings = found("mmdocir", tmp_path)
    assert findings["MMDocIR_pages.parquet"].status == "WRONG"
    assert "unreadable parquet" in findings["MMDocIR_pages.parquet"].detail
    assert findings["records"].detail == "7"
    refcocog.build_lmms(tmp_path / "coco", "test")
    (tmp_path / "coco" / "data" / "test-00001-of-00002.parquet").write_bytes(b"PAR1")
    findings = found("refcocog", tmp_path / "coco")
    assert findings["test-00001-of-00002.parquet"].status == "WRONG"
    assert findings["records"].detail == "3"  # of four rows, one stands twice


def test_check_opens_pictures(tmp_path: Path) -> None:
    for path in (mmdocir.build_files(tmp_path) / "page_images").iterdir():
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) * 9 // 10])
    finding = found("mmdocir", tmp_path)["mmdocir"]
    assert finding.status == "WRONG"
    assert "damaged picture" in finding.detail


@pytest.mark.parametrize(
    ("dataset", "build", "subject", "form"),
    [
        ("mmdocir", mmdocir.build_files, "MMDocIR_pages.parquet", "**/page_images, 23 files"),
        (
            "mmlongbench-doc",
            mmlongbench_doc.build,
            "data/train-00000-of-00001.parquet",
            "samples.json, 1 files",
        ),
        ("refcocog", refcocog.build_refer, "data/test-*.parquet", "**/refs(umd).p, 1 files"),
        ("refcocog", refcocog.build_refer, "train2014.zip", "**/train2014, 3 files"),
    ],
)
def test_check_knows_the_other_layouts(dataset: str, build, subject: str, form: str, tmp_path: Path) -> None:
    finding = found(dataset, build(tmp_path))[subject]
    assert (finding.status, finding.detail.startswith(f"in another form: {form}")) == ("unverified", True)


def test_check_follows_links_and_says_that_boxes_lack_their_annotations(tmp_path: Path) -> None:
    vidstg.build(tmp_path / "store")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "annotations").symlink_to(tmp_path / "store" / "annotations")
    (tmp_path / "set" / "videos").symlink_to(tmp_path / "store" / "vidor" / "video")
    findings = found("vidstg", tmp_path / "set")
    assert findings["**/*.mp4"].detail.startswith("2 files")
    assert findings["vidstg"].status == "partly"
    assert findings["vidstg-tubes"].status == "absent"  # optional, so nothing is wrong
    assert verified(list(findings.values()))


def test_sizes_and_checksums_that_are_known_stand_in_the_manifests() -> None:
    known = {
        "mmdocir": ("MMDocIR_annotations.jsonl", 770_024, "1224825c4557"),
        "vidstg": ("annotations/test_annotations.json", 3_639_962, "ef769b9823ce"),
        "mmlongbench-doc": ("samples.json", 421_060, "4ffadad60b18"),
    }
    for name, (path, size, digest) in known.items():
        (file,) = (f for f in find_manifest(name, "dataset").files if f.path == path)
        assert (file.size, (file.sha256 or "")[:12]) == (size, digest)
