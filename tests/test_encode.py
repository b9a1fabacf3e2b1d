"""Samples to model inputs: the question's tokens, the last token, the answers, the pictures."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import CELL, SAMPLES, noise

from corehead_lib.encode import Batch, encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Sample


def decoded(loaded: LoadedModel, batch: Batch, row: int) -> str:
    ids = batch.inputs["input_ids"][row, batch.question[row]]
    return loaded.processor.tokenizer.decode(ids)


def test_question_tokens_decode_to_the_question(tiny: LoadedModel, batch: Batch) -> None:
    assert [decoded(tiny, batch, row) for row in range(len(SAMPLES))] == [s.question for s in SAMPLES]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12))
@settings(deadline=None, max_examples=40)
def test_any_question_is_found_again(tiny: LoadedModel, words: str) -> None:
    sample = replace(SAMPLES[0], question=f"Say {words}?")
    expected = tiny.processor.tokenizer.decode(tiny.processor.tokenizer(sample.question)["input_ids"])
    assert decoded(tiny, encode(tiny, [sample]), 0) == expected


def test_a_question_that_stands_in_the_template_too_is_found_behind_the_picture(tiny: LoadedModel) -> None:
    batch = encode(tiny, [replace(SAMPLES[0], question="user")])
    assert decoded(tiny, batch, 0) == "user"
    assert batch.question[0].nonzero()[0] > batch.cells[0].position[-1]


def test_the_last_token_ends_the_prompt(tiny: LoadedModel, batch: Batch) -> None:
    assert batch.last.sum(1).tolist() == [1, 1, 1]
    assert batch.last[:, -1].all()
    ends = tiny.processor.tokenizer.batch_decode(batch.inputs["input_ids"][:, -2:])
    assert all(end.endswith("assistant\n") or end.endswith("\n") for end in ends)


def test_answers_are_the_tokens_of_the_gold_answer(tiny: LoadedModel, batch: Batch) -> None:
    assert tiny.processor.tokenizer.batch_decode(batch.answers) == [s.answer for s in SAMPLES]
    assert len(batch.answers[1]) > 1


def test_visual_tokens_are_the_grids_cells(tiny: LoadedModel, batch: Batch) -> None:
    images = [[i for i in s.media if isinstance(i, Image.Image)] for s in SAMPLES]
    counts = [sum((i.width // CELL) * (i.height // CELL) for i in row) for row in images]
    assert batch.visual.sum(1).tolist() == counts
    image_token = tiny.model.config.image_token_id
    assert torch.equal(batch.visual, batch.inputs["input_ids"] == image_token)
    grids = batch.inputs["image_grid_thw"].prod(1) // 4
    assert int(batch.visual.sum()) == int(grids.sum())


def test_question_and_pictures_do_not_overlap_and_are_not_padding(batch: Batch) -> None:
    assert not (batch.question & batch.visual).any()
    assert not ((batch.question | batch.visual) & (batch.inputs["attention_mask"] == 0)).any()


def test_a_text_only_sample_has_no_visual_token(tiny: LoadedModel) -> None:
    text = Sample("t", "sum", "What is 1 plus 2?", "3", ())
    for samples in ([text], [text, SAMPLES[0]]):
        batch = encode(tiny, samples)
        assert batch.visual[0].sum() == 0
        assert decoded(tiny, batch, 0) == text.question


def rotated(picture: Image.Image) -> Image.Image:
    """Store ``picture`` so that its EXIF flag asks for a quarter turn clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(file, "png", exif=exif)
    return Image.open(file)


def test_a_picture_turned_by_exif_is_encoded_as_seen(family: LoadedModel) -> None:
    seen = noise(96, 64)
    stored = rotated(seen)
    assert stored.size == (64, 96)
    box = Box(80, 0, 96, 16)
    upright, turned = (
        encode(family, [replace(SAMPLES[0], media=(image,), evidence=(box,))]) for image in (seen, stored)
    )
    assert turned.cells[0].sizes == ((96, 64),)
    assert torch.equal(turned.inputs["pixel_values"], upright.inputs["pixel_values"])
    np.testing.assert_array_equal(turned.cells[0].box, upright.cells[0].box)
    shown = turned.cells[0].box[np.isin(turned.cells[0].position, turned.targets()[0].nonzero().flatten())]
    assert len(shown)
    assert (shown[:, 2] > 80).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16"])
def test_pictures_of_any_mode_are_read(tiny: LoadedModel, mode: str) -> None:
    picture = (
        noise(64, 64).convert("L").convert("I").convert(mode)
        if mode == "I;16"
        else noise(64, 64).convert(mode)
    )
    batch = encode(tiny, [replace(SAMPLES[0], media=(picture,), evidence=())])
    assert len(batch.cells[0]) == 16


def test_samples_without_media_may_stand_anywhere_in_a_batch(family: LoadedModel) -> None:
    bare = replace(SAMPLES[0], media=(), evidence=(), question="What is 3 plus 4?")
    mixed = [bare, bare, SAMPLES[0], bare, SAMPLES[2]]
    batch = encode(family, mixed)
    for row, sample in enumerate(mixed):
        alone = encode(family, [sample])
        length = alone.inputs["input_ids"].shape[1]
        assert torch.equal(batch.inputs["input_ids"][row, -length:], alone.inputs["input_ids"][0])
        assert torch.equal(batch.question[row, -length:], alone.question[0])
        assert len(batch.cells[row]) == len(alone.cells[0])
        assert not batch.inputs["attention_mask"][row, :-length].any()


def test_no_samples_are_refused(tiny: LoadedModel) -> None:
    with pytest.raises(CoreheadError, match="no samples"):
        encode(tiny, [])


def test_encode_all_keeps_order_and_size(tiny: LoadedModel) -> None:
    batches = encode_all(tiny, SAMPLES, batch_size=2)
    assert [[s.id for s in batch.samples] for batch in batches] == [["a", "b"], ["c"]]


def test_targets_follow_the_overlap(batch: Batch) -> None:
    expected = {"any": [6, 28, 10], "centre": [1, 28, 7], 0.3: [4, 28, 7]}
    for overlap, counts in expected.items():
        assert batch.targets(overlap).sum(1).tolist() == counts  # type: ignore[arg-type]
