"""Careless tables: right where their assumptions hold, wrong and silent where they do not."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import CELL, noise

from corehead_lib.encode import encode
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Sample
from corehead_lib.targets_compare import EXACT
from corehead_lib.targets_naive import (
    cell_side,
    compare_naive,
    naive_targets,
    naive_ways,
    one_grid,
    over_main,
    resize_forgotten,
    swapped,
)


def picture(width: int, height: int, box: Box) -> Sample:
    return Sample("one", "box", "Which digit?", "1", (noise(width, height, 1),), (box,))


def test_a_cell_has_its_side(families: dict[str, LoadedModel]) -> None:
    sides = {name: cell_side(loaded) for name, loaded in families.items()}
    assert sides == {"qwen3_vl": CELL, "internvl": CELL, "llava_onevision": 9}  # 28 pixels, three cells


def test_one_grid_is_exact_without_tiles(families: dict[str, LoadedModel]) -> None:
    sample = picture(6 * CELL, 4 * CELL, Box(3 * CELL + 1, 5, 4 * CELL, 2 * CELL))
    cells = encode(families["qwen3_vl"], [sample]).cells[0]
    for table in (one_grid(cells), resize_forgotten(cells, CELL)):
        assert np.array_equal(table.box, cells.box)
        assert np.array_equal(table.position, cells.position)
    assert swapped(cells).box[-1].tolist() == pytest.approx([72, 64 * 5 / 6, 96, 64])


def test_one_grid_is_wrong_with_tiles_and_base_views(families: dict[str, LoadedModel]) -> None:
    sample = picture(96, 48, Box(50, 0, 90, 14))
    for name in ("internvl", "llava_onevision"):
        found = compare_naive(families[name], [encode(families[name], [sample])])
        assert found[EXACT].wrong.tolist() == [0]
        assert found["one grid"].missed[0] > 0, name


def test_mass_and_counts_do_not_depend_on_padding(family: LoadedModel) -> None:
    one = picture(96, 48, Box(50, 0, 90, 14))
    other = replace(one, id="two", question="Which digit is on the very long and winding road?")
    together = compare_naive(family, [encode(family, [one, other])])
    for row, sample in enumerate((one, other)):
        alone = compare_naive(family, [encode(family, [sample])])
        for way in (EXACT, "one grid", "swapped", "resize forgotten"):
            assert together[way].wrong[row] == alone[way].wrong[0]
            assert np.allclose(together[way].mass[row], alone[way].mass[0], atol=1e-5)


def test_a_box_that_no_cell_shows_has_no_target(families: dict[str, LoadedModel]) -> None:
    loaded = families["internvl"]
    batch = encode(loaded, [picture(1000, 500, Box(990, 490, 1000, 500))])
    assert not naive_targets(batch, naive_ways(loaded)["resize forgotten"]).any()
    found = compare_naive(loaded, [batch])["resize forgotten"]
    assert found.share_wrong.tolist() == [1.0]
    assert not found.mass.any()


def test_a_second_view_is_laid_over_the_first(family: LoadedModel) -> None:
    cells = encode(family, [picture(96, 48, Box(0, 0, 9, 9))]).cells[0]
    weight = np.random.default_rng(0).random(len(cells))
    made = over_main(weight, cells)
    assert made.shape == ((cells.view == "main").sum(),)
    assert made.sum() == pytest.approx(weight.sum(), rel=0.02)  # LLaVA cuts rows off that its base view keeps
    assert made.sum() <= weight.sum() * (1 + 1e-9)
