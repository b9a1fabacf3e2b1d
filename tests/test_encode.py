"""Samples to model inputs: the question's tokens, the last token, the answers, the pictures."""

import re
from copy import deepcopy
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import CELL, KINDS, SAMPLES, clip, noise

from corehead_lib.encode import Batch, encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import MEDIA, Box, Clip, Sample, TextSpan


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


def test_a_question_whose_tokens_merge_with_the_text_before_is_refused(tiny: LoadedModel) -> None:
    processor = deepcopy(tiny.processor)
    processor.tokenizer.add_tokens(["\nWhich"])  # the template puts a newline before the question
    with pytest.raises(CoreheadError, match="id 7: the question's tokens merge"):
        encode(replace(tiny, processor=processor), [Sample("id 7", "task", "Which?", "1", ())])


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


def words(loaded: LoadedModel, batch: Batch, row: int, mask: torch.Tensor) -> str:
    return loaded.processor.tokenizer.decode(batch.inputs["input_ids"][row, mask[row]])


def test_every_part_of_a_prompt_is_found_in_every_family(family: LoadedModel) -> None:
    batch = encode(family, KINDS)
    text = torch.from_numpy(batch.context[..., 0] < batch.context[..., 1])
    for row, sample in enumerate(KINDS):
        assert decoded(family, batch, row) == sample.question
        assert words(family, batch, row, text) == sample.context.replace(MEDIA, "")
        if sample.media or sample.context:
            assert batch.question[row].nonzero().min() > batch.source[row].nonzero().max()
    assert words(family, batch, 3, batch.targets()) == " green"
    assert not (batch.question & batch.source).any()
    assert not ((batch.question | batch.source) & (batch.inputs["attention_mask"] == 0)).any()


letters = st.text(st.sampled_from("ab 12\n.,é中😀"), min_size=1, max_size=30)


@given(letters, letters, st.data())
@settings(deadline=None, max_examples=60)
def test_any_span_of_any_text_becomes_its_tokens(
    tiny: LoadedModel, one: str, two: str, data: st.DataObject
) -> None:
    """The tokens' text holds the span, and without its first or last token it does not."""
    context = f"{one}{MEDIA}{two}"
    piece = data.draw(st.sampled_from([(0, len(one)), (len(one) + 1, len(context))]))
    start = data.draw(st.integers(piece[0], piece[1] - 1))
    stop = data.draw(st.integers(start + 1, piece[1]))
    sample = Sample("id", "task", "Say it.", "1", (noise(32, 32),), (TextSpan(start, stop),), context=context)
    batch = encode(tiny, [sample])
    ids = batch.inputs["input_ids"][0, batch.targets()[0]]
    decode = tiny.processor.tokenizer.decode
    assert context[start:stop] in decode(ids)
    offsets = batch.context[0][batch.targets()[0].numpy()]
    assert offsets[0, 1] > start
    assert offsets[-1, 0] < stop
    assert decode(ids) == context[offsets[:, 0].min() : offsets[:, 1].max()]


def test_the_question_is_found_also_where_the_context_holds_it(tiny: LoadedModel) -> None:
    sample = replace(SAMPLES[0], context="How many? How many?", question="How many?")
    batch = encode(tiny, [sample])
    assert decoded(tiny, batch, 0) == "How many?"
    assert batch.question[0].nonzero()[0] > np.flatnonzero(batch.context[0, :, 1]).max()


@pytest.mark.parametrize("question", ["assistant", "user", "\n", "<|im_end|>", "im_start"])
def test_a_question_made_of_the_templates_words_is_found(family: LoadedModel, question: str) -> None:
    for media in ((), (noise(64, 64),)):
        batch = encode(family, [replace(SAMPLES[0], question=question, media=media)])
        assert decoded(family, batch, 0) == question
        end = len(family.processor.tokenizer("<|im_end|>\n<|im_start|>assistant\n")["input_ids"])
        assert batch.question[0].nonzero().max() == batch.question.shape[1] - end - 1


def test_clips_of_different_length_share_a_batch_where_the_model_can(family: LoadedModel) -> None:
    short, long = (replace(KINDS[2], id=str(n), media=(clip(frames=n),), evidence=()) for n in (3, 5))
    if "video_grid_thw" in family.processor.video_processor.model_input_names:
        assert len(encode_all(family, [short, long])) == 1
        return
    with pytest.raises(CoreheadError, match=r"one length in a batch.*'3': \{3\}, '5': \{5\}.*encode_all"):
        encode(family, [short, long])
    several = [short, KINDS[0], short, long, KINDS[3], short, short, short]
    batches = encode_all(family, several, batch_size=4)
    assert [[s.id for s in batch.samples] for batch in batches] == [["3", "a", "3"], ["5", "text"], ["3"] * 3]


def test_a_clip_keeps_its_own_times(tiny: LoadedModel) -> None:
    film = clip(frames=5)
    sample = replace(KINDS[2], media=(film,))
    text = [tiny.processor.tokenizer.decode(encode(tiny, [sample]).inputs["input_ids"][0]) for _ in range(2)]
    assert text[0] == text[1]
    for seconds in (
        (0 + 3) / 2 / 4,
        (6 + 9) / 2 / 4,
        12 / 4,
    ):  # pairs of frames, the last one twice, at 4 fps
        assert f"<{seconds:.1f} seconds>" in text[0]
    assert film.index == (0, 3, 6, 9, 12)


def test_a_clip_of_uneven_frames_is_refused(tiny: LoadedModel) -> None:
    film = Clip([noise(64, 48), noise(64, 64)])
    with pytest.raises(CoreheadError, match="clip: the frames of item 0 differ in size"):
        encode(tiny, [replace(KINDS[2], media=(film,))])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": f"One {MEDIA}, two {MEDIA}."}, "a: the context has 2 places for 1 media items"),
        ({"question": ""}, "a: the question is empty"),
        ({"question": f"A {MEDIA}?"}, "a: the question is empty, or holds a place for media"),
        ({"question": "What is <IMAGE>?"}, "a: the text holds <IMAGE>, this model's placeholder"),
        ({"context": "See <VIDEO>."}, "a: the text holds <VIDEO>, this model's placeholder"),
    ],
)
def test_texts_that_do_not_fit_the_media_are_refused(
    family: LoadedModel, change: dict[str, str], message: str
) -> None:
    names = {"<IMAGE>": family.processor.image_token, "<VIDEO>": family.processor.video_token}
    for name, token in names.items():
        change = {key: value.replace(name, token) for key, value in change.items()}
        message = message.replace(name, re.escape(token))
    with pytest.raises(CoreheadError, match=message):
        encode(family, [replace(SAMPLES[0], **change)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{{ part.text }}", "{{ part.text | upper }}", "drops or rewrites a text"),
        ("{{ part.text }}", "", "drops or rewrites a text"),
        ("{{ part.text }}", "{{ part.text }}{{ part.text }}", "drops or rewrites a text"),
        ("part.type == 'video'", "false", "shows 0 media items, the sample has 0 images and 1 clips"),
    ],
)
def test_a_template_that_loses_something_is_refused(
    tiny: LoadedModel, old: str, new: str, message: str
) -> None:
    processor = deepcopy(tiny.processor)
    processor.chat_template = processor.chat_template.replace(old, new)
    with pytest.raises(CoreheadError, match=f"clip: the chat template {message}"):
        encode(replace(tiny, processor=processor), [KINDS[2]])


def test_errors_about_evidence_name_the_sample(tiny: LoadedModel) -> None:
    batch = encode(tiny, [SAMPLES[0], replace(KINDS[3], evidence=(TextSpan(30, 50),))])
    with pytest.raises(CoreheadError, match=r"text: TextSpan.*characters 36 to 49 have no token"):
        batch.targets()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16"])
def test_pictures_of_any_mode_are_read(tiny: LoadedModel, mode: str) -> None:
    picture = (
        noise(64, 64).convert("L").convert("I").convert(mode)
        if mode == "I;16"
        else noise(64, 64).convert(mode)
    )
    batch = encode(tiny, [replace(SAMPLES[0], media=(picture,), evidence=())])
    assert len(batch.cells[0]) == 16


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
