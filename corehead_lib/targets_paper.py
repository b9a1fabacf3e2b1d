"""The paper's three ways to find target tokens, as they stand; for comparison, never for measuring.

arXiv 2606.05843, appendix on target tokens: boundary tags (eq. 7, 12, 16), uniform slicing (eq. 14, 18) and
cumulative block offsets. Each counts tokens instead of asking what they show, so each is right only where
its assumptions hold, and silent where they do not. ``targets.py`` is the exact way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Sample, TextSpan

START, END = "<GT_START>", "<GT_END>"


def tagged(sample: Sample, items: Iterable[int], start: str = START, end: str = END) -> Sample:
    """Write the tags around the media items ``items``, in the context; nothing else changes.

    The tagged prompt is longer: what stands behind a tag has moved, and the model reads the tags too.
    Text spans in the evidence would no longer fit, so such a sample is refused with CoreheadError.
    """
    if any(isinstance(piece, TextSpan) for piece in sample.evidence):
        raise CoreheadError(f"{sample.id}: tags would move its text spans.")
    chosen, count = set(items), len(sample.media)
    if not chosen <= set(range(count)):
        raise CoreheadError(f"{sample.id}: items {sorted(chosen)} are not all there: there are {count}.")
    pieces = sample.context.split(MEDIA) if MEDIA in sample.context else [""] * count + [sample.context]
    context = "".join(
        piece + (f"{start}{MEDIA}{end}" if number in chosen else MEDIA)
        for number, piece in enumerate(pieces[:-1])
    )
    return replace(sample, context=context + pieces[-1])


def tagged_span(sample: Sample, start: str = START, end: str = END) -> Sample:
    """Write the tags around the one text span that is the evidence; the span moves along.

    Raises CoreheadError for any other evidence.
    """
    if len(sample.evidence) != 1 or not isinstance(span := sample.evidence[0], TextSpan):
        raise CoreheadError(f"{sample.id}: its evidence is not one span of text.")
    before, inside, behind = (
        sample.context[: span.start],
        sample.context[span.start : span.stop],
        sample.context[span.stop :],
    )
    moved = TextSpan(span.start + len(start), span.stop + len(start))
    return replace(sample, context=before + start + inside + end + behind, evidence=(moved,))


def searched(ids: np.ndarray, needle: Sequence[int]) -> np.ndarray:
    """Take the first place where the needle's tokens stand; none if they do not occur.

    ids: (T,) int. needle: the ids of the needle's text, tokenized by itself. Not the paper's way but a common one.
    Assumes that the tokenizer writes a text alike wherever it stands: not where its first word is one
    token at the start of a text and another one behind a space.
    """
    places = _all(ids, needle)[: len(needle) > 0]
    return np.concatenate([np.arange(0), *(np.arange(at, at + len(needle)) for at in places)])


def boundary_tags(
    ids: np.ndarray, start: Sequence[int], end: Sequence[int], pairs: int | None = None
) -> np.ndarray:
    """Take all tokens between each start tag and the end tag that follows it, the union over the targets.

    ids: (T,) int, the tagged sequence. start, end: the token ids of the tags. pairs: stop after so many; 1 is the
    arg max of equation 7 taken by the letter, which finds the first of equal tags alone.
    Returns places in the *tagged* sequence, ascending.

    Assumes that the tags' ids survive between their neighbours (a tag that merged with them is found nowhere), that
    no tag occurs elsewhere in the prompt, that the model is run on the tagged sequence (in the plain one
    everything behind a tag stands elsewhere), and that tags do no harm there (in Qwen's video a tag between
    the tokens of a frame breaks its positions). Markers and timestamps between the tags are taken, too.
    """
    opened, closed = _all(ids, start) + len(start), _all(ids, end)
    spans = [np.arange(at, stop) for at in opened[:pairs] for stop in closed[closed >= at][:1]]
    return np.concatenate([np.arange(0), *spans])


def uniform_slices(visual: np.ndarray, count: int, targets: Iterable[int]) -> np.ndarray:
    """Cut the M visual tokens into ``count`` equal runs of M // count, and take the targets' runs.

    visual: (M,) int, the places of all visual tokens in the sequence. count: images, pages or frames.
    Returns places in the sequence, ascending.

    Assumes that every item has as many tokens as every other: that images are of one size, without
    tiles that depend on it; that each frame has tokens of its own (Qwen3-VL's stand for two); that
    M is a multiple of count (LLaVA-OneVision's newline behind a clip makes it odd; the rest is dropped).
    """
    run = len(visual) // count
    places = [visual[target * run : (target + 1) * run] for target in sorted(set(targets))]
    return np.concatenate([visual[:0], *places])


def cumulative_offsets(
    visual: np.ndarray, blocks: Sequence[int], tokens: int, targets: Iterable[int]
) -> np.ndarray:
    """Give item i the next ``blocks[i] * tokens`` of the visual tokens, and take the targets' runs.

    visual: (M,) int, the places of all visual tokens. blocks: per image or frame, its number of blocks
    (tiles). tokens: per block, 256 in InternVL3.5.
    Returns places in the sequence, ascending.

    Assumes that the blocks are counted as the processor made them (with the thumbnail, where there is
    one), that all blocks have the same tokens (not in LLaVA-OneVision, which unpads, shrinks and adds
    newlines, nor in Qwen, which has no blocks), and that the whole item is the target: where a
    box lies in it cannot be said.
    """
    ends = np.cumsum(np.asarray(blocks, dtype=int) * tokens)
    starts = np.concatenate([[0], ends[:-1]])
    return np.concatenate([visual[:0], *(visual[starts[t] : ends[t]] for t in sorted(set(targets)))])


def _all(ids: np.ndarray, pattern: Sequence[int]) -> np.ndarray:
    """Where ``pattern`` begins, ascending."""
    if len(ids) < len(pattern):
        return np.arange(0)
    windows = np.lib.stride_tricks.sliding_window_view(ids, len(pattern))
    return np.flatnonzero((windows == np.asarray(pattern)).all(axis=1))
