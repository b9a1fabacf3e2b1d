"""Pictures that say where each of their pixels stands, and models that hand this on to their language model.

The vision tower and the projector are taken out; in their place, each patch becomes the mean colour of its pixels.
Everything between stays transformers' own: tiling, padding, merging, pixel shuffle, packing, pooling, and
the scatter of features to tokens. So what arrives at a token says which source pixels it came from.
"""

from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from corehead_lib.cells import Cells
from corehead_lib.encode import Batch, encode
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Clip, Media, Sample

NEWLINE = 9.0  # what LLaVA-OneVision's newline says; no colour reaches it


@lru_cache(maxsize=256)
def coded(width: int, height: int, blue: float = 1.0) -> Image.Image:
    """Red says x, green says y, blue as asked; dithered, so that means are finer than the 256 steps of a pixel."""
    y, x = np.mgrid[:height, :width]
    dither = (0.754877666 * x + 0.569840291 * y) % 1
    red, green = 255 * (x + 0.5) / width, 255 * (y + 0.5) / height
    picture = np.stack([red, green, np.full_like(red, 255 * blue)], axis=-1)
    return Image.fromarray(np.floor(np.clip(picture + dither[..., None], 0, 255)).astype(np.uint8))


def coded_clip(width: int, height: int, frames: int) -> Clip:
    """Blue says which frame it is."""
    return Clip([coded(width, height, (frame + 0.5) / frames) for frame in range(frames)], fps=2.0)


def prompt(*media: Media, context: str = "", **given: Any) -> Sample:
    return Sample("id", "task", "Where?", "1", media, context=context, **given)


class Means(torch.nn.Module):
    """Stands in for a vision tower of square patches: the mean colour of each patch, row by row."""

    def __init__(self, patch: int, extra: int) -> None:
        super().__init__()
        self.patch, self.extra = patch, extra  # tokens before the patches, such as [CLS]

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutputWithPooling:
        means = torch.nn.functional.avg_pool2d(pixel_values, self.patch).flatten(2).transpose(1, 2)
        first = torch.full_like(means[:, :1], NEWLINE).expand(-1, self.extra, -1)
        seen = torch.cat([first, means], 1)
        return BaseModelOutputWithPooling(last_hidden_state=seen, hidden_states=(seen,))


class MergedMeans(torch.nn.Module):
    """Stands in for the towers of Qwen2.5-VL and Qwen3-VL, which merge merge**2 patches that follow one another."""

    dtype = torch.float32

    def __init__(self, merge: int, frames: int, hidden: int) -> None:
        super().__init__()
        self.spatial_merge_size, self.frames, self.hidden = merge, frames, hidden

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutputWithDeepstackFeatures:
        patches = pixel_values.reshape(
            -1, self.spatial_merge_size**2, 3, self.frames, pixel_values.shape[1] // 3 // self.frames
        )
        means = widen(patches.mean(dim=(1, 3, 4)), self.hidden)
        return BaseModelOutputWithDeepstackFeatures(pooler_output=means, deepstack_features=[])


class Shuffled(torch.nn.Module):
    """Stands in for a projector: the mean over the patches that a token was made of."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return widen(features.unflatten(-1, (-1, 3)).mean(-2), self.hidden)


def widen(colours: torch.Tensor, hidden: int) -> torch.Tensor:
    return torch.nn.functional.pad(colours, (0, hidden - 3))


def blinded(loaded: LoadedModel) -> LoadedModel:
    """Copy a model, with colours instead of vision."""
    model: Any = deepcopy(loaded.model)
    vision, hidden = model.config.vision_config, model.config.get_text_config().hidden_size
    if hasattr(model.model, "visual"):
        model.model.visual = MergedMeans(vision.spatial_merge_size, vision.temporal_patch_size, hidden)
    else:
        square = vision.patch_size if isinstance(vision.patch_size, int) else vision.patch_size[0]
        first = model.model.vision_tower.embeddings
        has_cls = hasattr(first, "cls_token") or hasattr(first, "class_embedding")
        model.model.vision_tower = Means(square, extra=int(has_cls))
        model.model.multi_modal_projector = Shuffled(hidden)
    if hasattr(model.model, "image_newline"):
        torch.nn.init.constant_(model.model.image_newline, NEWLINE)
    return replace(loaded, model=model)


class Arrived(Exception):
    """Carries what the language model would have got."""


def embeddings(loaded: LoadedModel, batch: Batch) -> torch.Tensor:
    """What the language model gets, (B, T, hidden); it is not run."""

    def stop(_: Any, __: Any, given: dict[str, Any]) -> None:
        raise Arrived(given["inputs_embeds"])

    hook = loaded.model.model.language_model.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with torch.inference_mode():
            loaded.model(**batch.inputs, use_cache=False)
    except Arrived as message:
        return message.args[0]
    finally:
        hook.remove()
    raise AssertionError("the language model was never called")


def arrived(loaded: LoadedModel, batch: Batch) -> np.ndarray:
    """The colours, 0 ... 1, that a blinded model's language model gets: (B, T, 3)."""
    return embeddings(loaded, batch)[..., :3].double().numpy() * 0.5 + 0.5  # mean and std of the processors


def padding(media: tuple[Media, ...]) -> float:
    """The colour of what LLaVA-OneVision pads with: black around one image, grey (127) around several."""
    images = sum(isinstance(item, Image.Image) for item in media)
    return 0.0 if images == 1 else 127 / 255


def check(loaded: LoadedModel, sample: Sample) -> Cells:
    """Compare every cell's box, frames and place with what arrives at its token."""
    batch = encode(loaded, [sample])
    cells, colours = batch.cells[0], arrived(loaded, batch)[0]
    config = loaded.model.config
    ids = batch.inputs["input_ids"][0].numpy()
    assert len(set(cells.position)) == len(cells)
    placeholders = np.isin(ids, [config.image_token_id, getattr(config, "video_token_id", -1)])
    others = np.setdiff1d(np.flatnonzero(placeholders), cells.position)
    np.testing.assert_allclose(colours[others], NEWLINE * 0.5 + 0.5, atol=1e-5)  # only newlines are left out
    for number, item in enumerate(sample.media):
        mine = cells.item == number
        size = np.array(cells.sizes[number])
        assert tuple(size) == (item.frames[0].size if isinstance(item, Clip) else item.size)
        for view in sorted(set(cells.view[mine])):
            rows = mine & (cells.view == view)
            check_cells(
                cells,
                rows,
                colours[cells.position[rows]],
                size,
                item,
                padding(sample.media),
            )
    return cells


def check_cells(
    cells: Cells, rows: np.ndarray, said: np.ndarray, size: np.ndarray, item: Media, pad: float
) -> None:
    """One view of one item: said (n, 3) are the colours of its cells."""
    box = cells.box[rows]
    sides, area = box[:, 2:] - box[:, :2], (box[:, 2:] - box[:, :2]).prod(1)
    assert (box >= -1e-9).all()
    assert (box <= np.tile(size, 2) + 1e-9).all()
    if isinstance(item, Clip):
        frames, total = cells.frames[rows], len(item.frames)
        np.testing.assert_allclose(said[:, 2], frames.mean(1) / total, atol=0.02)
        visible = np.ones(len(box))
    else:
        assert (cells.frames[rows] == [0, 1]).all()
        visible = (said[:, 2] - pad) / (1 - pad)  # the rest of the cell is padding
        if (visible > 0.95).any():
            full = np.median(sides[visible > 0.95], axis=0)
            share = np.minimum(area / full.prod(), 1)  # more than 1 where a cell spans pixels between tiles
            assert np.abs(visible - share).max() < 0.35
    seen = visible > 0.3
    position = (said[seen, :2] - pad * (1 - visible[seen, None])) / visible[seen, None] * size
    middle, side = (box[seen, :2] + box[seen, 2:]) / 2, sides[seen]
    error = np.abs(position - middle) / np.maximum(side, 1)
    assert error.max(initial=0) < 0.5  # the stated place lies in the box, also where resizing blurs the rim
    inner = ((box[seen, :2] > 1) & (box[seen, 2:] < size - 1) & (visible[seen, None] > 0.95)).all(1)
    assert error[inner].max(initial=0) < 0.2  # and well in the middle elsewhere
