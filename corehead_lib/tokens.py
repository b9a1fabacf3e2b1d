"""How long a prompt will be, and whether a sample can be encoded at all: known before any picture is processed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from transformers import ProcessorMixin

from corehead_lib.cells import layout_of
from corehead_lib.cells.table import Shown
from corehead_lib.encode import check_length
from corehead_lib.errors import CoreheadError
from corehead_lib.media import Ready, budget, limited, process
from corehead_lib.models import LoadedModel
from corehead_lib.pictures import check_mode
from corehead_lib.prompt import render
from corehead_lib.samples import Clip, Sample

SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


@dataclass(frozen=True)
class Fitting:
    """Samples that can be encoded, and why the others cannot."""

    samples: list[Sample]
    tokens: list[int]  # of each, about
    refused: dict[str, str] = field(default_factory=dict)  # by id

    def __str__(self) -> str:
        """The estimate, to be read before a run."""
        said = (
            f"{len(self.tokens)} prompts of about {min(self.tokens):,} to {max(self.tokens):,} tokens, "
            f"{sum(self.tokens):,} in all"
        )
        if not self.refused:
            return f"{said}; none is refused."
        return f"{said}. {len(self.refused)} refused and left out, the first: {next(iter(self.refused.values()))}"


def fitting(loaded: LoadedModel, samples: Sequence[Sample], max_pixels: int = 0) -> Fitting:
    """Sort out the samples whose texts, sizes or length the model cannot take, so that one does not end a run.

    Damaged pixels are not met here, because none is read.

    Raises CoreheadError if no sample is left; it says why the first was refused.
    """
    kept, tokens, refused = [], [], {}
    for sample in samples:
        try:
            length = count_tokens(loaded, sample, max_pixels)
            check_length(loaded, sample.id, length)
        except CoreheadError as error:
            refused[sample.id] = str(error)
        else:
            kept.append(sample)
            tokens.append(length)
    if not kept:
        why = next(iter(refused.values()), "there are none.")
        raise CoreheadError(f"Not one of {len(samples)} samples can be encoded: {why}")
    return Fitting(kept, tokens, refused)


def count_tokens(loaded: LoadedModel, sample: Sample, max_pixels: int = 0) -> int:
    """Tokens of a prompt and its answer: exact for text and images, within a few per frame for clips.

    Raises CoreheadError, with the sample's id, for what ``encode`` would refuse for its text, kind or size.
    """
    processor, tokenizer = loaded.processor, loaded.processor.tokenizer
    loaded = replace(loaded, processor=limited(processor, max_pixels))
    length = len(tokenizer(render(processor, sample).text)["input_ids"])
    length += len(tokenizer(sample.answer, add_special_tokens=False)["input_ids"])
    images = sum(not isinstance(item, Clip) for item in sample.media)
    for number, item in enumerate(sample.media):
        frames = 0
        if isinstance(item, Clip):  # one frame alone is shown twice where they are taken in pairs
            shortest = getattr(getattr(processor, "video_processor", None), "temporal_patch_size", 1)
            frames = max(len(item.frames), shortest)
        try:
            size = budget(_size(item.frames[0] if isinstance(item, Clip) else item), max_pixels)
            shown = _visual(loaded, Shown(size, frames, 0, images == 1, {}))
        except Exception as error:  # whatever a processor of any family raises
            raise CoreheadError(f"{sample.id}: item {number} cannot be shown: {error}.") from error
        length += shown - 1 + _text_around(processor, frames)  # its placeholder is counted already
    return length


def _size(image: Image.Image) -> tuple[int, int]:
    check_mode(image)
    width, height = image.size
    return (height, width) if image.getexif().get(0x0112) in SIDEWAYS else (width, height)


def _text_around(processor: ProcessorMixin, frames: int) -> int:
    """Tokens of text that the processor adds to an image, or to a clip of so many frames, about."""
    if not frames:
        return _measured(processor, 0)
    few, more = (_measured(processor, number) for number in (4, 8))
    return round(few + (more - few) * (frames - 4) / 4)


@lru_cache(maxsize=64)
def _measured(processor: ProcessorMixin, frames: int) -> int:
    """The same, of a small black one that is processed for real."""
    size, black = (64, 64), np.zeros((frames, 64, 64, 3), dtype=np.uint8)
    metadata = {"fps": 1.0, "total_num_frames": frames, "frames_indices": list(range(frames))}
    image = Ready(size, 0, size, image=Image.new("RGB", size))
    item = Ready(size, frames, size, video=black, metadata=metadata) if frames else image
    marks = [processor.image_token, getattr(processor, "video_token", None) or processor.image_token]
    made = process(processor, [marks[1] if frames else marks[0]], [[item]])["input_ids"][0]
    visual = torch.tensor(processor.tokenizer.convert_tokens_to_ids(marks))
    return int((~torch.isin(made, visual)).sum())


def _visual(loaded: LoadedModel, item: Shown) -> int:
    """Tokens of one media item: by asking the processor where it decides on a grid, else by the family's layout."""
    kind = "video_processor" if item.frames else "image_processor"
    made_by, (width, height) = getattr(loaded.processor, kind), item.size
    if item.frames and hasattr(made_by, "get_num_of_video_patches"):
        return made_by.get_num_of_video_patches(item.frames, height, width, {}) // made_by.merge_size**2
    if not item.frames and hasattr(made_by, "merge_size"):
        return made_by.get_number_of_image_patches(height, width, {}) // made_by.merge_size**2
    return layout_of(loaded.model.config.model_type)(loaded, item).tokens
