"""The target tokens of ``targets_paper.py`` beside the exact ones: how many are wrong, and what heads score on them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from corehead_lib import targets_paper as paper
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import HeadScores, agreement, how_many
from corehead_lib.models import LoadedModel
from corehead_lib.ram import mass
from corehead_lib.samples import Clip, Frames, Pages, Sample, TextSpan

EXACT = "exact cells"
PAPER = ("uniform slices", "cumulative offsets", "tags")  # as the paper has them, read with charity
THUMBNAILS = "offsets without thumbnails"
BETWEEN, FIRST, PLAIN = "tags, all between", "tags, first pair alone", "tags, in the plain prompt"
SEARCH = "search for the needle"


@dataclass(frozen=True)
class Found:
    """What one way of finding target tokens gives on S samples."""

    tokens: np.ndarray  # (S,) int, tokens that it takes
    wrong: np.ndarray  # (S,) int, those of them that show no evidence
    missed: np.ndarray  # (S,) int, tokens that show evidence and are not taken
    mass: np.ndarray  # (S, layers, heads), attention on what it takes

    @property
    def share_wrong(self) -> np.ndarray:
        """(S,) of the tokens that it takes; 1 where it takes none."""
        return np.where(self.tokens > 0, self.wrong / np.maximum(self.tokens, 1), 1.0)

    @property
    def share_missed(self) -> np.ndarray:
        """(S,) of the tokens that show evidence."""
        return self.missed / (self.tokens - self.wrong + self.missed)


def units(sample: Sample) -> tuple[int, list[int]]:
    """Count what the paper slices, pages or the frames of the one clip, and name those that are evidence.

    Raises CoreheadError for evidence of another kind.
    """
    pages = [piece for piece in sample.evidence if isinstance(piece, Pages)]
    ranges = [piece for piece in sample.evidence if isinstance(piece, Frames)]
    if len(pages) == len(sample.evidence) > 0:
        return len(sample.media), sorted({index for piece in pages for index in piece.index})
    if len(ranges) == len(sample.evidence) > 0 and len(sample.media) == 1:
        (clip,) = sample.media
        assert isinstance(clip, Clip)
        return len(clip.frames), sorted({f for piece in ranges for f in range(piece.start, piece.stop)})
    raise CoreheadError(f"{sample.id}: the paper's algorithms know whole pages, or frames of one clip.")


def placeholders(loaded: LoadedModel, batch: Batch, row: int) -> np.ndarray:
    """The places of all visual tokens of one sample, newlines included, as the paper scans for them."""
    config = loaded.model.config
    kinds = [config.image_token_id, getattr(config, "video_token_id", config.image_token_id)]
    return np.flatnonzero(np.isin(batch.inputs["input_ids"][row].cpu().numpy(), kinds))


def blocks(loaded: LoadedModel, sample: Sample, thumbnail: bool = True) -> list[int] | None:
    """Blocks of each page or frame, as the processor counts them; None if the family has none."""
    if _per_block(loaded) is None:
        return None
    made_by = loaded.processor.image_processor
    if isinstance(sample.media[0], Clip) or not hasattr(made_by, "get_number_of_image_patches"):
        return [1] * units(sample)[0]
    counts = [
        made_by.get_number_of_image_patches(item.height, item.width, {"crop_to_patches": True})
        for item in sample.media
        if not isinstance(item, Clip)
    ]
    return counts if thumbnail else [max(1, count - 1) for count in counts]


def paper_targets(loaded: LoadedModel, batch: Batch) -> dict[str, torch.Tensor]:
    """Target tokens (B, T) by counting visual tokens, per way; cumulative offsets only where there are blocks."""
    counted = [blocks(loaded, sample) for sample in batch.samples]
    bare = [blocks(loaded, sample, thumbnail=False) for sample in batch.samples]
    found: dict[str, list[np.ndarray]] = {"uniform slices": []}
    for row, sample in enumerate(batch.samples):
        visual, (count, wanted) = placeholders(loaded, batch, row), units(sample)
        found["uniform slices"].append(paper.uniform_slices(visual, count, wanted))
        for name, number in (("cumulative offsets", counted[row]), (THUMBNAILS, bare[row])):
            if number is not None and (name == "cumulative offsets" or bare != counted):
                places = paper.cumulative_offsets(visual, number, _per_block(loaded) or 0, wanted)
                found.setdefault(name, []).append(places)
    return {name: _mask(batch, places) for name, places in found.items()}


def tagged_targets(loaded: LoadedModel, batch: Batch) -> tuple[Batch, dict[str, torch.Tensor], torch.Tensor]:
    """Write tags around the evidence, pages or a span of text, and scan for them.

    Returns the tagged batch; the tokens (B, T') found in it: "tags" are the visual tokens between every pair, or
    all tokens if the evidence is text; and the places of "tags" taken in the plain prompts, (B, T), unmoved.
    Raises CoreheadError for clips, between whose frames no text can be written.
    """
    if any(isinstance(item, Clip) for sample in batch.samples for item in sample.media):
        raise CoreheadError("Tags go around images; hand the frames of a clip over one by one (as_images).")
    text = _in_text(batch)
    written = [paper.tagged_span(s) if text else paper.tagged(s, units(s)[1]) for s in batch.samples]
    marked = encode(loaded, written)
    start, end = (loaded.processor.tokenizer(tag)["input_ids"] for tag in (paper.START, paper.END))
    ids = marked.inputs["input_ids"].cpu().numpy()
    between = [paper.boundary_tags(row, start, end) for row in ids]
    found = {"tags": between}
    if not text:
        visual = [placeholders(loaded, marked, row) for row in range(len(ids))]
        first = [paper.boundary_tags(row, start, end, pairs=1) for row in ids]
        found = {"tags": [*map(np.intersect1d, between, visual)], BETWEEN: between}
        found[FIRST] = [*map(np.intersect1d, first, visual)]
    before, after = (b.inputs["attention_mask"].argmax(1).tolist() for b in (batch, marked))  # padding
    plain = [at - was + now for at, was, now in zip(found["tags"], after, before, strict=True)]
    unmoved = _mask(batch, [at[at < batch.question.shape[1]] for at in plain])
    return marked, {name: _mask(marked, places) for name, places in found.items()}, unmoved


def searched_targets(loaded: LoadedModel, batch: Batch) -> torch.Tensor:
    """Needles in text: the tokens (B, T) that a search for each needle's own tokens finds."""
    hits = []
    for sample, ids in zip(batch.samples, batch.inputs["input_ids"].cpu().numpy(), strict=True):
        (span,) = (piece for piece in sample.evidence if isinstance(piece, TextSpan))
        text = sample.context[span.start : span.stop]
        needle = loaded.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        hits.append(paper.searched(ids, needle))
    return _mask(batch, hits)


def compare(
    loaded: LoadedModel, batches: Iterable[Batch], queries: Literal["question", "last"] = "last"
) -> dict[str, Found]:
    """Find target tokens in every way that can be taken, and measure heads on each; EXACT among them.

    PAPER names the paper's ways; the others are what goes wrong when these are used otherwise. What counts as exact
    is always the evidence's cells in the prompt that is run, the tagged one for tags.
    """
    parts: dict[str, list[list[np.ndarray]]] = {}

    def note(run: Batch, found: dict[str, torch.Tensor]) -> None:
        exact = run.targets()
        masses = mass(loaded, run, torch.stack(list(found.values())), queries)
        for (name, target), of_heads in zip(found.items(), masses, strict=True):
            counts = [target, target & ~exact, exact & ~target]
            row = [count.sum(-1).cpu().numpy() for count in counts] + [of_heads]
            parts.setdefault(name, []).append(row)

    for batch in batches:
        text = _in_text(batch)
        more = {SEARCH: searched_targets(loaded, batch)} if text else paper_targets(loaded, batch)
        plain = {EXACT: batch.targets(), **more}
        if not any(isinstance(item, Clip) for sample in batch.samples for item in sample.media):
            marked, there, plain[PLAIN] = tagged_targets(loaded, batch)
            note(marked, there)
        note(batch, plain)
    return {
        name: Found(*(np.concatenate(column) for column in zip(*rows, strict=True)))
        for name, rows in parts.items()
    }


def summary(found: dict[str, Found], fraction: float, **labels: str) -> list[dict[str, str | float]]:
    """One row for each way: means over samples, and what it does to the top ``fraction`` of heads; ``labels`` go first."""
    truth = found[EXACT].mass.mean(0)
    lead, top = HeadScores(truth).ranking()[0], how_many(fraction, truth.size)
    rows: list[dict[str, str | float]] = []
    for way, f in found.items():
        score = f.mass.mean(0)
        ranks = np.ptp(truth) > 0 and np.ptp(score) > 0  # equal scores rank nothing
        like = agreement(HeadScores(truth), HeadScores(score), top) if ranks else None
        row = {"tokens": f.tokens.mean(), "wrong": f.share_wrong.mean(), "missed": f.share_missed.mean()}
        row |= {"wrong_tokens": f.wrong.mean(), "missed_tokens": f.missed.mean()}
        row |= {"ram_best": score[lead], "spearman": like.spearman if like else 0.0}
        row["top_shared"] = like.shared / top if like else 0.0
        rows.append({**labels, "way": way, **{name: float(value) for name, value in row.items()}})
    return rows


def _per_block(loaded: LoadedModel) -> int | None:
    """Visual tokens of one block, under the names that processors have for it."""
    names = ("image_seq_length", "num_image_tokens")
    return next((getattr(loaded.processor, n) for n in names if hasattr(loaded.processor, n)), None)


def _in_text(batch: Batch) -> bool:
    return all(isinstance(piece, TextSpan) for sample in batch.samples for piece in sample.evidence)


def _mask(batch: Batch, places: Iterable[np.ndarray]) -> torch.Tensor:
    mask = torch.zeros_like(batch.question)
    for row, found in enumerate(places):
        mask[row, torch.as_tensor(found, dtype=torch.long, device=mask.device)] = True
    return mask
