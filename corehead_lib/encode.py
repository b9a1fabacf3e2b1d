"""Samples to model inputs, with the things that scores need to know about every token."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin

from corehead_lib.batches import Batches
from corehead_lib.cells import Cells, visual_cells
from corehead_lib.cells.table import Shown
from corehead_lib.errors import CoreheadError
from corehead_lib.media import Ready, limited, process, ready, takes_clips_of_any_length
from corehead_lib.models import LoadedModel
from corehead_lib.prompt import Located, locate, render
from corehead_lib.samples import Clip, Sample
from corehead_lib.targets import Groups, Overlap, Views, target_tokens


@dataclass(frozen=True)
class Batch:
    """B prompts, padded on the left to T tokens, so that the last prompt token is at T - 1."""

    samples: tuple[Sample, ...]
    inputs: BatchFeature = field(repr=False)
    cells: tuple[Cells, ...] = field(repr=False)
    question: torch.Tensor = field(repr=False)  # (B, T) bool: tokens of the question's own text
    last: torch.Tensor = field(repr=False)  # (B, T) bool: the last prompt token alone
    answers: tuple[tuple[int, ...], ...] = field(repr=False)  # token ids of each gold answer
    context: np.ndarray = field(repr=False)  # (B, T, 2) int64: characters of the context; (0, 0) for none

    @property
    def visual(self) -> torch.Tensor:
        """(B, T) bool: the visual tokens, without newlines and timestamps."""
        mask = torch.zeros_like(self.question)
        for row, cells in enumerate(self.cells):
            mask[row, torch.as_tensor(cells.position, device=mask.device)] = True
        return mask

    @property
    def source(self) -> torch.Tensor:
        """(B, T) bool: all tokens that can be evidence: the visual ones and those of the context's text."""
        text = torch.from_numpy(self.context[..., 0] < self.context[..., 1])
        return self.visual | text.to(self.question.device)

    def targets(
        self, overlap: Overlap = "any", views: Views = "both", groups: Groups = "any"
    ) -> torch.Tensor:
        """(B, T) bool: the tokens that show each sample's evidence. Errors as in ``target_tokens``."""
        masks = []
        for sample, cells, context in zip(self.samples, self.cells, self.context, strict=True):
            try:
                masks.append(target_tokens(sample.evidence, cells, context, overlap, views, groups))
            except CoreheadError as error:
                raise CoreheadError(f"{sample.id}: {error}") from error
        return torch.from_numpy(np.stack(masks)).to(self.question.device)


def encode(loaded: LoadedModel, samples: Sequence[Sample], max_pixels: int = 0) -> Batch:
    """Render, tokenize and pad ``samples`` with the model's real processor.

    Images are made RGB and upright first, so that boxes refer to what the model sees. Clips are handed over
    frame by frame, nothing is sampled from them. Nothing is truncated.

    max_pixels: shrink each picture and frame that has more, keeping its shape; 0 leaves that to the processor. What
        the processor enlarges again counts as before. Boxes and cells stay in pixels of the source.

    Raises CoreheadError if text and media do not fit the model (see ``prompt.render``, ``media.ready``), if the
    processor refuses them, if tokens and cells disagree in number, if a prompt and its answer are longer than the
    model's context, or if the clips of one batch differ in length and the model cannot take that.
    """
    if not samples:
        raise CoreheadError("There are no samples to encode.")
    loaded = replace(loaded, processor=limited(loaded.processor, max_pixels))
    processor, device = loaded.processor, loaded.device
    lengths = {sample.id: _clip_lengths(sample) for sample in samples}
    if len(set().union(*lengths.values())) > 1 and not takes_clips_of_any_length(processor):
        raise CoreheadError(
            f"This model takes clips of one length in a batch, these samples have {lengths} frames; "
            "encode_all keeps samples of other lengths apart."
        )
    prompts = [render(processor, sample) for sample in samples]
    media = [ready(sample, max_pixels) for sample in samples]
    inputs = _process(processor, samples, [prompt.text for prompt in prompts], media)
    offsets, expansions = inputs.pop("offset_mapping").numpy(), inputs.pop("text_replacement_offsets")
    located = [
        locate(prompt, characters, expanded, sample.id)
        for prompt, sample, characters, expanded in zip(prompts, samples, offsets, expansions, strict=True)
    ]
    question = torch.from_numpy(np.stack([found.question for found in located]))
    last = torch.zeros_like(question)
    last[:, -1] = True
    answers = [processor.tokenizer(s.answer, add_special_tokens=False)["input_ids"] for s in samples]
    for sample, tokens, answer in zip(
        samples, inputs["attention_mask"].sum(1).tolist(), answers, strict=True
    ):
        check_length(loaded, sample.id, tokens + len(answer))
    return Batch(
        samples=tuple(samples),
        inputs=inputs.to(device),
        cells=_cells(loaded, samples, inputs, media, located),
        question=question.to(device),
        last=last.to(device),
        answers=tuple(map(tuple, answers)),
        context=np.stack([found.context for found in located]),
    )


def _process(
    processor: ProcessorMixin, samples: Sequence[Sample], texts: list[str], media: list[list[Ready]]
) -> BatchFeature:
    """Call the processor; if it fails, find out on which sample."""
    try:
        return process(processor, texts, media)
    except MemoryError:
        raise
    except Exception as error:  # whatever a processor of any family raises
        for sample, text, items in zip(samples, texts, media, strict=True):
            if len(samples) > 1:
                _process(processor, [sample], [text], [items])
        which = ", ".join(sample.id for sample in samples)
        raise CoreheadError(f"{which}: the model's processor refuses it: {error}.") from error


def check_length(loaded: LoadedModel, name: str, tokens: int) -> None:
    """Raise CoreheadError if ``tokens`` are more than the positions that the language model was made for."""
    context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if context and tokens > context:
        raise CoreheadError(
            f"{name}: the prompt and its answer have {tokens:,} tokens, but the context of {loaded.name} has {context:,}: "
            "use fewer pages or frames, or smaller pictures (max_pixels)."
        )


def encode_all(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    batch_size: int = 16,
    budget: float = 2e9,
    max_pixels: int = 0,
) -> Batches[Batch]:
    """Encode in batches, so that a set can be run many times without preprocessing it again.

    The order is kept. Where a model takes clips of one length in a batch, a sample of another length
    starts a new one. Batches beyond ``budget`` bytes of tensors are not kept but encoded when they are asked for.
    ``tokens.fitting`` says before which samples cannot be encoded.

    Raises CoreheadError as ``encode`` does, and for a batch size below one.
    """
    if batch_size < 1:
        raise CoreheadError(f"batch_size={batch_size}: a batch holds one sample at least.")
    groups: list[list[Sample]] = []
    any_length = takes_clips_of_any_length(loaded.processor)
    for sample in samples:
        fits = bool(groups) and len(groups[-1]) < batch_size
        if fits and not any_length:
            fits = len(set().union(*map(_clip_lengths, [*groups[-1], sample]))) <= 1
        if fits:
            groups[-1].append(sample)
        else:
            groups.append([sample])
    return Batches(groups, partial(encode, loaded, max_pixels=max_pixels), budget)


def _clip_lengths(sample: Sample) -> set[int]:
    return {len(item.frames) for item in sample.media if isinstance(item, Clip)}


def _cells(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    inputs: BatchFeature,
    media: Sequence[Sequence[Ready]],
    located: Sequence[Located],
) -> tuple[Cells, ...]:
    """Tell each sample's family layout which items there are and where their tokens stand."""
    config = loaded.model.config
    visual = [getattr(config, name, -1) for name in ("image_token_id", "video_token_id")]
    ids = inputs["input_ids"].cpu().numpy()
    tables, images, clips = [], 0, 0
    for row, (sample, items, found) in enumerate(zip(samples, media, located, strict=True)):
        alone = sum(not item.frames for item in items) == 1
        shown = []
        for item in items:
            number = clips if item.frames else images
            shown.append(Shown(item.size, item.frames, number, alone, inputs, item.source))
            clips, images = clips + bool(item.frames), images + (not item.frames)
        places = [place[np.isin(ids[row, place], visual)] for place in found.items]
        tables.append(visual_cells(loaded, shown, places, sample.id))
    return tuple(tables)
