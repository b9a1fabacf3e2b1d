"""Images and clips on their way into a model's processor."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from corehead_lib.errors import CoreheadError
from corehead_lib.pictures import rgb
from corehead_lib.samples import Clip, Sample

ROWS = (  # what a processor returns for each text
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "mm_token_type_ids",
    "offset_mapping",
    "text_replacement_offsets",
)


@dataclass(frozen=True)
class Ready:
    """One media item as it is handed over."""

    size: tuple[int, int]  # width, height in pixels
    frames: int  # of a clip; 0 for an image
    source: tuple[int, int]  # width, height before it was shrunk
    image: Image.Image | None = field(default=None, repr=False)  # RGB, upright
    video: np.ndarray | None = field(default=None, repr=False)  # (frames, height, width, 3) uint8
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)


def ready(sample: Sample, max_pixels: int = 0) -> list[Ready]:
    """Make images and all frames of clips RGB, as ``pictures.rgb`` does, and shrink those above ``max_pixels`` (0: none).

    Raises CoreheadError, with the sample's id, for pixels that cannot be read or shown, and if the frames of a
    clip differ in size.
    """
    return [
        _clip(sample, number, item, max_pixels)
        if isinstance(item, Clip)
        else _image(sample, number, item, max_pixels)
        for number, item in enumerate(sample.media)
    ]


def budget(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """Width and height of the largest picture of this shape that has ``max_pixels`` at most; 0: no limit."""
    if max_pixels < 0:
        raise CoreheadError(f"max_pixels={max_pixels}: give a number of pixels, or 0 for no limit.")
    width, height = size
    if not max_pixels or width * height <= max_pixels:
        return size
    shrink = (max_pixels / (width * height)) ** 0.5
    wide = min(max(1, int(width * shrink)), max_pixels)
    return wide, min(max(1, int(height * shrink)), max_pixels // wide)


def _shown(
    sample: Sample, number: int, image: Image.Image, max_pixels: int
) -> tuple[Image.Image, tuple[int, int]]:
    """The picture as it is handed over, and its size before."""
    try:
        picture = rgb(image)
    except Exception as error:  # PIL raises OSError, SyntaxError, struct.error, ... on damaged files
        raise CoreheadError(f"{sample.id}: item {number} cannot be shown: {error}.") from error
    size = budget(picture.size, max_pixels)
    return (picture if size == picture.size else picture.resize(size, Image.Resampling.BICUBIC)), picture.size


def _image(sample: Sample, number: int, image: Image.Image, max_pixels: int) -> Ready:
    picture, source = _shown(sample, number, image, max_pixels)
    return Ready(picture.size, 0, source, image=picture)


def _clip(sample: Sample, number: int, clip: Clip, max_pixels: int) -> Ready:
    shown = [_shown(sample, number, frame, max_pixels) for frame in clip.frames]
    sizes = sorted({source for _, source in shown})
    if len(sizes) > 1:
        raise CoreheadError(f"{sample.id}: the frames of item {number} differ in size: {sizes}.")
    index = list(clip.index or range(len(shown)))
    metadata = {"fps": clip.fps, "total_num_frames": max(index) + 1, "frames_indices": index}
    frames = np.stack([np.asarray(frame) for frame, _ in shown])
    return Ready(frames.shape[2:0:-1], len(shown), sizes[0], video=frames, metadata=metadata)


def limited(processor: ProcessorMixin, max_pixels: int) -> ProcessorMixin:
    """The processor, or where it would enlarge small pictures to many tiles (InternVL), a copy that makes fewer."""
    tile = getattr(processor.image_processor, "size", {})
    if not max_pixels or not hasattr(processor.image_processor, "max_patches"):
        return processor
    processor, made_by = copy(processor), copy(processor.image_processor)
    made_by.max_patches = min(made_by.max_patches, max(1, max_pixels // (tile["height"] * tile["width"])))
    processor.image_processor = made_by
    return processor


def takes_clips_of_any_length(processor: ProcessorMixin) -> bool:
    """Whether one batch may hold clips of different lengths: where patches are packed one after another.

    The other processors stack all clips of a batch, of which InternVL and LLaVA-OneVision count on one length.
    """
    video = getattr(processor, "video_processor", None)
    return video is not None and "video_grid_thw" in video.model_input_names


def process(
    processor: ProcessorMixin, texts: list[str], media: Sequence[Sequence[Ready]], padding_side: str = "left"
) -> BatchFeature:
    """Call the processor on B texts and the media of each, padded on one side, never truncated or sampled.

    Besides the model's inputs, the result holds ``offset_mapping`` (B, T, 2) and
    ``text_replacement_offsets``, which say what became of the text.
    """
    # Some processors take a list that begins with an empty one for numbers, so rows without media go last;
    # as they stand before all others, the order of the media stays the same.
    bare = next((number for number, row in enumerate(media) if row), 0)
    texts = texts[bare:] + texts[:bare]
    images = [[item.image for item in row if item.image is not None] for row in media]
    clips = [item for row in media for item in row if item.video is not None]
    options: dict[str, Any] = {}
    if clips:
        options["videos_kwargs"] = {
            "do_sample_frames": False,
            "video_metadata": [dict(clip.metadata) for clip in clips],
            "input_data_format": "channels_last",  # guessed wrong for frames 3 pixels high
        }
        if hasattr(processor.video_processor, "cap_pixels_per_frame"):  # None would warn
            cap = bool(processor.video_processor.cap_pixels_per_frame)
            options["videos_kwargs"]["cap_pixels_per_frame"] = cap
    made = processor(
        text=texts,
        images=[row for row in images if row] or None,  # nested: LLaVA-OneVision tells one image from several
        videos=[_long_enough(processor, clip) for clip in clips] or None,
        padding=True,
        padding_side=padding_side,
        truncation=False,
        return_tensors="pt",
        return_offsets_mapping=True,
        return_text_replacement_offsets=True,
        **options,
    )
    for name in set(made) & {*ROWS} if bare else ():
        made[name] = [*made[name][-bare:], *made[name][:-bare]]
        if name != "text_replacement_offsets":
            made[name] = torch.stack(made[name])
    return made


def _long_enough(processor: ProcessorMixin, clip: Ready) -> np.ndarray:
    """Repeat the one frame of a clip where frames are taken in pairs; the processor refuses it otherwise."""
    assert clip.video is not None
    shortest = getattr(processor.video_processor, "temporal_patch_size", 1)
    return clip.video if clip.frames >= shortest else np.repeat(clip.video[-1:], shortest, axis=0)
