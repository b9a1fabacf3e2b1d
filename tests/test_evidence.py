"""What notebooks ask of datasets: evidence of a kind, one picture, a note; and whole notebooks on the miniatures."""

import json
import shlex
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT
from mini import BUILDERS, mmlongbench
from mini.paint import painted, red_box
from tiny import SAMPLES, clip, noise

from corehead_lib.batches import Batches
from corehead_lib.bookkeeping import notebooks
from corehead_lib.cli import main
from corehead_lib.data import load_samples
from corehead_lib.datasets import real
from corehead_lib.datasets.evidence import (
    at_most,
    folder_of,
    load_evidence,
    load_pictures,
    one_picture,
    remarks,
    that_fit,
)
from corehead_lib.datasets.judge import judge
from corehead_lib.datasets.judged import own_chance
from corehead_lib.encode import encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Clip, Frames, Pages, Sample, TextSpan
from corehead_lib.stats import halves


@pytest.mark.parametrize(
    ("dataset", "kinds", "got"),
    [
        ("refcocog", (Box,), Box),
        ("mmdocir", (Box, Pages), Pages),
        ("mmdocir", (Box,), Box),
        ("vidstg", (Frames, Box), Frames),
        ("vidstg", (Box,), Box),
        ("mmlongbench", (Pages,), Pages),
        ("mmlongbench", (TextSpan,), TextSpan),
        ("mmlongbench-doc", (Pages, TextSpan), Pages),
    ],
)
def test_a_dataset_gives_the_kind_that_is_asked_for(
    dataset: str, kinds: tuple, got: type, tmp_path: Path
) -> None:
    BUILDERS[dataset](tmp_path)
    found = load_evidence(dataset, "all", 3, 0, kinds, str(tmp_path))
    assert {type(piece) for sample in found for piece in sample.evidence} == {got}
    assert all(sample.group for sample in found)


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        ("mmdocir", {"pages": 3}),
        ("mmdocir-layouts", {"pages": 3}),
        ("mmlongbench-doc", {"pages": 3}),
        ("vidstg", {"frames": 5}),
        ("vidstg-tubes", {"frames": 5}),
        ("refcocog", {}),
        ("documents", {"pages": (2, 3)}),
        ("clips", {"frames": (4, 5)}),
        ("scenes", {}),
    ],
)
def test_length_is_bounded_where_a_dataset_can(dataset: str, options: dict) -> None:
    assert at_most(dataset, pages=3, frames=5) == options
    assert at_most(dataset, pages=0, frames=0) == {}


@pytest.mark.parametrize("kind", [Box, Pages, Frames, TextSpan])
def test_a_dataset_without_it_is_refused_before_it_is_read_and_others_are_named(kind: type) -> None:
    for name, source in real.SOURCES.items():
        if kind not in source.evidence:
            with pytest.raises(
                CoreheadError, match=f"{name} does not say where .* On disk, these do: "
            ) as error:
                load_evidence(name, "all", 1, 0, (kind,), "/nowhere")
            for able in str(error.value).split("these do: ")[1].split(".")[0].split(", "):
                assert kind in real.SOURCES[able].evidence
    with pytest.raises(CoreheadError, match="detection_dataset"):
        load_evidence("mlvu", "all", 1, 0)


def test_generated_samples_are_checked_one_by_one() -> None:
    assert load_evidence("scenes", "tuning", 2, 0, (Box,)) == load_samples("scenes", "tuning", 2, 0)
    with pytest.raises(CoreheadError, match=r"scenes/tuning/0/0: scenes does not say where .* as pages"):
        load_evidence("scenes", "tuning", 2, 0, (Pages,))
    with pytest.raises(CoreheadError, match="boxes or pages"):
        load_evidence("scenes", "tuning", 2, 0, tasks=("sum",))


def test_a_folder_for_a_dataset_that_reads_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match=r"scenes is drawn from a seed and reads no folder.*mmdocir"):
        load_samples("scenes", "tuning", 1, 0, data_dir=str(tmp_path))


@pytest.mark.parametrize("dataset", ["refcocog", "mmdocir", "vidstg"])
def test_pictures_hold_one_picture_with_boxes_on_what_is_red(dataset: str, tmp_path: Path) -> None:
    BUILDERS[dataset](tmp_path)
    found = load_pictures(dataset, "all", 20, 0, str(tmp_path))
    on_red = 0
    for sample in found:
        (picture,) = sample.media
        assert not isinstance(picture, Clip)
        assert not sample.context
        for box in sample.evidence:
            assert isinstance(box, Box)
            assert (box.item, box.frame) == (0, None)
            corners = np.array([box.x0, box.y0, box.x1, box.y1])
            on_red += np.asarray(picture).min() < 60 and np.abs(corners - red_box(picture)).max() < 2
    assert on_red >= min(2, len(found))


def test_one_picture_keeps_the_boxes_of_that_page_or_frame() -> None:
    pages = (painted((40, 40)), painted((50, 50)))
    boxes = (Box(1, 1, 9, 9, item=1), Box(2, 2, 8, 8), Box(3, 3, 7, 7, item=1))
    kept = one_picture(Sample("a", "t", "q", "1", pages, boxes, context="some text"))
    assert (kept.media, kept.context) == ((pages[1],), "")
    assert kept.evidence == (Box(1, 1, 9, 9), Box(3, 3, 7, 7))
    film = clip()
    kept = one_picture(
        Sample(
            "a", "t", "q", "1", (film,), (Box(1, 1, 9, 9, frame=2), Box(2, 2, 8, 8), Box(3, 3, 7, 7, frame=3))
        )
    )
    assert kept.media == (film.frames[2],)
    assert kept.evidence == (Box(1, 1, 9, 9), Box(2, 2, 8, 8))
    alone = Sample("a", "t", "q", "1", (noise(9, 9),), (Box(1, 1, 9, 9),), context="text")
    assert one_picture(alone) is alone


def test_remarks_say_what_is_other_than_usual() -> None:
    free = Sample("a", "t", "q", "1", (), group="document/a")
    choice = Sample("b", "t", "q", "1", (), options=("1", "2"), group="document/a")
    assert remarks("scenes", [choice], 1) is None
    note = remarks("mmdocir", [free, choice], 5) or ""
    for part in (
        "2 samples of `mmdocir` (5 were asked for)",
        "1 different",
    ):
        assert part in note
    other = remarks("mmdocir", [choice], 1, usual="documents") or ""
    assert "generated documents" in other


def test_what_the_context_cannot_hold_is_left_out_and_only_disks_data_is_announced(
    tmp_path: Path, tiny: LoadedModel, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    BUILDERS["mmdocir"](tmp_path)
    found = {
        n: load_evidence("mmdocir", "all", 9, 0, (Pages,), str(tmp_path), **at_most("mmdocir", pages=n))
        for n in (1, 4)
    }
    both = [replace(sample, id=f"{sample.id}/{n}") for n, some in found.items() for sample in some]
    lengths = [encode(tiny, [sample]).question.shape[1] + 8 for sample in both]
    assert min(lengths) < max(lengths)
    monkeypatch.setattr(tiny.model.config.get_text_config(), "max_position_embeddings", min(lengths))
    capsys.readouterr()
    kept = that_fit(tiny, "mmdocir", both)
    assert {len(sample.media) for sample in kept} == {1}
    said = capsys.readouterr().out
    assert f"mmdocir: {len(kept)} prompts of about " in said
    assert f"{len(both) - len(kept)} refused" in said
    assert "use fewer pages" in said
    smaller = that_fit(tiny, "mmdocir", both, max_pixels=4096)
    assert len(smaller) > len(kept)
    capsys.readouterr()
    worlds = load_samples("scenes", "evaluation", 3, 0)
    monkeypatch.undo()
    assert that_fit(tiny, "scenes", worlds) == worlds
    assert capsys.readouterr().out == ""


def test_a_folder_is_only_for_datasets_on_disk() -> None:
    assert (folder_of("mmdocir", "here"), folder_of("scenes", "here")) == ("here", "")


def test_halves_share_no_group_and_are_about_as_large() -> None:
    assert halves(list("abcdef")).tolist() == [True, False] * 3  # they take turns
    groups = list("aaabbcaddbe")
    first = halves(groups)
    assert not {g for g, f in zip(groups, first, strict=True) if f} & {
        g for g, f in zip(groups, first, strict=True) if not f
    }
    assert abs(first.sum() - (~first).sum()) <= 3
    assert halves(["a", "a"]).all()


def test_batches_beyond_the_budget_are_encoded_each_time_and_equal(tiny: LoadedModel) -> None:
    kept = encode_all(tiny, SAMPLES, batch_size=1)
    assert kept[0] is kept[0]
    thrifty = encode_all(tiny, SAMPLES, batch_size=1, budget=1)
    assert thrifty[0] is thrifty[0]  # the first goes over it
    assert thrifty[1] is not thrifty[1]
    assert [b.samples for b in thrifty] == [(s,) for s in SAMPLES]
    for one, other in zip(kept, thrifty, strict=True):
        np.testing.assert_array_equal(one.inputs["pixel_values"], other.inputs["pixel_values"])
    assert isinstance(thrifty[:2], Batches)
    assert [b.samples for b in thrifty[1:]] == [(s,) for s in SAMPLES[1:]]
    assert thrifty[:2][0] is thrifty[0]
    assert thrifty[-1].samples == (SAMPLES[-1],)
    with pytest.raises(IndexError):
        thrifty[3]
    with pytest.raises(CoreheadError, match="batch_size=0"):
        encode_all(tiny, SAMPLES, batch_size=0)
    assert encode(tiny, SAMPLES[:1]).samples == thrifty[0].samples


def test_a_missing_dataset_names_its_commands_with_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    with pytest.raises(CoreheadError) as error:
        load_samples("mmdocir", "all", 1, 0, data_dir=str(folder))
    for command in ("fetch mmdocir --accept-terms", "check mmdocir"):
        assert f"`corehead data {command} --data-dir {shlex.quote(str(folder))}`" in str(error.value)
    assert "CC BY-NC 4.0" in str(error.value)


def run(notebook: str, out: Path, **parameters: object) -> nbformat.NotebookNode:
    given = [part for key, value in parameters.items() for part in ("-p", key, str(value))]
    result = CliRunner().invoke(main, ["run", notebook, "--out", str(out), *given])
    assert result.exit_code == 0, result.output
    return nbformat.read(next(out.glob("*.ipynb")), as_version=4)


def test_notebook_02_runs_on_a_dataset_from_disk(tmp_path: Path) -> None:
    BUILDERS["mmdocir"](tmp_path / "data", 6)
    executed = run("02", tmp_path / "out", dataset="mmdocir", data_dir=tmp_path / "data", detection_samples=3)
    assert "`dataset = 'mmdocir'`" in executed.cells[1].source  # the page says what was changed
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    exact = [row for row in results["rows"] if row["way"] == "exact cells"]
    assert len(exact) == 3  # families
    assert all(row["wrong"] == row["missed"] == 0 < row["tokens"] for row in exact)
    assert results["inputs"]["data"]["name"] == "mmdocir"


def test_notebook_08_tests_heads_on_a_dataset_without_evidence(tmp_path: Path) -> None:
    mmlongbench.build(tmp_path / "ranked", 4)
    BUILDERS["mlvu"](tmp_path / "data", 6)
    executed = run(
        "08", tmp_path / "out", dataset="mlvu", data_dir=tmp_path / "data", detection_dataset="mmlongbench",
        detection_dir=tmp_path / "ranked", detection_samples=2, samples=3, draws=1, batch_size=2, models="tiny-qwen3-vl-seed1",
        draws_wide=1, samples_each=3, draws_each=1,
    )  # fmt: skip
    assert "`detection_dataset = 'mmlongbench'`" in executed.cells[1].source
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["task"] for row in results["rows"]} >= {"2_needle", "background", "sum"}
    assert results["numbers"]["chance_option"] == 0.25


def test_notebook_10_judges_a_dataset_by_its_own_score_and_worlds_by_exact_answers(tmp_path: Path) -> None:
    """The cells up to the figure of the controls; what follows knows nothing of datasets, and takes minutes."""
    BUILDERS["mmdocir"](tmp_path, 6)
    book = notebooks.read(ROOT / "notebooks" / "10_acceleration.py")
    cells = [cell.source for cell in book.cells if cell.cell_type == "code"]
    last = next(i for i, source in enumerate(cells) if "fig_controls" in source)
    here: dict = {}
    exec(cells[0], here)
    here |= {
        "datasets": "scenes mmdocir",
        "data_dir": str(tmp_path),
        "detection_samples": 4,
        "tuning_samples": 24,
    }
    here |= {
        "samples": 4,
        "tolerance": 0.3,
        "windows": "16",
        "sinks": "4",
        "draws": 1,
        "batch_size": 4,
    }
    for source in cells[1 : last + 1]:
        exec(source, here)
    loaded, own = here["loaded"], [s for batch in here["test"]["mmdocir"] for s in batch.samples]
    table, ways = here["table"], {"dense": None, "plan": here["plan"].operator()}
    for way, operator in ways.items():
        with operator(loaded.model) if operator else nullcontext():
            judged = judge(loaded, own, batch_size=1).score
            exact = evaluate(loaded, here["test"]["scenes"]).correct
        found = table[table.way == way].groupby("dataset").correct.apply(list)
        assert found["mmdocir"] == judged.tolist()
        assert found["scenes"] == exact.tolist()
    assert here["lines"]["mmdocir"] == own_chance(loaded, own)
    assert here["detect"]["mmdocir"][0].samples[0].evidence
