"""What the document datasets share: which pages of a long document to show, and how to ask."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from corehead_lib.data.images import LazyImage
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Evidence, Pages, Sample

PAGES = 16  # of one document, shown at most


def choose_pages(
    id: str, total: int, needed: Sequence[int], most: int, there: Collection[int] | None = None
) -> list[int]:
    """At most ``most`` of ``total`` pages, in order: those needed, the others drawn by the id alone; 0: all.

    there: the pages that can be shown; all of them if None.

    Raises CoreheadError if a needed page does not exist or is not there, or if more are needed than may be shown.
    """
    outside = [page for page in needed if not 0 <= page < total]
    if outside:
        raise CoreheadError(f"missing page: {outside} (from 0) of {total}")
    able = sorted(set(range(total)) if there is None else set(range(total)) & set(there))
    lost = sorted(set(needed) - set(able))
    if lost:
        raise CoreheadError(f"missing picture: evidence is on page {lost} (from 0), which is not there")
    if not most or len(able) <= most:
        return able
    if len(set(needed)) > most:
        raise CoreheadError(f"too many pages: the evidence is on {len(set(needed))}, {most} may be shown")
    others = sorted(set(able) - set(needed))
    rng = np.random.default_rng(int.from_bytes(sha256(id.encode()).digest()[:8]))
    drawn = rng.choice(others, most - len(set(needed)), replace=False).tolist()
    return sorted({*needed, *drawn})


def document_sample(
    id: str,
    task: str,
    question: str,
    answer: str,
    total: int,
    page: Callable[[int], LazyImage],
    evidence: Callable[[dict[int, LazyImage]], tuple[Evidence, ...]] | Sequence[int],
    needed: Sequence[int],
    most: int,
    there: Collection[int] | None = None,
) -> Sample:
    """A question about the chosen pages of a document; ``there`` are those that can be shown, all if None.

    evidence: page numbers of the document, or a function from {page number: picture} to Boxes whose ``item`` is the
        page number of the document; both are renumbered to the pages that are shown.
    """
    shown = choose_pages(id, total, needed, most, there)
    pictures = {number: page(number) for number in shown}
    place = {number: i for i, number in enumerate(shown)}
    pieces: tuple[Evidence, ...]
    if callable(evidence):
        pieces = tuple(
            replace(piece, item=place[piece.item]) for piece in evidence(pictures) if isinstance(piece, Box)
        )
    else:
        pieces = (Pages(tuple(place[number] for number in sorted(set(evidence)))),) if evidence else ()
    return Sample(id, task, question.strip(), answer, tuple(pictures.values()), pieces)
