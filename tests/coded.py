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

from corehead_lib.encode import Batch
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
    """Stands in for Qwen3-VL's tower, which merges merge**2 patches that follow one another."""

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
    if model.config.model_type == "qwen3_vl":
        model.model.visual = MergedMeans(vision.spatial_merge_size, vision.temporal_patch_size, hidden)
    else:
        square = vision.patch_size if isinstance(vision.patch_size, int) else vision.patch_size[0]
        model.model.vision_tower = Means(square, extra=int(model.config.model_type == "internvl"))
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
