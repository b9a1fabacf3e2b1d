"""Checks of chapter 04."""

from itertools import combinations

import numpy as np
import torch

from corehead_lib.course import Expected, exercise, same, unlike
from corehead_lib.data import load_samples
from corehead_lib.encode import encode
from corehead_lib.ram import mass
from corehead_lib.samples import Frames
from corehead_lib.targets import target_cells


@exercise("ex-video-read", "answer = ...  # three distances: box, frames under any, frames under all")
def read(policies) -> Expected:
    head, even, lowest = (policies.loc[n].to_numpy() for n in ("best head", "even attention", "lowest head"))
    mistakes = {
        "Those are the best head's RAM; subtract what even attention has.": head,
        "Those are quotients; a distance is a difference.": head / even,
        "That is the distance from the lowest head, the squares.": head - lowest,
    }
    why = "Size gives RAM; the distance is what the head adds."
    return Expected(head - even, why, unlike(head - even, mistakes, 0.05), 0.05)


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
        "Those are the ranges for which both policies take the same.": (36 - differ, outside),
    }
    why = "Only ranges that cut a pair depend on the policy."
    return Expected((differ, outside), why, unlike((differ, outside), mistakes, 0), 0)


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


@exercise("ex-video-late", "answer = ...  # two numbers: RAM on the late target, its share of wrong tokens")
def late(loaded, made, best) -> Expected:
    found = []
    for batch in made["frames"]:
        masks = torch.zeros_like(batch.visual).repeat(2, 1, 1)
        for row, (sample, cells) in enumerate(zip(batch.samples, batch.cells, strict=True)):
            (event,), number = sample.evidence, int(cells.frames.max())
            moved = [min(frame + 1, number - 1) for frame in range(event.start, event.stop)]
            shown = np.array([not set(range(*pair)).isdisjoint(moved) for pair in cells.frames.tolist()])
            masks[0, row, cells.position[target_cells(sample.evidence, cells)]] = True
            masks[1, row, cells.position[shown]] = True
        right, taken = masks
        ram = torch.from_numpy(mass(loaded, batch, masks, "last")[:, :, *best])
        shares = [(m.sum(1) / taken.sum(1)).cpu() for m in (taken & ~right, taken & right)]
        missed = ((right & ~taken).sum(1) / right.sum(1)).cpu()
        found.append(torch.stack([*ram, *shares, missed]))
    before, reads, wrong, kept, missed = torch.cat(found, dim=1).double().mean(1).tolist()
    mistakes = {
        "That is RAM on the events as they were.": (before, wrong),
        "The second is the share of tokens that are still right.": (reads, kept),
        "The second is the share of the right tokens that you miss; which part of yours is wrong?": (
            reads,
            missed,
        ),
    }
    why = "Beside the right target it is a change; alone, it is just a number."
    return Expected((reads, wrong), why, unlike((reads, wrong), mistakes, 0.005), 0.005)


@exercise("ex-video-own", "answer = ...  # two numbers: RAM on your target, even attention to it")
def own(policies) -> Expected:
    rows = ["best head", "even attention"]
    box, frames = (tuple(policies.loc[rows, name]) for name in ("box", "frames, any"))
    mistakes = {
        "That is the evidence itself.": box,
        "Those frames hold the evidence; leave its tokens out.": frames,
        "That is the lowest head on the evidence; measure the best one on something else.": (
            policies.loc["lowest head", "box"],
            box[1],
        ),
    }

    def fine(answer):
        ram, even = map(float, answer)
        return 0 <= ram <= 1 and 0 < even < 1 and not any(same(answer, m, 1e-6) for m in mistakes.values())

    why = "Near even attention, what your control shares with the evidence does not draw the head; far above, it does."
    return Expected((box[1], box[1]), why, mistakes, 1e-6, fine)
