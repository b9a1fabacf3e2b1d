"""Every miniature through loader, processor, cells and targets of three families, against its own pixels.

The pictures are painted black where nothing is asked for and white where the red block is (a whole page or frame where
that is the evidence). What share of white arrives at each visual token is compared with what its cell says it sees.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from coded import arrived, blinded
from mini import BUILDERS
from mini.paint import red_box
from PIL import Image
from scipy.ndimage import maximum_filter

from corehead_lib.datasets import real
from corehead_lib.datasets.mmlongbench import TASKS
from corehead_lib.encode import encode
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Clip, Frames, Media, Pages, Sample, TextSpan

SETS: list[tuple[str, dict[str, Any]]] = [
    ("refcocog", {}),
    ("mmdocir", {"pages": 4}),
    ("mmdocir-layouts", {"pages": 4}),
    ("vidstg", {"frames": 6}),
    ("vidstg-tubes", {"frames": 6}),
    ("mmlongbench", {"tasks": TASKS}),
    ("mmlongbench-doc", {"pages": 4}),
    ("mlvu", {"frames": 4}),
]
SMEAR = 2  # pixels by which lossy pictures may move an edge


@pytest.fixture(scope="module")
def minis(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Sample]]:
    loaded = {}
    for name, options in SETS:
        folder = BUILDERS[name](tmp_path_factory.mktemp(name))
        loaded[name] = real.load(name, data_dir=folder, **options).samples
    return loaded


def mask(sample: Sample, item: int, frame: int | None) -> np.ndarray:
    """(height, width) bool: the pixels that are asked for; for a box, the red ones, wherever the box is."""
    media = sample.media[item]
    image = media.frames[frame or 0] if isinstance(media, Clip) else media
    found = np.zeros((image.height, image.width), dtype=bool)
    for piece in sample.evidence:
        match piece:
            case Box() if piece.item == item and piece.frame in (None, frame):
                try:
                    red = red_box(image)
                except ValueError:  # nothing is red here: the loaders' own tests know this box
                    red = tuple(round(c) for c in (piece.x0, piece.y0, piece.x1, piece.y1))  # type: ignore[assignment]
                found[red[1] : red[3], red[0] : red[2]] = True
            case Pages() if item in piece.index:
                found[:] = True
            case Frames() if piece.item == item and piece.start <= (frame or 0) < piece.stop:
                found[:] = True
    return found


def painted(sample: Sample, white: Any) -> Sample:
    """The sample with pictures that are white where ``white(item, frame)`` says so, (height, width) bool."""

    def picture(item: int, frame: int | None) -> Image.Image:
        return Image.fromarray(np.repeat(white(item, frame)[..., None], 3, axis=2).astype(np.uint8) * 255)

    media: list[Media] = []
    for item, shown in enumerate(sample.media):
        if isinstance(shown, Clip):
            media.append(replace(shown, frames=[picture(item, f) for f in range(len(shown.frames))]))
        else:
            media.append(picture(item, None))
    return replace(sample, media=tuple(media))


def share_of(white: np.ndarray, box: np.ndarray) -> float:
    """Mean of ``white`` (height, width) over a box with broken edges."""
    x0, y0, x1, y1 = box
    columns, rows = np.arange(white.shape[1]), np.arange(white.shape[0])
    wide = np.clip(np.minimum(x1, columns + 1) - np.maximum(x0, columns), 0, None)
    high = np.clip(np.minimum(y1, rows + 1) - np.maximum(y0, rows), 0, None)
    return float(high @ white @ wide / (wide.sum() * high.sum()))


@pytest.mark.parametrize("name", [name for name, _ in SETS])
def test_the_target_is_where_the_evidence_arrives(
    name: str, family: LoadedModel, minis: dict[str, list[Sample]]
) -> None:
    blind, lit = blinded(family), 0
    for sample in minis[name]:
        batch = encode(family, [sample])
        cells = batch.cells[0]
        assert len(set(cells.item)) == len(sample.media), sample.id  # every picture has its tokens
        seen = [piece for piece in sample.evidence if not isinstance(piece, TextSpan)]
        if not seen:
            continue
        target = batch.targets()[0].numpy()
        where = {
            (item, frame): mask(sample, item, frame)
            for item, media in enumerate(sample.media)
            for frame in (range(len(media.frames)) if isinstance(media, Clip) else [None])
        }
        pictures = (
            lambda item, frame, w=where: w[item, frame],
            lambda item, frame, w=where: np.zeros_like(w[item, frame]),
            lambda item, frame, w=where: np.ones_like(w[item, frame]),
        )
        encoded = [encode(family, [painted(sample, white)]) for white in pictures]
        evidence, black, white = (arrived(blind, each)[0, cells.position, 0] for each in encoded)
        visible = white - black  # the rest of the cell is padding
        measured = np.where(visible > 0.3, (evidence - black) / np.maximum(visible, 0.3), np.nan)
        wide = {key: maximum_filter(value, 2 * SMEAR + 1) for key, value in where.items()}
        for i, (position, item, box, frames) in enumerate(
            zip(cells.position, cells.item, cells.box, cells.frames, strict=True)
        ):
            if (box[2:] <= box[:2]).any():  # sees only padding
                assert not target[position]
                continue
            clip = isinstance(sample.media[item], Clip)
            keys = [(item, f if clip else None) for f in range(*frames)]
            expected = np.mean([share_of(where[key], box) for key in keys])
            if np.isfinite(measured[i]):
                assert abs(measured[i] - expected) < 0.2, (sample.id, i, measured[i], expected)
            if expected > 0.1:
                assert target[position], (sample.id, i)
            if target[position]:
                assert max(share_of(wide[key], box) for key in keys) > 0, (sample.id, i)
                lit += 1
        outside = np.setdiff1d(np.flatnonzero(target), cells.position)
        assert len(outside) == 0 or len(seen) < len(sample.evidence)
    assert lit > 0 or name == "mlvu"


def test_text_targets_are_the_needles_words(family: LoadedModel, minis: dict[str, list[Sample]]) -> None:
    found = 0
    for sample in minis["mmlongbench"]:
        spans = [piece for piece in sample.evidence if isinstance(piece, TextSpan)]
        if not spans:
            continue
        batch = encode(family, [sample])
        ids = batch.inputs["input_ids"][0][batch.targets()[0]]
        needle = " ".join(sample.context[span.start : span.stop] for span in spans)
        said = family.processor.tokenizer.decode(ids)
        assert "".join(needle.split()) in "".join(said.split()), sample.id
        assert len(said) <= len(needle) + 16 * len(spans), sample.id  # and little more
        found += 1
    assert found >= 4


def test_a_mini_without_evidence_is_only_encoded(family: LoadedModel, minis: dict[str, list[Sample]]) -> None:
    for sample in minis["mlvu"]:
        assert not sample.evidence
        assert encode(family, [sample]).visual.any()
