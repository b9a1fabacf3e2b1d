"""Shipping: half-precision weights, a card that recipe and curve write, and a manifest that fits the file."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import save_tiny

from corehead_lib.datasets import manifest
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel, load_model, weights_checksum
from corehead_lib.zoo.training import card, ship
from corehead_lib.zoo.training.train import read_recipe
from corehead_lib.zoo.training.turns import MODALITIES

SUMMARY = {"seed": 2, "steps": 80, "minutes": 9.4, "hardware": "1 core of a CPU"}
ACCURACY = {f"{modality}/{task}": 0.97 for modality, tasks in card.TASKS.items() for task in tasks}


def finish(folder: Path, **summary: object) -> Path:
    """Dress an untrained model up as the end of a run: four stages, every modality."""
    rng = np.random.default_rng(0)
    lines = []
    for step in range(80):
        line: dict[str, float] = {"step": step, "stage": step // 20, "loss": 5.0 - step / 20}
        line |= {key: round(float(rng.random()), 3) for key in ACCURACY if rng.random() < 0.5}
        lines.append(json.dumps(line))
    (folder / "curve.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, **summary}))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return finish(save_tiny(tmp_path / "run"), recipe="tiny-qwen3-vl")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ship into a folder of the test's own."""
    (tmp_path / "zoo").mkdir()
    (tmp_path / "manifests").mkdir()
    monkeypatch.setattr(ship, "ZOO", tmp_path / "zoo")
    monkeypatch.setattr(manifest, "FOLDER", tmp_path / "manifests")
    return tmp_path


def test_what_is_shipped_is_half_the_size_and_what_was_judged(
    run: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []

    def judge(loaded: LoadedModel, samples: int) -> dict[str, float]:
        judged.append((loaded.checksum, loaded.model.dtype, samples))
        return ACCURACY

    monkeypatch.setattr(ship, "judge", judge)
    target = ship.ship("tiny-qwen3-vl-seed2", run, note="A note.")
    assert target == package / "zoo" / "tiny-qwen3-vl-seed2"
    entry = manifest.read_manifests("model")["tiny-qwen3-vl-seed2"]
    assert entry.sha256 == weights_checksum(target)
    assert judged == [(entry.sha256, torch.float32, 200)]
    assert entry.source == "corehead train tiny-qwen3-vl --seed 2"
    assert (entry.layers, entry.heads, entry.kv_heads, entry.head_dim) == (3, 6, 2, 8)
    before, after = (load_file(folder / "model.safetensors") for folder in (run, target))
    assert set(before) == set(after)
    for name, weight in after.items():
        assert weight.dtype == torch.float16
        torch.testing.assert_close(weight.float(), before[name], rtol=2**-11, atol=2**-25)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (run, target)]
    assert sizes[1] < 0.6 * sizes[0]
    names = {path.name for path in target.iterdir()}
    assert {"README.md", "curve.png", "curve.jsonl.gz", "config.json", "tokenizer.json"} <= names
    assert "summary.json" not in names
    written = (target / "README.md").read_text()
    assert entry.sha256 in written
    assert "A note." in written
    assert "corehead train tiny-qwen3-vl --seed 2" in written


def test_models_are_judged_on_every_task_of_every_modality(run: Path) -> None:
    found = ship.judge(load_model(str(run)), 2)
    expected = {
        f"{name}/{task}"
        for name, kind in MODALITIES.items()
        for task in (kind.needles if name == "interleaved" else kind.tasks)
        if task != "story"
    }
    assert set(found) == expected
    assert set(found.values()) <= {0.0, 0.5, 1.0}


def test_the_card_says_which_runs_succeeded(run: Path) -> None:
    train = read_recipe("tiny-qwen3-vl")["train"]
    summary = {**SUMMARY, "seed": 12}
    failed = ({**summary, "seed": 17, "steps": 99}, {**ACCURACY, "documents/bar": 0.94})
    control = ({**summary, "seed": 18}, {**ACCURACY, "documents/count": 0.1})
    loaded, curve = load_model(str(run)), card.read_curve(run / "curve.jsonl")
    text = card.write_card(
        "x",
        "tiny-qwen3-vl",
        train,
        loaded,
        curve,
        [(summary, ACCURACY), failed, control],
        samples=200,
        few=100,
        note="-",
        tower="qwen3-vl",
    )
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| 1")]
    runs = {row[0]: row for row in rows if len(row) == 2 + len(MODALITIES) + 1}
    assert {seed: row[-1] for seed, row in runs.items()} == {"12": "yes", "17": "no", "18": "yes"}
    assert runs["17"][:2] == ["17", "99"]
    assert "0.940" in runs["17"]
    for number, stage in enumerate(train["stages"]):
        (line,) = re.findall(rf"^\| {number} \| (\d+) \|(.*)\|$", text, re.M)
        assert line[0] == str(int((curve.stage == number).sum()))
        assert all(f"{modality} {given['batch']}" in line[1] for modality, given in stage["mix"].items())
    assert not re.search(r"[{}]", text)


def test_other_runs_are_judged_on_fewer_samples_and_must_share_the_recipe(
    run: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def judge(loaded: LoadedModel, samples: int) -> dict[str, float]:
        asked.append(samples)
        return ACCURACY

    monkeypatch.setattr(ship, "judge", judge)
    other = finish(save_tiny(package / "other"))  # a run from before summaries named their recipe
    target = ship.ship("tiny-qwen3-vl", run, [run, other])
    assert asked == [200, 100]
    assert (target / "README.md").read_text().count("| yes |") == 2
    finish(other, recipe="tiny-internvl")
    with pytest.raises(CoreheadError, match="was trained by 'tiny-internvl', not by 'tiny-qwen3-vl'"):
        ship.ship("tiny-qwen3-vl", run, [other])
    finish(run)
    with pytest.raises(CoreheadError, match="No recipe for 'tiny-qwen3-vl-seed2'"):
        ship.ship("tiny-qwen3-vl-seed2", run)
    assert ship.ship("tiny-qwen3-vl-seed2", run, recipe_name="tiny-qwen3-vl").exists()


def test_what_cannot_be_shipped_is_refused_and_leaves_nothing(run: Path, package: Path) -> None:
    weights = load_file(run / "model.safetensors")
    name = next(iter(weights))
    weights[name].view(-1)[0] = 1e5
    save_file(weights, run / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CoreheadError, match=f"{re.escape(name)} does not fit into float16"):
        ship.ship("tiny-qwen3-vl", run)
    (run / "summary.json").unlink()
    with pytest.raises(CoreheadError, match="not finished"):
        ship.ship("tiny-qwen3-vl", run)
    assert not any((package / "zoo").iterdir())
    assert not any((package / "manifests").iterdir())
