"""Checks of chapter 01."""

from dataclasses import replace

from corehead_lib.course import Expected, exercise, same
from corehead_lib.encode import encode_all
from corehead_lib.ram import measure_ram
from corehead_lib.samples import Box


@exercise("ex-ram-read", "answer = ...  # one number")
def read(on_target, layer, head, batch) -> Expected:
    row = on_target[layer, head].float()
    asked, last = row[batch.question[0]], float(row[batch.last[0]].mean())
    mistakes = {
        "That is the bar of the last token, which is no token of the question.": last,
        "That is the longest bar of the question. RAM is a mean over all of its tokens.": float(asked.max()),
        "You added the bars up. Divide by how many tokens the question has, the short bars too.": float(
            asked.sum()
        ),
    }
    return Expected(float(asked.mean()), "Most words of the question pull the mean down.", mistakes, 0.04)


@exercise("ex-ram-hand", "answer = ...  # three numbers: RAM, selectivity, lift")
def hand(attention) -> Expected:
    row = attention[2]
    mass, picture, both = row[1], row[:3].sum(), row[1] + row[2]
    part = mass / picture
    mistakes = {
        "This is still the target of two cells: only the second shows the star.": (
            both,
            both / picture,
            both / picture * 1.5,
        ),
        "Lift divides by the star's share of the cells, and that is smaller now.": (mass, part, part * 1.5),
        "Selectivity is a part of what the picture gets, not of the whole row.": (mass, mass, mass * 3),
    }
    return Expected((mass, part, part * 3), "RAM falls with the target, lift need not.", mistakes)


@exercise("ex-ram-size", "answer = ...  # two numbers: RAM, lift")
def size(loaded, samples, how, views, core) -> Expected:
    def widened(sample, by=16):
        wide, high = sample.media[0].size
        boxes = [
            Box(max(b.x0 - by, 0), max(b.y0 - by, 0), min(b.x1 + by, wide), min(b.y1 + by, high))
            for b in sample.evidence
        ]
        return replace(sample, evidence=tuple(boxes))

    wide = measure_ram(loaded, encode_all(loaded, [*map(widened, samples)], **how), "last")
    ram, lift = (float(score[core[0]]) for score in (wide.ram, wide.lift))
    drawn = views["last"]
    mistakes = {
        "These are the boxes as they were drawn. Encode the widened samples anew.": (
            float(drawn.ram[core[0]]),
            float(drawn.lift[core[0]]),
        ),
        "These are means over all heads; take `core[0]` alone.": (
            float(wide.ram.mean()),
            float(wide.lift.mean()),
        ),
    }
    return Expected((ram, lift), "More mass, and less than the size would give.", mistakes, 0.05)


@exercise("ex-ram-control", "answer = ...  # one number: the mean RAM of the top heads on your target")
def control(own, other, core) -> Expected:
    def fine(answer):
        return 0 <= float(answer) < own / 2 and not same(answer, other, 1e-6)

    mistakes = {
        "That is their RAM on the evidence itself.": own,
        "That is this page's control, another question. Find one that keeps the question.": other,
        "That is a sum over the heads; take their mean.": own * len(core),
    }
    why = "They look there less than half as much. What does your control rule out, and what not?"
    return Expected(own / 4, why, mistakes, 1e-6, fine)
