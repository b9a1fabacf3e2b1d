"""What the explorer shows of a sample, whatever heads do: its pictures with their cells and evidence, and its text in tokens."""

from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from corehead_lib.cells.table import Cells
from corehead_lib.encode import Batch
from corehead_lib.media import Ready, ready
from corehead_lib.prompt import pieces
from corehead_lib.samples import Box, Sample, lies_in

SIDE = 320  # pixels of a picture's longer side, at most
SMALL = 10_000  # bytes up to which a picture is kept without loss


def shown_of(batch: Batch) -> dict[str, Any]:
    """Everything about the one sample of a batch that does not depend on heads; cells are numbered as in Batch.source."""
    sample, cells, source = batch.samples[0], batch.cells[0], batch.source[0].cpu().numpy()
    number = np.cumsum(source) - 1  # of the cell or token at each place
    pictures = [p for i, item in enumerate(ready(sample)) for p in _pictures(sample, cells, i, item, number)]
    parts = pieces(sample.context, batch.context[0])
    text = [[part, -1 if place < 0 else int(number[place])] for part, place in parts]
    return {"question": f"{sample.question} ({sample.answer})", "pictures": pictures, "text": text}


def _pictures(
    sample: Sample, cells: Cells, item: int, shown: Ready, number: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Each picture of one media item, frame by frame, with its cells and the outlines of the evidence."""
    width, height = shown.size
    frames = [shown.image] if shown.video is None else [Image.fromarray(frame) for frame in shown.video]
    for frame, image in enumerate(frames):
        first, stop = cells.frames.T
        here = (cells.item == item) & (first <= frame) & (frame < stop)
        name = f"frame {frame}" if shown.frames else f"picture {item}" * (len(sample.media) > 1)
        for view in dict.fromkeys(cells.view[here]):
            mine = here & (cells.view == view)
            boxes = [*number[cells.position[mine]].tolist()], np.round(cells.box[mine], 1).tolist()
            assert image is not None
            yield {
                "name": name if view == "main" else f"{name} ({view})".strip(),
                "size": [width, height],
                "src": _address(image),
                "cells": [[place, *box] for place, box in zip(*boxes, strict=True)],
                "evidence": [
                    [*piece.corners] if isinstance(piece, Box) else [0, 0, width, height]
                    for piece in sample.evidence
                    if lies_in(piece, item, frame)
                ],
            }


def _address(image: Image.Image) -> str:
    """A picture as a data address, reduced to SIDE pixels; photographs as JPEG, because PNG would be too large."""
    image = image.copy()
    image.thumbnail((SIDE, SIDE))
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 80})):
        buffer = BytesIO()
        image.save(buffer, kind, **options)
        if len(buffer.getvalue()) <= SMALL:
            break
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}"
