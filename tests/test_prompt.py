"""Where the parts of a prompt are found: question, context and media, in every family; and what is refused."""

import re
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_encode import decoded
from tiny import KINDS, SAMPLES, clip, noise

from corehead_lib.encode import Batch, encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import MEDIA, Clip, Sample, TextSpan


def test_a_question_whose_tokens_merge_with_the_text_before_is_refused(tiny: LoadedModel) -> None:
    processor = deepcopy(tiny.processor)
    processor.tokenizer.add_tokens(["\nWhich"])  # the template puts a newline before the question
    with pytest.raises(CoreheadError, match="id 7: the question's tokens merge"):
        encode(replace(tiny, processor=processor), [Sample("id 7", "task", "Which?", "1", ())])


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


@pytest.mark.parametrize("question", ["assistant", "user", "\n", "im_start", "|>"])
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
