"""Comparing ways to find targets: counted by hand on masks, and against eager attention."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import clip, noise

from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.explorer import attention_to
from corehead_lib.models import LoadedModel
from corehead_lib.ram import mass
from corehead_lib.samples import Box, Frames, Pages, Sample
from corehead_lib.targets_compare import BETWEEN, EXACT, FIRST, THUMBNAILS, Found, compare, units

SAME, MIXED = [(64, 64)] * 3, [(96, 48), (48, 48), (160, 96)]


def pages(sizes: list[tuple[int, int]], target: tuple[int, ...] = (1,)) -> Sample:
    media = tuple(noise(*size, seed) for seed, size in enumerate(sizes))
    return Sample("doc", "page", "Which digit?", "1", media, (Pages(target),))


def test_shares_by_hand() -> None:
    found = Found(np.array([4, 0]), np.array([1, 0]), np.array([3, 2]), np.zeros((2, 1, 1)))
    assert found.share_wrong.tolist() == [0.25, 1.0]
    assert found.share_missed.tolist() == [0.5, 1.0]


def test_slices_are_exact_for_equal_pages_only(families: dict[str, LoadedModel]) -> None:
    loaded = families["qwen3_vl"]
    same, mixed = (compare(loaded, [encode(loaded, [pages(sizes)])]) for sizes in (SAME, MIXED))
    assert same["uniform slices"].share_wrong.max() == same["uniform slices"].share_missed.max() == 0
    assert np.array_equal(same["uniform slices"].mass, same[EXACT].mass)
    assert mixed["uniform slices"].share_wrong.max() > 0
    assert "cumulative offsets" not in same  # no blocks here


def test_offsets_need_the_thumbnails(families: dict[str, LoadedModel]) -> None:
    loaded = families["internvl"]
    found = compare(loaded, [encode(loaded, [pages(MIXED)])])
    assert found["cumulative offsets"].wrong.tolist() == found["cumulative offsets"].missed.tolist() == [0]
    assert found[THUMBNAILS].missed[0] > 0


def test_tags_find_every_page_and_padding_does_not_matter(family: LoadedModel) -> None:
    one, two = pages(SAME), pages(SAME, (0, 2))
    longer = replace(one, question="Which digit is on the very long and winding road?")
    alone = compare(family, [encode(family, [s]) for s in (one, two, longer)])
    padded = compare(family, [encode(family, [one, two, longer])])
    for way in alone:
        for name in ("tokens", "wrong", "missed"):
            assert getattr(alone[way], name).tolist() == getattr(padded[way], name).tolist(), (way, name)
    assert not alone["tags"].missed.any()
    newlines = family.model.config.model_type == "llava_onevision"
    assert alone["tags"].wrong.any() == newlines  # which are visual tokens by their id
    assert (alone[BETWEEN].wrong >= alone["tags"].wrong).all()
    assert alone[BETWEEN].wrong.all()
    assert alone[FIRST].share_missed.tolist() == [0, 0.5, 0]


def test_maps_equal_eager_attention(family: LoadedModel) -> None:
    batch = encode(family, [pages(SAME)])
    maps = attention_to(family, batch, torch.arange(batch.last.shape[1]))
    family.model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            weights = family.model(**batch.inputs, output_attentions=True).attentions
    finally:
        family.model.set_attn_implementation("sdpa")
    eager = torch.stack(weights)[:, 0, :, -1].float()  # (layers, heads, tokens)
    assert np.allclose(maps, eager.permute(2, 0, 1).numpy(), atol=1e-4)


def test_an_empty_target_has_no_mass(family: LoadedModel) -> None:
    batch = encode(family, [pages(SAME)])
    nothing = torch.zeros_like(batch.question)
    given = mass(family, batch, torch.stack([nothing, batch.targets()]), batch.last)
    assert (given[0] == 0).all()
    assert (given[1] > 0).any()


def test_units_are_pages_or_frames() -> None:
    assert units(pages(SAME, (2, 0))) == (3, [0, 2])
    film = Sample("film", "when", "When?", "1", (clip(frames=5),), (Frames(1, 3),))
    assert units(film) == (5, [1, 2])
    with pytest.raises(CoreheadError, match="film: the paper's algorithms know whole pages"):
        units(replace(film, evidence=(Box(0, 0, 1, 1),)))
