"""Checks of chapter 03."""

from dataclasses import replace

import numpy as np

from corehead_lib.course import Expected, exercise
from corehead_lib.encode import encode_all
from corehead_lib.ram import measure_ram
from corehead_lib.samples import Pages


@exercise("ex-document-read", "answer = ...  # two factors: even attention, best head")
def read(lengths) -> Expected:
    at = lengths[["even attention", "best head"]]
    fall = (at.iloc[0] / at.iloc[-1]).to_numpy()
    mistakes = {
        "Those are differences; a factor is a quotient.": (at.iloc[0] - at.iloc[-1]).to_numpy(),
        "You divided the end by the beginning. By what must one divide the first to get the last?": 1 / fall,
    }
    return Expected(fall, "A head that searches falls far less than one that spreads.", mistakes, 0.15)


@exercise("ex-document-even", "answer = ...  # three numbers, for 2, 5 and 10 pages")
def even() -> Expected:
    pages = np.array([2, 5, 10])
    mistakes = {
        "That is the number of pages; the share of one of them is asked for.": pages,
        "That is lift. Even attention has a lift of 1, whatever the target's size; RAM is asked for.": pages
        / pages,
    }
    return Expected(1 / pages, "It is one over the number of pages.", mistakes)


@exercise("ex-document-off", "answer = ...  # two numbers: the best head's RAM, even attention")
def off(loaded, own, batch_size, best) -> Expected:
    def moved(by):
        pages = [(s.evidence[0].item + by) % len(s.media) for s in own]
        some = [replace(s, evidence=(Pages((p,)),)) for s, p in zip(own, pages, strict=True)]
        found = measure_ram(loaded, encode_all(loaded, some, batch_size), "last")
        return float(found.ram[best]), float(found.share.mean()), float(found.lift[best])

    *right, lift = moved(1)
    mistakes = {
        "The evidence is still where it was: put the next page in its place.": moved(0)[:2],
        "That is lift; RAM is asked for.": (lift, right[1]),
    }
    return Expected(right, "A best head far below even attention speaks against the annotation.", mistakes)
