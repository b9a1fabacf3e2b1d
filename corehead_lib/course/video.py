"""Checks of chapter 04."""

from itertools import combinations

import torch

from corehead_lib.course import Expected, exercise
from corehead_lib.data import load_samples
from corehead_lib.encode import encode
from corehead_lib.ram import mass
from corehead_lib.samples import Frames
from corehead_lib.targets import target_cells


@exercise(
    "ex-video-ranges", "answer = ...  # two whole numbers: ranges that differ, ranges that reach outside"
)
def ranges(loaded, seed) -> Expected:
    clip = load_samples("clips", "evaluation", 1, seed, frames=(8, 8))
    cells, differ, outside = encode(loaded, clip).cells[0], 0, 0
    for start, stop in combinations(range(9), 2):
        either, fully = (target_cells((Frames(start, stop),), cells, groups=g) for g in ("any", "all"))
        differ += int((either != fully).any())
        shown = {frame for pair in cells.frames[fully].tolist() for frame in range(*pair)}
        outside += not shown <= set(range(start, stop))
    mistakes = {
        "The second number counts ranges, too: those for which *all* shows a frame that is not asked for.": (
            differ,
            36 - outside,
        ),
        "*any* reaches outside whenever a pair is cut; the question is about *all*.": (differ, differ),
    }
    return Expected((differ, outside), "Only ranges that cut a pair depend on the policy.", mistakes, 0)


@exercise(
    "ex-video-between",
    "answer = ...  # two numbers: RAM of the target, and of all tokens from its first to its last",
)
def between(loaded, made, best) -> Expected:
    batch = made["frames"][0]
    target = batch.targets()
    filled = torch.zeros_like(target)
    for row, places in zip(filled, (t.nonzero().flatten() for t in target), strict=True):
        row[places[0] : places[-1] + 1] = True
    exact, more = mass(loaded, batch, torch.stack([target, filled]), "last").mean(1)[:, *best].tolist()
    mistakes = {
        "Those are numbers of tokens; RAM is asked for.": [
            float(m.sum(1).float().mean()) for m in (target, filled)
        ],
        "The second is what the tokens in between *add*; give RAM of all of them together.": (
            exact,
            more - exact,
        ),
    }
    return Expected((exact, more), "What is in between is text.", mistakes, 0.002)
