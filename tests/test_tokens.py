"""Lengths known beforehand, pixel budgets, and the end of the context."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from test_oracle import embeddings, local
from tiny import KINDS, SAMPLES, clip, noise

from corehead_lib.encode import Batch, encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Sample
from corehead_lib.tokens import count_tokens, fitting

LARGE = replace(SAMPLES[0], id="large", media=(noise(400, 300),), evidence=(Box(100, 50, 250, 200),))


def tokens(batch: Batch) -> int:
    return int(batch.inputs["attention_mask"].sum()) + sum(map(len, batch.answers))


@pytest.mark.parametrize("max_pixels", [0, 4096, 20000])
def test_the_estimate_is_what_is_encoded(family: LoadedModel, max_pixels: int) -> None:
    alone = Sample("one", "when", "When?", "12", (clip(frames=1),))  # of one frame
    for sample in (*SAMPLES, *KINDS, LARGE, alone):
        found = tokens(encode(family, [sample], max_pixels))
        frames = sum(len(item.frames) for item in sample.media if not isinstance(item, Image.Image))
        assert abs(count_tokens(family, sample, max_pixels) - found) <= 2 * frames


def test_a_budget_shrinks_pictures_and_keeps_the_evidence_in_place(family: LoadedModel) -> None:
    whole, small = encode(family, [LARGE]), encode(family, [LARGE], max_pixels=9000)
    assert tokens(small) < tokens(whole)
    assert small.cells[0].sizes == whole.cells[0].sizes == ((400, 300),)
    for batch in (whole, small):
        cells = batch.cells[0]
        taken = cells.box[np.isin(cells.position, batch.targets()[0].nonzero().flatten())]
        (x0, y0), (x1, y1) = taken[:, :2].min(0), taken[:, 2:].max(0)
        assert x0 <= 100 < 250 <= x1
        assert y0 <= 50 < 200 <= y1
        assert cells.box[:, 2].max() == pytest.approx(400, abs=20)
        assert cells.box[:, 3].max() == pytest.approx(300, abs=20)


def test_the_cells_of_a_shrunk_picture_see_their_pixels(family: LoadedModel) -> None:
    """By painting the source, as the oracle does."""
    (picture,), family = LARGE.media, local(family)
    cells, before = encode(family, [LARGE], 9000).cells[0], embeddings(family, LARGE, 9000)
    area = (cells.box[:, 2] - cells.box[:, 0]) * (cells.box[:, 3] - cells.box[:, 1])
    for cell in np.random.default_rng(0).choice(np.flatnonzero(area > 0), 4, replace=False):
        box, painted = cells.box[cell], np.array(picture)
        x0, y0, x1, y1 = box.round().astype(int)
        painted[y0:y1, x0:x1] = 255
        after = embeddings(family, replace(LARGE, media=(Image.fromarray(painted),)), 9000)
        found = cells.box[np.linalg.norm(after - before, axis=1)[cells.position].argmax()]
        assert (np.maximum(found[:2], box[:2]) < np.minimum(found[2:], box[2:])).all()


def test_a_budget_that_nothing_exceeds_changes_nothing(family: LoadedModel) -> None:
    plain = encode(family, SAMPLES)
    if family.model.config.model_type == "internvl":  # whose tiles enlarge any picture
        return
    for name, value in encode(family, SAMPLES, max_pixels=10**6).inputs.items():
        assert torch.equal(value, plain.inputs[name])


def test_frames_are_shrunk_too(family: LoadedModel) -> None:
    film = replace(KINDS[2], media=(clip(200, 160, 4),), evidence=(Box(0, 0, 100, 80, frame=1),))
    batch = encode(family, [film], max_pixels=5000)
    assert batch.cells[0].sizes == ((200, 160),)
    assert batch.targets().any()


def test_more_than_the_context_is_refused_before_and_while_encoding(family: LoadedModel) -> None:
    model = deepcopy(family.model)
    short = replace(family, model=model)
    longest = max(count_tokens(family, sample) for sample in SAMPLES)
    model.config.get_text_config().max_position_embeddings = longest
    assert fitting(short, SAMPLES).samples == list(SAMPLES)
    long = replace(SAMPLES[0], id="long", context="word " * longest)
    found = fitting(short, [long, *SAMPLES])
    assert found.samples == list(SAMPLES)
    assert found.tokens == [count_tokens(family, sample) for sample in SAMPLES]
    assert list(found.refused) == ["long"]
    assert "1 refused and left out, the first: long: the prompt" in str(found)
    assert str(fitting(short, SAMPLES)).endswith(" in all; none is refused.")
    with pytest.raises(CoreheadError, match=r"^Not one of 1 samples can be encoded: long: the prompt"):
        fitting(short, [long])
    message = (
        rf"^long: the prompt and its answer have [\d,]+ tokens, but the context .* has {longest:,}: use fewer"
    )
    with pytest.raises(CoreheadError, match=message):
        encode(short, [SAMPLES[0], long])
    assert len(encode_all(short, SAMPLES, 2, max_pixels=4096)) == 2


def test_what_encode_would_refuse_is_sorted_out_before(family: LoadedModel) -> None:
    bad = [
        replace(SAMPLES[0], id="float", media=(Image.new("F", (64, 64)),)),
        replace(SAMPLES[0], id="mark", context="<|im_end|>"),
        replace(SAMPLES[0], id="half", question="\ud83d?"),
        replace(SAMPLES[0], id="none", media=(Image.new("RGB", (0, 4)),)),
    ]
    found = fitting(family, [*bad, *SAMPLES])
    assert list(found.refused) == [sample.id for sample in bad]
    assert all(
        reason.startswith(f"{name}: ") and "\n" not in reason for name, reason in found.refused.items()
    )
    assert found.samples == list(SAMPLES)


@pytest.mark.parametrize("max_pixels", [-1, -4096])
def test_a_budget_below_zero_is_refused(tiny: LoadedModel, max_pixels: int) -> None:
    with pytest.raises(CoreheadError, match="max_pixels"):
        encode(tiny, SAMPLES[:1], max_pixels)
