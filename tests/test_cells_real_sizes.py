"""The cells at the real checkpoints' sizes: their tiles, patches and limits, with a narrow model behind them.

The token counts were noted from transformers 5.23's processors under the settings of Qwen3-VL-8B-Instruct,
InternVL3_5-8B-HF and llava-onevision-qwen2-7b-ov-hf; the boxes are checked with position-coded pictures.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coded import blinded, check, coded, coded_clip, prompt
from tiny import RECIPES, save_tiny

from corehead_lib.models import LoadedModel, load_model

REAL: dict[str, dict[str, Any]] = {
    "qwen3_vl": {"pixels": [65536, 16777216], "vision": {"patch_size": 16}},
    "internvl": {"vision": {"image_size": 448, "patch_size": 14}},
    "llava_onevision": {"vision": {"image_size": 384, "patch_size": 14}, "grid": 6, "most_tiles": 9},
}
COUNTS = {
    "qwen3_vl": {(640, 480): 300, (640, 427): 260, (1275, 1650): 2080, (50, 50): 64},
    "internvl": {
        (640, 480): 3328,
        (640, 427): 1792,
        (1275, 1650): 3328,
        (1920, 1080): 2304,
        (448, 448): 256,
        (500, 500): 256,
        (900, 900): 1280,
    },
    "llava_onevision": {
        (640, 480): 2929,
        (640, 427): 2709,
        (1275, 1650): 7353,
        (1920, 1080): 7269,
        (384, 384): 1485,
        (1000, 100): 1467,
    },
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    loaded = {}
    for name, change in REAL.items():
        recipe = deepcopy(RECIPES[name])
        recipe["vision"] |= change["vision"]
        recipe |= {key: value for key, value in change.items() if key != "vision"}
        folder: Path = tmp_path_factory.mktemp(name)
        loaded[name] = blinded(load_model(str(save_tiny(folder, recipe=recipe))))
    return loaded


@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name, counts in COUNTS.items() for size in counts]
)
def test_one_picture(real: dict[str, LoadedModel], name: str, size: tuple[int, int]) -> None:
    cells = check(real[name], prompt(coded(*size)))
    newlines = 0
    if name == "llava_onevision":  # one behind each row of tiles' cells
        newlines = len(set(cells.box[cells.view == "main", 1]))
    assert len(cells) + newlines == COUNTS[name][size]


@pytest.mark.parametrize("name", REAL)
def test_two_pages_and_a_clip(real: dict[str, LoadedModel], name: str) -> None:
    cells = check(real[name], prompt(coded(850, 1100), coded(640, 480), coded_clip(320, 240, 3)))
    expected = {
        "qwen3_vl": [918, 300, 160],  # 34 x 27, 15 x 20, 2 groups of 8 x 10
        "internvl": [13 * 256, 13 * 256, 3 * 256],
        "llava_onevision": [729, 729, 3 * 196],
    }
    assert np.bincount(cells.item).tolist() == expected[name]
