"""The cell table against position-coded pictures that went through the real processor and patch embedding."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CELL, noise

from corehead_lib.cells import Cells, visual_cells
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Sample

SIZES = (
    [(8, 8), (9, 31), (40, 8), (15, 17), (3, 500), (500, 3)]  # tiny, and as extreme as Qwen3-VL allows
    + [(64, 64), (63, 65), (100, 100), (128, 96), (97, 131), (160, 144), (199, 99), (224, 224), (333, 77)]
    + [(100, 1000), (1000, 100), (64, 1600), (1600, 64), (2000, 50), (37, 1291)]
    + [(640, 480), (480, 640), (640, 427), (427, 640), (800, 600), (1024, 768), (1023, 769), (500, 1100)]
    + [(1280, 720), (720, 1280), (1920, 1080), (1275, 1650), (1650, 1275), (2400, 300), (1999, 1001)]
    + [(71, 71), (72, 72), (73, 73), (88, 104), (120, 136), (200, 264), (328, 56)]
)


def position_coded(width: int, height: int) -> Image.Image:
    """Red says x, green says y, dithered so that means are finer than the 256 steps of a pixel."""
    y, x = np.mgrid[:height, :width]
    dither = (0.754877666 * x + 0.569840291 * y) % 1
    red, green = 255 * (x + 0.5) / width, 255 * (y + 0.5) / height
    picture = np.stack([red, green, np.zeros_like(red)], axis=-1)
    return Image.fromarray(np.floor(np.clip(picture + dither[..., None], 0, 255)).astype(np.uint8))


def read_positions(loaded: LoadedModel, pixels: torch.Tensor) -> np.ndarray:
    """Per merged token the mean (x, y) that its pixels state, as shares of the picture's sides.

    A token is merge_size**2 consecutive rows of pixel_values: the patch merger's view(-1, merge**2 * hidden).
    """
    image_processor = loaded.processor.image_processor
    merged = pixels.reshape(
        -1, image_processor.merge_size**2, 3, image_processor.temporal_patch_size, CELL**2 // 4
    )
    colour = merged.double().mean(dim=(1, 3, 4)).numpy()
    return (colour * image_processor.image_std + image_processor.image_mean)[:, :2]


def prompt(*pictures: Image.Image) -> Sample:
    return Sample("id", "task", "Where?", "1", pictures)


def check_tiling(box: np.ndarray, size: tuple[int, int]) -> None:
    """The boxes cover the picture once, and reach its edges."""
    area = (box[:, 2:] - box[:, :2]).prod(1)
    assert (area > 0).all()
    assert area.sum() == pytest.approx(size[0] * size[1])
    np.testing.assert_allclose([*box[:, :2].min(0), *box[:, 2:].max(0)], [0, 0, *size])


def check(loaded: LoadedModel, sizes: list[tuple[int, int]]) -> None:
    """Compare the middles of all boxes with the positions that the pixels state."""
    batch = encode(loaded, [prompt(*[position_coded(*size) for size in sizes])])
    cells, stated = batch.cells[0], read_positions(loaded, batch.inputs["pixel_values"])
    assert len(cells) == len(stated)
    assert (batch.inputs["input_ids"][0, cells.position] == loaded.model.config.image_token_id).all()
    for item, size in enumerate(sizes):
        check_tiling(cells.box[cells.item == item], size)
        box, read = cells.box[cells.item == item], stated[cells.item == item] * size
        middle = (box[:, :2] + box[:, 2:]) / 2
        side = box[0, 2:] - box[0, :2]
        inner = ((box[:, :2] > 1) & (box[:, 2:] < np.array(size) - 1)).all(1)
        error = np.abs(read - middle) / side
        assert error.max() < 0.5  # the stated place lies in the box, also where resizing blurs the rim
        if inner.any():
            assert error[inner].max() < 0.15  # and well in the middle elsewhere


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_every_cell_sees_the_pixels_of_its_box(tiny: LoadedModel, size: tuple[int, int]) -> None:
    check(tiny, [size])


@pytest.mark.parametrize("start", range(0, 12, 3))
def test_several_pictures_of_mixed_sizes(tiny: LoadedModel, start: int) -> None:
    check(tiny, SIZES[start + 6 : start + 9] + SIZES[start : start + 2] + SIZES[start + 6 : start + 7])


@pytest.mark.parametrize("cell", [0, 1, 4, 9, 23])
def test_changed_pixels_arrive_at_their_cells_token(tiny: LoadedModel, cell: int) -> None:
    """Through the real patch embedding and merger; the vision blocks, which mix tokens, are taken out."""
    model = deepcopy(tiny.model)
    model.model.visual.blocks = torch.nn.ModuleList()
    blind = replace(tiny, model=model)
    arrived: list[torch.Tensor] = []
    model.model.language_model.register_forward_pre_hook(
        lambda _, __, given: arrived.append(given["inputs_embeds"]), with_kwargs=True
    )
    picture = np.array(noise(96, 64))
    batch = encode(blind, [prompt(noise(64, 80), Image.fromarray(picture))])
    cells = batch.cells[0]
    row = np.flatnonzero(cells.item == 1)[cell]
    x0, y0, x1, y1 = cells.box[row].astype(int)
    picture[y0:y1, x0:x1] ^= 255
    changed = encode(blind, [prompt(noise(64, 80), Image.fromarray(picture))])
    with torch.inference_mode():
        model(**batch.inputs)
        model(**changed.inputs)
    different = (arrived[0] != arrived[1]).any(-1)[0].nonzero().flatten().tolist()
    assert different == [cells.position[row]]


def test_a_left_padded_prompt_keeps_its_cells(tiny: LoadedModel) -> None:
    short, long = prompt(noise(64, 64)), prompt(noise(128, 128))
    alone = encode(tiny, [short]).cells[0]
    padded: Batch = encode(tiny, [short, long])
    shift = padded.inputs["input_ids"].shape[1] - int(padded.inputs["attention_mask"][0].sum())
    assert shift > 0
    np.testing.assert_array_equal(padded.cells[0].position, alone.position + shift)
    np.testing.assert_array_equal(padded.cells[0].box, alone.box)


def test_no_picture_gives_an_empty_table(tiny: LoadedModel) -> None:
    cells = visual_cells(tiny, torch.tensor([1, 2, 3]), torch.zeros(0, 3, dtype=torch.long), [])
    assert len(cells) == 0
    assert cells.box.shape == (0, 4)


def call(loaded: LoadedModel, tokens: int, grids: list[list[int]], sizes: list[tuple[int, int]]) -> Cells:
    ids = torch.full((tokens,), loaded.model.config.image_token_id)
    return visual_cells(loaded, ids, torch.tensor(grids), sizes)


def test_matching_counts_are_accepted(tiny: LoadedModel) -> None:
    assert len(call(tiny, 6, [[1, 4, 6]], [(96, 64)])) == 6


@pytest.mark.parametrize(
    ("tokens", "grids", "sizes"),
    [
        (5, [[1, 4, 6]], [(96, 64)]),
        (7, [[1, 4, 6]], [(96, 64)]),
        (6, [[1, 4, 6]], [(96, 64), (96, 64)]),
        (12, [[1, 4, 6], [1, 4, 6]], [(96, 64)]),
    ],
)
def test_mismatched_counts_are_refused(
    tiny: LoadedModel, tokens: int, grids: list[list[int]], sizes: list[tuple[int, int]]
) -> None:
    with pytest.raises(CoreheadError, match=f"The sequence holds {tokens} image tokens"):
        call(tiny, tokens, grids, sizes)


def test_an_unknown_family_is_refused(tiny: LoadedModel) -> None:
    model = deepcopy(tiny.model)
    model.config.model_type = "llama"
    with pytest.raises(CoreheadError, match="No cell table for model type 'llama' yet; known: qwen3_vl"):
        call(replace(tiny, model=model), 6, [[1, 4, 6]], [(96, 64)])
