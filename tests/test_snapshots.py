"""Snapshots: kept by a run, scored, shipped, and read back; the shipped ones score as their file says."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tiny import save_tiny

from corehead_lib import models
from corehead_lib.errors import CoreheadError
from corehead_lib.models import load_model
from corehead_lib.zoo import snapshots
from corehead_lib.zoo.snapshots import history, keep_snapshots, load_snapshot, score_snapshot


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


def test_all_are_scored_and_some_are_kept(run: Path, zoo: Path) -> None:
    target = keep_snapshots("tiny", run, [200], samples=2)
    assert target == zoo / "tiny" / "snapshots"
    early, late = history("tiny")
    assert (early.step, early.checksum, late.step) == (100, "", 200)
    loaded = load_snapshot("tiny", 200)
    assert loaded.checksum == late.checksum
    assert loaded.backbone.kv_heads == 3
    again = score_snapshot(loaded, 200, samples=2)
    assert set(again.ram) == set(again.accuracy) == set(snapshots.KINDS)
    for kind, score in again.ram.items():
        np.testing.assert_allclose(score, late.ram[kind], atol=6e-5)
        assert again.accuracy[kind] == pytest.approx(late.accuracy[kind], abs=1e-4)
    assert not np.allclose(early.ram["scenes"], late.ram["scenes"], atol=1e-3)


def test_what_is_not_there_is_named(run: Path, zoo: Path) -> None:
    with pytest.raises(CoreheadError, match=r"no snapshot at step \[300\]; it has \[100, 200\]"):
        keep_snapshots("tiny", run, [200, 300])
    with pytest.raises(CoreheadError, match="no snapshot at step any"):
        keep_snapshots("tiny", run / "snapshots")
    with pytest.raises(
        CoreheadError, match=r"No snapshots of 'tiny' are kept; of these models they are: \[\]"
    ):
        history("tiny")
    shutil.rmtree(run / "snapshots" / "00100")
    folder = keep_snapshots("tiny", run, [200], samples=1) / "00200"
    with pytest.raises(CoreheadError, match=r"at step 100 are not kept; those at \[200\] are"):
        load_snapshot("tiny", 100)
    weights = load_file(folder / "model.safetensors")
    save_file({k: v * 2 for k, v in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CoreheadError, match=r"do not match its scores\.json"):
        load_snapshot("tiny", 200)


SHIPPED = [
    (path.parents[1].name, snapshot.step)
    for path in sorted(models.ZOO.glob("*/snapshots/scores.json"))
    for snapshot in history(path.parents[1].name)
    if snapshot.checksum
]


def test_one_run_is_kept_with_several_weights() -> None:
    assert len(SHIPPED) >= 3


@pytest.mark.parametrize(("name", "step"), SHIPPED)
def test_shipped_snapshots_score_as_their_file_says(name: str, step: int) -> None:
    (kept,) = (snapshot for snapshot in history(name) if snapshot.step == step)
    loaded = load_snapshot(name, step)
    assert loaded.backbone == load_model(name).backbone
    again = score_snapshot(loaded, step)
    for kind, score in again.ram.items():
        np.testing.assert_allclose(score, kept.ram[kind], atol=2e-3)
        assert abs(again.accuracy[kind] - kept.accuracy[kind]) <= 1 / 24
