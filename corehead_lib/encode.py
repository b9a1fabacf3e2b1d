"""Samples to model inputs, with the things that scores need to know about every token."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import BatchFeature

from corehead_lib.cells import Cells, visual_cells
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Sample
from corehead_lib.targets import Overlap, target_tokens


@dataclass(frozen=True)
class Batch:
    """B prompts, padded on the left to T tokens, so that the last prompt token is at T - 1."""

    samples: tuple[Sample, ...]
    inputs: BatchFeature = field(repr=False)
    cells: tuple[Cells, ...] = field(repr=False)
    question: torch.Tensor = field(repr=False)  # (B, T) bool: tokens of the question's own text
    last: torch.Tensor = field(repr=False)  # (B, T) bool: the last prompt token alone
    answers: tuple[tuple[int, ...], ...] = field(repr=False)  # token ids of each gold answer

    @property
    def visual(self) -> torch.Tensor:
        """(B, T) bool: the visual tokens."""
        mask = torch.zeros_like(self.question)
        for row, cells in enumerate(self.cells):
            mask[row, torch.as_tensor(cells.position, device=mask.device)] = True
        return mask

    def targets(self, overlap: Overlap = "any") -> torch.Tensor:
        """(B, T) bool: the tokens that show each sample's evidence. Errors as in ``target_tokens``."""
        length = self.question.shape[1]
        masks = [
            target_tokens(sample.evidence, cells, length, overlap)
            for sample, cells in zip(self.samples, self.cells, strict=True)
        ]
        return torch.from_numpy(np.stack(masks)).to(self.question.device)


def messages(sample: Sample, images: Sequence[Image.Image]) -> list[dict]:
    """Write a sample as one user turn: its images, then its question."""
    content: list[dict] = [{"type": "image", "image": image} for image in images]
    return [{"role": "user", "content": [*content, {"type": "text", "text": sample.question}]}]


def encode(loaded: LoadedModel, samples: Sequence[Sample]) -> Batch:
    """Render, tokenize and pad ``samples`` with the model's real processor.

    Images are rotated by their EXIF flag first, so that boxes refer to what the model sees.
    Raises CoreheadError if a question cannot be found again among the tokens.
    """
    if not samples:
        raise CoreheadError("There are no samples to encode.")
    processor = loaded.processor
    images = [[ImageOps.exif_transpose(image).convert("RGB") for image in s.media] for s in samples]
    text = [
        processor.apply_chat_template(messages(s, pictures), add_generation_prompt=True)
        for s, pictures in zip(samples, images, strict=True)
    ]
    flat = [image for pictures in images for image in pictures]
    inputs = processor(text=text, images=flat or None, padding=True, padding_side="left", return_tensors="pt")
    ids = inputs["input_ids"]
    question = torch.stack(
        [
            _question_tokens(processor.tokenizer, row, t, s)
            for row, t, s in zip(ids, text, samples, strict=True)
        ]
    )
    last = torch.zeros_like(question)
    last[:, -1] = True
    cells, start = [], 0
    grids = inputs.get("image_grid_thw", torch.zeros(0, 3, dtype=torch.long))
    for row, pictures in zip(ids, images, strict=True):
        stop = start + len(pictures)
        cells.append(visual_cells(loaded, row, grids[start:stop], [p.size for p in pictures]))
        start = stop
    answers = tuple(tuple(processor.tokenizer(s.answer)["input_ids"]) for s in samples)
    device = loaded.model.device
    return Batch(
        tuple(samples), inputs.to(device), tuple(cells), question.to(device), last.to(device), answers
    )


def encode_all(loaded: LoadedModel, samples: Sequence[Sample], batch_size: int = 16) -> list[Batch]:
    """Encode in batches, so that a set can be run many times without preprocessing it again."""
    return [encode(loaded, samples[i : i + batch_size]) for i in range(0, len(samples), batch_size)]


def _question_tokens(tokenizer, ids: torch.Tensor, text: str, sample: Sample) -> torch.Tensor:
    """Find the question at the end of the sequence: (T,) bool.

    Everything from the question on is tokenized alone and must equal the sequence's tail, so the
    result does not depend on how many tokens the media became.
    """
    tail_text = text[text.rindex(sample.question) :]
    tail = tokenizer(tail_text, add_special_tokens=False, return_offsets_mapping=True)
    count = len(tail["input_ids"])
    if ids[-count:].tolist() != tail["input_ids"]:
        raise CoreheadError(f"{sample.id}: the question's tokens merge with what stands before it.")
    mask = torch.zeros(len(ids), dtype=torch.bool)
    inside = [start < len(sample.question) for start, _ in tail["offset_mapping"]]
    mask[len(ids) - count :] = torch.tensor(inside)
    return mask
