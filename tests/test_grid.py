"""Small runs and the grid of them: what is trained and what not, the same again from the same seed, and going on after a kill."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from corehead_lib.heads import effective_heads, mass_concentration
from corehead_lib.zoo.training import grid
from corehead_lib.zoo.training.build import build
from corehead_lib.zoo.training.small import Small, grow, questions
from corehead_lib.zoo.training.tower import inherit_tower
from corehead_lib.zoo.training.turns import corpus

TOY = Small(heads=2, layers=2, steps=2)


def test_only_the_language_model_learns() -> None:
    fresh, _ = build(TOY.recipe(), corpus(), TOY.seed)
    inherit_tower(fresh, TOY.recipe()["tower"]["name"])
    before = fresh.state_dict()
    for loaded, snapshot in grow(TOY, {0, 2}, samples=2):
        after = loaded.model.state_dict()
        changed = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
        assert {name for name in before if "visual" in name}.isdisjoint(changed)
        matrices = {name for name in before if "language_model" in name and "proj" in name}
        assert changed >= matrices if snapshot.step else not changed
        assert snapshot.looks["scenes"].shape == (3, 2, 2, 2)


def test_a_run_repeats_itself_and_its_settings_matter() -> None:
    def end(small: Small) -> np.ndarray:
        (_, snapshot), *_ = grow(small, {small.steps}, samples=4)
        return snapshot.logprob["scenes"]

    first = end(TOY)
    np.testing.assert_array_equal(first, end(TOY))
    for other in ({"seed": 1}, {"price": 5.0}, {"weight_decay": 50.0}, {"chores": 2}):
        assert not np.array_equal(first, end(replace(TOY, **other))), other


def test_questions_are_about_pictures_of_the_small_world() -> None:
    asked = questions(12)
    assert {s.task for s in asked} == {"shape", "pair"}
    assert {getattr(item, "size", None) for s in asked for item in s.media} == {(96, 96)}
    assert {len(s.visible) for s in asked} <= {2, 3, 4}


def test_how_few_heads_hold_a_score_by_hand() -> None:
    found = grid.spread(np.array([[3.0, 1.0], [0.0, 0.0]]))
    wanted = {"half": 0.25, "gini": 0.625, "effective": 16 / 10, "best": 3.0, "total": 4.0}
    assert found == pytest.approx(wanted)


def test_a_grid_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "GRID", {"base": TOY, "no decay": replace(TOY, weight_decay=0.0)})
    path = tmp_path / "grid.json"
    made: list[Small] = []

    def run(small: Small) -> dict[str, Any]:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(small)
        moments = [{"step": 0, "half": 0.5}, {"step": 2, "half": len(made) / 10}]
        return asdict(small) | {"origin": grid.origin(small), "half_lost": None, "history": moments}

    monkeypatch.setattr(grid, "run", run)
    with pytest.raises(KeyboardInterrupt):
        grid.grow_grid(path, [0, 1])
    assert len(json.loads(path.read_text())) == 3
    made.pop(0)
    table = grid.grow_grid(path, [0, 1])
    assert [*zip(table.setting, table.seed, strict=True)] == [
        ("base", 0),
        ("base", 1),
        ("no decay", 0),
        ("no decay", 1),
    ]
    assert table.half.tolist() == [0.1, 0.3, 0.2, 0.3]
    assert table.half_lost.isna().all()


def test_runs_of_another_recipe_or_world_are_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "GRID", {"base": TOY})
    path, made = tmp_path / "grid.json", []

    def run(small: Small) -> dict[str, Any]:
        made.append(small)
        return asdict(small) | {"origin": grid.origin(small), "half_lost": None, "history": [{"step": 2}]}

    monkeypatch.setattr(grid, "run", run)
    for number in (1, 1):
        grid.grow_grid(path, [0])
        assert len(made) == number
    monkeypatch.setattr(grid, "questions", lambda samples: questions(samples, seed=1))
    grid.grow_grid(path, [0])
    monkeypatch.setattr(grid, "GRID", {"base": replace(TOY, weight_decay=0.5)})
    assert len(grid.grow_grid(path, [0])) == 1
    assert len(made) == 3


def test_one_run_of_the_grid_says_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "SAMPLES", 4)
    found = grid.run(TOY)
    assert {k: found[k] for k in asdict(TOY)} == asdict(TOY)
    assert [moment["step"] for moment in found["history"]] == [0, 2]
    assert np.shape(found["ram"]["question"]) == (2, 2)
    best = [
        max(map(max, found["ram"]["last"])),
        found["history"][-1]["best"],
        found["history"][-1]["looking"],
    ]
    assert best == pytest.approx([best[0]] * 3, abs=2e-4)  # of four heads one is on top
    assert found["history"][0]["looking"] <= found["history"][0]["best"]
    assert found["half_lost"] is found["half_lost_question"] is None  # two steps teach nothing
    assert all(0 <= found[name] <= 1 for name in ("untouched", "cut_last", "cut_question"))
    json.dumps(found)


def test_the_shipped_table_is_of_this_grid() -> None:
    runs = json.loads(grid.TABLE.read_text())
    for one in runs:
        wanted = asdict(replace(grid.GRID[one["setting"]], seed=one["seed"]))
        assert {name: one[name] for name in wanted} == wanted
        assert one["origin"] == grid.origin(grid.GRID[one["setting"]])
        ram, end = np.array(one["ram"]["last"]), one["history"][-1]
        assert end["step"] == one["steps"]
        assert end["half"] == pytest.approx(mass_concentration(ram), abs=0.02)
        assert end["effective"] == pytest.approx(effective_heads(ram), rel=0.02)
    assert len({(one["setting"], one["seed"]) for one in runs}) == len(runs)
