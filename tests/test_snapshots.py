"""Snapshots: kept by a run, scored, shipped, and read back; the shipped ones score as their file says."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import save_tiny

from corehead_lib import models
from corehead_lib.answers import QUERIES
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import load_model
from corehead_lib.ram import measure_ram
from corehead_lib.zoo import snapshots
from corehead_lib.zoo.snapshots import asked, ends, history, keep_snapshots, observe
from corehead_lib.zoo.training.card import read_curve
from corehead_lib.zoo.training.lessons import make_lesson
from corehead_lib.zoo.training.train import learn, read_recipe, untrained


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(models, "ZOO", tmp_path / "zoo")
    return tmp_path / "zoo"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with two snapshots of different weights."""
    save_tiny(tmp_path / "run" / "snapshots" / "00100")
    save_tiny(tmp_path / "run" / "snapshots" / "00200", kv_heads=3)
    return tmp_path / "run"


def test_all_are_scored(run: Path, zoo: Path) -> None:
    target = keep_snapshots("tiny", run, samples=2)
    assert target == zoo / "tiny" / "snapshots" / snapshots.SCORES
    early, late = history("tiny")
    assert (early.step, late.step) == (100, 200)
    loaded = load_model(str(run / "snapshots" / "00200"))
    for kind in snapshots.KINDS:
        batches = encode_all(loaded, asked(kind, 2))
        told, looked = evaluate(loaded, batches), measure_ram(loaded, batches, "question")
        np.testing.assert_array_equal(told.correct, late.correct[kind])
        np.testing.assert_allclose(told.logprob, late.logprob[kind], atol=1e-4)
        np.testing.assert_allclose(looked.target, late.mass(kind, "question"), atol=1e-3)
        np.testing.assert_allclose(looked.visual.mean(0), late.source[kind][0], atol=1e-3)
        assert late.accuracy[kind] == pytest.approx(told.accuracy)
        assert late.looks[kind].shape == (len(QUERIES), 2, loaded.backbone.layers, loaded.backbone.heads)
    assert not np.allclose(early.ram["scenes"], late.ram["scenes"], atol=1e-3)


def test_all_snapshots_are_asked_the_same(run: Path, zoo: Path) -> None:
    """Two copies of one model must score alike, whichever batches the first one made."""
    shutil.rmtree(run / "snapshots" / "00200")
    shutil.copytree(run / "snapshots" / "00100", run / "snapshots" / "00300")
    keep_snapshots("tiny", run, samples=2)
    early, late = history("tiny")
    assert (early.step, late.step) == (100, 300)
    for kind in snapshots.KINDS:
        np.testing.assert_array_equal(early.looks[kind], late.looks[kind])


def test_what_is_not_there_is_named(run: Path, zoo: Path) -> None:
    with pytest.raises(CoreheadError, match="has no snapshots: train with --snapshots"):
        keep_snapshots("tiny", run / "snapshots")
    with pytest.raises(CoreheadError, match=r"No snapshots of 'tiny' are kept, nor a recipe .*: \[\]"):
        history("tiny")


def test_without_snapshots_there_are_two_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is the shipped model, the beginning the one that learned the first lesson of its curve with the loss that stands there."""
    name = "tiny-internvl-seed1"
    monkeypatch.setattr(snapshots, "KINDS", ("haystacks",))
    with pytest.warns(UserWarning, match=r"corehead train tiny-internvl --seed 1 --snapshots 50 --out RUN"):
        first, last = ends(name, 4)
    loaded, curve = load_model(name), read_curve(models.ZOO / name / "curve.jsonl.gz")
    told = evaluate(loaded, encode_all(loaded, asked("haystacks", 4)))
    np.testing.assert_allclose(told.logprob, last.logprob["haystacks"], atol=1e-4)
    assert (first.step, last.step) == (0, len(curve))
    assert not first.correct["haystacks"].any()
    model, processor = untrained("tiny-internvl", 1)
    mix = read_recipe("tiny-internvl")["train"]["stages"][0]["mix"]
    lessons = [make_lesson(processor, kind, settings, 1, 0) for kind, settings in mix.items()]
    losses = [learn(model, lesson, 0, 0.0, len(mix))[0] for lesson in lessons]
    assert np.mean(losses) == pytest.approx(curve.loss[0], abs=0.01)


SHIPPED = sorted(str(path.parents[1].relative_to(models.ZOO)) for path in models.ZOO.rglob(snapshots.SCORES))


def test_one_run_is_kept_at_twenty_steps_or_more() -> None:
    assert SHIPPED
    assert max(len(history(name)) for name in SHIPPED) >= 20


@pytest.mark.parametrize("name", SHIPPED)
def test_the_last_snapshot_is_nearly_the_shipped_model(name: str) -> None:
    """A few steps at a rate near zero lie between them."""
    last, loaded = history(name)[-1], load_model(str(models.ZOO / name))
    batches = encode_all(loaded, asked("scenes", len(last.correct["scenes"])))
    shipped = observe(loaded, {"scenes": batches}, last.step)
    np.testing.assert_allclose(shipped.ram["scenes"], last.ram["scenes"], atol=0.02)
    assert (shipped.correct["scenes"] != last.correct["scenes"]).sum() <= 1
