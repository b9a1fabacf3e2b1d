"""Checks of chapter 13."""

from dataclasses import replace

import numpy as np
from PIL import Image

from corehead_lib.course import Expected, exercise, unlike
from corehead_lib.data import load_samples
from corehead_lib.encode import encode
from corehead_lib.samples import Pages, Sample
from corehead_lib.targets_compare import EXACT, placeholders
from corehead_lib.targets_paper import END, START, tagged


@exercise(
    "ex-paper-equal", "answer = ...  # a dict from kind of evidence to its largest share of wrong tokens"
)
def equal(ways) -> Expected:
    slices = ways[ways["way"] == "uniform slices"].groupby("kind")
    worst = slices["wrong"].max().to_dict()
    mistakes = {
        "Those are means over families; a way that fails in one of them is not safe.": slices["wrong"]
        .mean()
        .to_dict(),
        "Those are target tokens that were missed; wrong ones are asked for.": slices["missed"]
        .max()
        .to_dict(),
        "Those are the smallest shares.": slices["wrong"].min().to_dict(),
        "Those are shares of right tokens.": {kind: 1 - share for kind, share in worst.items()},
    }
    why = "What passes with equal items may know nothing of items."
    return Expected(worst, why, unlike(worst, mistakes))


@exercise("ex-paper-slices", "answer = ...  # two shares: wrong, missed")
def slices(frames=5, each=9) -> Expected:
    tokens = each * -(-frames // 2)
    right = [token // each * 2 < 4 for token in range(tokens)]  # pairs 0-1 and 2-3 hold frames 1 to 3

    def shares(run, first=1):
        taken = range(round(first * run), round((first + 3) * run))
        hits = sum(right[t] for t in taken)
        return 1 - hits / len(taken), 1 - hits / sum(right)

    value = shares(tokens // frames)
    mistakes = {
        "Slices have whole numbers of tokens: 27 // 5, and the rest is dropped.": shares(tokens / frames),
        "You counted frames from one; the first is frame 0.": shares(tokens // frames, 0),
        "The second is a share of the right tokens, not of those that are taken.": (
            value[0],
            value[1] * sum(right) / (3 * (tokens // frames)),
        ),
    }
    return Expected(
        value, "It misses the beginning and runs over the end, and says neither.", mistakes, 0.006
    )


@exercise("ex-paper-two", "answer = ...  # two numbers: share missed, tokens more")
def two(loaded, seed) -> Expected:
    one = loaded[0]
    (six,) = load_samples("documents", "detection", 1, seed, pages=(6, 6), level="page")
    asked = replace(six, evidence=(Pages((1, 4)),))
    length = encode(one, [asked]).question.shape[1]
    marked = encode(one, [tagged(asked, [1, 4])])
    text = one.processor.tokenizer.decode(marked.inputs["input_ids"][0])
    cells = marked.cells[0]
    ids = marked.inputs["input_ids"][0].tolist()
    places = [len(one.processor.tokenizer.decode(ids[:n])) for n in range(len(ids) + 1)]
    first, last = text.index(START) + len(START), text.index(END)
    inside = [n for n in range(len(ids)) if first <= places[n] and places[n + 1] <= last]
    needed = cells.position[np.isin(cells.item, (1, 4))]
    missed, more = 1 - np.isin(needed, inside).mean(), len(ids) - length
    half = encode(one, [tagged(asked, [1])]).question.shape[1] - length
    mistakes = {
        "That is for tags around one page; write them around both.": (0, half),
        "Tags around both pages lengthen the prompt by more.": (missed, half),
        "It finds no more than one pair of tags. Compare with the tokens of both pages.": (0, more),
        "The second is the length of the prompt; by how many tokens did it grow?": (missed, len(ids)),
    }
    why = "It finds one page, and is silent about the other."
    return Expected((missed, more), why, unlike((missed, more), mistakes))


@exercise("ex-paper-notice", "answer = ...  # two whole numbers: faulty rows, those that rank like the exact")
def notice(ways) -> Expected:
    rows = ways[ways["way"] != EXACT].to_dict("records")

    def count(fault, like=0.9):
        bad = [row for row in rows if fault(row)]
        return len(bad), sum(row["spearman"] > like for row in bad)

    right = count(lambda row: max(row["wrong"], row["missed"]) > 0.1)
    every = [row for row in rows if row["spearman"] > 0.9]
    mistakes = {
        "Rows that miss evidence are faulty, too.": count(lambda row: row["wrong"] > 0.1),
        "Rows that take wrong tokens are faulty, too.": count(lambda row: row["missed"] > 0.1),
        "A row is faulty already if one of the two is too large.": count(
            lambda row: min(row["wrong"], row["missed"]) > 0.1
        ),
        "The second counts faulty rows alone.": (right[0], len(every)),
        "The second counts those that do *not* rank like the exact cells.": (right[0], right[0] - right[1]),
        "The exact cells are no way of the paper.": (len(ways), len(every) + len(ways) - len(rows)),
    }
    why = "The second counts targets that nobody would have doubted."
    return Expected(right, why, unlike(right, mistakes, 0), 0)


@exercise("ex-paper-break", "answer = ...  # three pairs of width and height, in pixels")
def hard(families) -> Expected:
    def wrong(sizes, one):
        pages = tuple(Image.new("RGB", size) for size in sizes)
        batch = encode(one, [Sample("three", "break", "Which digit?", "1", pages, (Pages((1,)),))])
        visual, own = placeholders(one, batch, 0), batch.cells[0]
        run = len(visual) // 3
        return 1 - np.isin(visual[run : 2 * run], own.position[own.item == 1]).mean()

    def fine(answer):
        sizes = np.asarray(answer, float)
        if (sizes % 1).any() or sizes.min() < 16 or sizes.max() > 512:
            return False
        return max(wrong(sizes.astype(int).tolist(), one) for one in families.values()) >= 0.5

    mistakes = {
        "Pages of one size are what the slices count on.": [(96, 96)] * 3,
        "That is the right direction; go much further.": [(96, 96), (96, 96), (128, 96)],
        "That is the chapter's way, every other page twice as wide; make the sizes more unequal.": [
            (192, 96),
            (96, 96),
            (192, 96),
        ],
    }
    why = "It takes one item that is unlike the others: would it be in your test?"
    mistakes = {said: sizes for said, sizes in mistakes.items() if not fine(sizes)}
    return Expected([(384, 96), (96, 96), (96, 96)], why, mistakes, 1e-9, fine)
