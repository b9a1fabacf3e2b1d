"""The cell table against position-coded media that went through the real processors and vision paths."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from coded import arrived, blinded, check, coded, coded_clip, embeddings, prompt
from PIL import Image
from tiny import RECIPES, noise

from corehead_lib.cells import Cells, visual_cells
from corehead_lib.cells.table import Shown
from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import MEDIA

SIZES = (
    [(8, 8), (9, 31), (40, 8), (15, 17), (3, 500), (500, 3), (2, 2), (5, 90), (25, 4), (16, 16), (17, 16)]
    + [(64, 64), (63, 65), (100, 100), (128, 96), (97, 131), (160, 144), (199, 99), (224, 224), (333, 77)]
    + [(100, 1000), (1000, 100), (64, 1600), (1600, 64), (2000, 50), (37, 1291), (12, 600), (700, 9)]
    + [(640, 480), (480, 640), (640, 427), (427, 640), (800, 600), (1024, 768), (1023, 769), (500, 1100)]
    + [(1280, 720), (720, 1280), (1920, 1080), (1275, 1650), (1650, 1275), (2400, 300), (1999, 1001)]
    + [(71, 71), (72, 72), (73, 73), (88, 104), (120, 136), (200, 264), (328, 56), (59, 61), (60, 120)]
    + [(119, 60), (61, 121), (180, 60), (181, 179), (240, 241), (47, 49), (48, 96), (95, 144), (145, 48)]
    + [(300, 100), (100, 301), (250, 249), (96, 160), (160, 96), (111, 222), (222, 111)]
)


@pytest.fixture(scope="module")
def blind(families: dict[str, LoadedModel]) -> dict[str, LoadedModel]:
    return {name: blinded(loaded) for name, loaded in families.items()}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_every_cell_sees_the_pixels_of_its_box(
    blind: dict[str, LoadedModel], name: str, size: tuple[int, int]
) -> None:
    check(blind[name], prompt(coded(*size)))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("start", range(12))
def test_several_pictures_of_mixed_sizes(blind: dict[str, LoadedModel], name: str, start: int) -> None:
    sizes = [size for size in SIZES if size[0] * size[1] < 300_000][start::11][:4]
    check(blind[name], prompt(*[coded(*size) for size in [*sizes, sizes[0]]]))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("frames", range(1, 13))
def test_clips_of_one_to_twelve_frames(blind: dict[str, LoadedModel], name: str, frames: int) -> None:
    for size in ((96, 64), (50, 170), (40, 3)):  # 3 pixels look like 3 colours
        cells = check(blind[name], prompt(coded_clip(*size, frames)))
        assert set(np.concatenate([np.arange(*pair) for pair in cells.frames])) == set(range(frames))


@pytest.mark.parametrize("name", RECIPES)
def test_images_and_clips_with_text_between(blind: dict[str, LoadedModel], name: str) -> None:
    media = (coded(100, 60), coded_clip(64, 96, 3), coded(48, 96), coded_clip(64, 64, 3))
    check(blind[name], prompt(*media))
    check(blind[name], prompt(*media, context=f"{MEDIA}One,{MEDIA} two {MEDIA}{MEDIA}"))


def test_a_template_that_moves_media_keeps_each_item_with_its_tokens(blind: dict[str, LoadedModel]) -> None:
    """LLaVA-OneVision's published template writes all images first, then all clips, then all texts."""
    loaded = blind["llava_onevision"]
    processor = deepcopy(loaded.processor)
    processor.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }} "
        "{% for part in message.content if part.type == 'image' %}<image>{% endfor %}"
        "{% for part in message.content if part.type == 'video' %}<video>{% endfor %}"
        "{% for part in message.content if part.type == 'text' %}\n{{ part.text }}{% endfor %}"
        "<|im_end|>{% endfor %}<|im_start|>assistant\n"
    )
    media = (coded_clip(64, 96, 3), coded(100, 60), coded_clip(48, 48, 3), coded(60, 90))
    cells = check(
        replace(loaded, processor=processor), prompt(*media, context=f"{MEDIA}a{MEDIA}b{MEDIA}c{MEDIA}")
    )
    first = [cells.position[cells.item == item].min() for item in range(4)]
    assert np.argsort(first).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("name", RECIPES)
def test_in_a_batch_every_sample_has_its_own_cells(blind: dict[str, LoadedModel], name: str) -> None:
    loaded, pages = blind[name], [coded(60, 90), coded(96, 64), coded(130, 50)]
    samples = [prompt(pages[0]), prompt(*pages), prompt(), prompt(coded_clip(64, 48, 4), pages[1])]
    batch = encode(loaded, samples)
    colours = arrived(loaded, batch)
    for row, sample in enumerate(samples):
        alone = encode(loaded, [sample])
        shift = batch.question.shape[1] - alone.question.shape[1]
        np.testing.assert_array_equal(batch.cells[row].position, alone.cells[0].position + shift)
        np.testing.assert_array_equal(batch.cells[row].box, alone.cells[0].box)
        own = arrived(loaded, alone)[0, alone.cells[0].position]
        np.testing.assert_allclose(colours[row, batch.cells[row].position], own, atol=1e-5)


def unmixed(loaded: LoadedModel) -> LoadedModel:
    """The real vision tower, except that its layers add nothing: no token learns of another."""
    model = deepcopy(loaded.model)
    for key, parameter in model.named_parameters():
        ends = ("attn.proj.", "linear_fc2.", "out_proj.", "fc2.", "lambda_1", "lambda_2")
        if any(layers in key for layers in ("visual.blocks", "encoder.layer")) and any(
            e in key for e in ends
        ):
            torch.nn.init.zeros_(parameter)
    return replace(loaded, model=model)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("place", [0, 3, 5, 9])
def test_changed_pixels_arrive_at_the_cells_that_show_them(
    families: dict[str, LoadedModel], name: str, place: int
) -> None:
    """Through the real vision tower and projector; the picture has a size that needs no resizing."""
    loaded = unmixed(families[name])
    picture = np.array(
        noise(*{"qwen3_vl": (96, 64), "internvl": (144, 48), "llava_onevision": (120, 60)}[name])
    )
    batch = encode(loaded, [prompt(Image.fromarray(picture))])
    cells = batch.cells[0]
    row = np.flatnonzero(cells.view == "main")[place]
    x0, y0, x1, y1 = cells.box[row].round().astype(int)
    picture[y0:y1, x0:x1] ^= 255
    changed = encode(loaded, [prompt(Image.fromarray(picture))])
    moved = (embeddings(loaded, batch) != embeddings(loaded, changed)).any(-1)[0].nonzero().flatten()
    assert set(moved.tolist()) <= set(cells.position)
    assert np.intersect1d(moved, cells.position[cells.view == "main"]).tolist() == [cells.position[row]]
    for other in np.flatnonzero(cells.view != "main"):  # resized, so that neighbours may change too
        inside = (cells.box[other, :2] < [x1, y1]).all() and (cells.box[other, 2:] > [x0, y0]).all()
        assert not inside or cells.position[other] in moved


def test_no_picture_gives_an_empty_table(family: LoadedModel) -> None:
    cells = visual_cells(family, [], [], "id")
    assert len(cells) == 0
    assert cells.box.shape == (0, 4)
    assert cells.frames.shape == (0, 2)


def count(loaded: LoadedModel, tokens: int, shown: Shown) -> Cells:
    return visual_cells(loaded, [shown], [np.arange(tokens)], "sample 7")


EXPECTED = {
    "qwen3_vl": (24, 2 * 24),
    "internvl": (3 * 9, 3 * 9),
    "llava_onevision": (49 + 7 * 15, 3 * 16 + 1),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("wrong", [-1, 0, 1])
def test_tokens_that_disagree_with_the_cells_are_refused(
    families: dict[str, LoadedModel], name: str, wrong: int
) -> None:
    grids = {"image_grid_thw": torch.tensor([[1, 8, 12]]), "video_grid_thw": torch.tensor([[2, 8, 12]])}
    for frames, expected, kind in zip((0, 3), EXPECTED[name], ("image", "clip of 3 frames"), strict=True):
        shown = Shown((96, 48), frames, 0, True, grids)
        if not wrong:
            count(families[name], expected, shown)
            continue
        message = (
            rf"sample 7: item 0 \({kind}, 96 x 48 pixels\) has {expected + wrong} visual tokens in the sequence, "
            f"but the layout of {name} asks for {expected}"
        )
        with pytest.raises(CoreheadError, match=message):
            count(families[name], expected + wrong, shown)


def test_a_processor_that_is_not_the_models_is_refused(families: dict[str, LoadedModel]) -> None:
    loaded = families["internvl"]
    processor = deepcopy(loaded.processor)
    processor.image_seq_length = 4
    with pytest.raises(CoreheadError, match=r"id: item 0 \(image, .* has 4 visual tokens .* asks for 9"):
        encode(replace(loaded, processor=processor), [prompt(noise(48, 48))])


def test_an_unknown_family_is_refused(tiny: LoadedModel) -> None:
    model = deepcopy(tiny.model)
    model.config.model_type = "llama"
    with pytest.raises(CoreheadError, match="No cell table for model type 'llama' yet; known: qwen3_vl"):
        count(replace(tiny, model=model), 24, Shown((96, 64), 0, 0, True, {}))
