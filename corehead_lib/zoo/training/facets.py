"""What the cells of a picture show, facet by facet: shape, colour, digit and word; and how well that is told from visual tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy

from corehead_lib.encode import Batch
from corehead_lib.samples import Box
from corehead_lib.worlds.layout import SMALL_WORDS
from corehead_lib.worlds.phrases import TOPICS
from corehead_lib.worlds.sprites import BACKGROUNDS, COLOURS, DIGITS, SHAPES

NONE = "none"
FACETS = {
    "shape": (NONE, *SHAPES),
    "colour": (*BACKGROUNDS, *COLOURS),
    "digit": (NONE, *DIGITS),
    "word": (NONE, *(word for topic in TOPICS.values() for word in topic), *SMALL_WORDS),
}
COVERED = 0.15  # least share of a cell that a thing must cover to be named; below, nothing is asked


@dataclass(frozen=True)
class Picture:
    """An image and what is in it: boxes with their facets; elsewhere it shows ``ground``, a colour."""

    image: Image.Image
    things: tuple[tuple[Box, dict[str, str]], ...]
    ground: str


def facets(name: str, digit: str = NONE) -> dict[str, str]:
    """What a name says: its words are shapes, colours or words; a word is black on paper."""
    known = {facet: [part for part in name.split() if part in FACETS[facet]] for facet in FACETS}
    found = {facet: parts[0] for facet, parts in known.items() if parts}
    return {"shape": NONE, "colour": "white", "word": NONE} | found | {"digit": digit}


def label_cells(batch: Batch, pictures: Sequence[Picture]) -> dict[str, torch.Tensor]:
    """For each facet, the class of each visual token of the batch, one sample after another; -100: not asked."""
    labels: dict[str, list[int]] = {facet: [] for facet in FACETS}
    for cells, picture in zip(batch.cells, pictures, strict=True):
        for x0, y0, x1, y1 in cells.box:
            area = max((x1 - x0) * (y1 - y0), 1e-9)
            shares = [
                max(0, min(x1, b.x1) - max(x0, b.x0)) * max(0, min(y1, b.y1) - max(y0, b.y0)) / area
                for b, _ in picture.things
            ]
            best = max(range(len(shares)), key=shares.__getitem__, default=None)
            empty = {"shape": NONE, "colour": picture.ground, "digit": NONE, "word": NONE}
            if x1 <= x0 or (best is not None and 0 < shares[best] < COVERED):
                seen = {}
            elif best is None or not shares[best]:
                seen = empty if picture.ground else {}
            else:
                seen = picture.things[best][1]
            for facet, classes in FACETS.items():
                labels[facet].append(classes.index(seen[facet]) if facet in seen else -100)
    return {facet: torch.tensor(numbers) for facet, numbers in labels.items()}


def told(
    probes: nn.ModuleDict, seen: torch.Tensor, labels: dict[str, torch.Tensor], loss: torch.Tensor
) -> tuple[torch.Tensor, dict[str, float]]:
    """Ask a linear probe per facet; return ``loss`` with their cross-entropies, and how often each is right where something is shown.

    seen: (N, hidden) visual tokens. labels: (N,) classes of each facet, -100: not asked.
    """
    right = {}
    for facet, probe in probes.items():
        logits = probe(seen)
        loss = loss + cross_entropy(logits, labels[facet])
        asked = labels[facet] > (0 if NONE in FACETS[facet] else -1)  # "none" is easy: judge the rest
        right[facet] = (logits.argmax(-1) == labels[facet])[asked].float().mean().nan_to_num().item()
    return loss, right
