"""The paper's algorithms find the exact tokens where their assumptions hold, and miss them where those do not."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import KINDS, clip, noise

from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import MEDIA, Frames, Pages, Sample
from corehead_lib.targets_paper import END, START, boundary_tags, cumulative_offsets, tagged, uniform_slices


def pages(*sizes: tuple[int, int], target: tuple[int, ...] = (1,)) -> Sample:
    media = tuple(noise(*size, seed) for seed, size in enumerate(sizes))
    return Sample("doc", "page", "Which digit?", "1", media, (Pages(target),))


def exact(batch: Batch) -> list[int]:
    return batch.targets()[0].nonzero().flatten().tolist()


def visual(loaded: LoadedModel, batch: Batch) -> np.ndarray:
    """All placeholder tokens, as the paper scans for them."""
    config = loaded.model.config
    kinds = [config.image_token_id, getattr(config, "video_token_id", -1)]
    return np.flatnonzero(np.isin(batch.inputs["input_ids"][0].numpy(), kinds))


def by_tags(
    loaded: LoadedModel, sample: Sample, items: tuple[int, ...], pairs: int | None = None
) -> tuple[list[int], Batch]:
    """What the tags find, and the tagged prompt."""
    batch = encode(loaded, [tagged(sample, items)])
    tokenizer = loaded.processor.tokenizer
    ids = batch.inputs["input_ids"][0].numpy()
    found = boundary_tags(ids, tokenizer(START)["input_ids"], tokenizer(END)["input_ids"], pairs)
    return found.tolist(), batch


SAME, MIXED = [(64, 64)] * 3, [(96, 48), (48, 48), (160, 96)]


def test_tags_enclose_one_page_and_its_separators(family: LoadedModel) -> None:
    found, batch = by_tags(family, pages(*MIXED), (1,))
    assert set(exact(batch)) <= set(found)
    extra = set(found) - set(exact(batch))
    assert extra  # <img> and </img>, vision_start and vision_end, or newlines
    assert not extra & set(np.concatenate([cells.position for cells in batch.cells]))


def test_tags_move_what_stands_behind_them(family: LoadedModel) -> None:
    found, _ = by_tags(family, pages(*MIXED), (1,))
    plain = exact(encode(family, [pages(*MIXED)]))
    assert len(set(found) & set(plain)) < len(plain)


@pytest.mark.parametrize(("pairs", "which"), [(None, {0, 2}), (1, {0})])
def test_every_pair_is_found_unless_the_first_alone_is_asked_for(
    family: LoadedModel, pairs: int | None, which: set[int]
) -> None:
    found, batch = by_tags(family, pages(*MIXED, target=(0, 2)), (0, 2), pairs)
    items = batch.cells[0].item[np.isin(batch.cells[0].position, found)]
    assert set(items.tolist()) == which
    if pairs is None:
        assert set(exact(batch)) <= set(found)


def test_tags_by_hand() -> None:
    ids = np.array([5, 6, 7, 8, 9, 6, 4, 9])
    assert boundary_tags(ids, [6], [9]).tolist() == [2, 3, 6]
    assert boundary_tags(ids, [6], [9], 1).tolist() == [2, 3]
    assert boundary_tags(ids, [6, 7], [8, 9]).tolist() == []
    assert boundary_tags(ids, [1], [9]).tolist() == []
    assert boundary_tags(ids, [6], [1]).tolist() == []
    assert boundary_tags(ids[:1], [5, 6], [9]).tolist() == []


@pytest.mark.parametrize("context", ["", f"One {MEDIA}two {MEDIA}{MEDIA} end", "Read this."])
def test_tags_stand_around_the_chosen_items(context: str) -> None:
    written = tagged(replace(pages(*SAME), context=context), [2, 0], "[", "]").context
    assert written.replace("[", "").replace("]", "").replace(MEDIA, "") == context.replace(MEDIA, "")
    assert written.count(MEDIA) == 3
    first, _, third = (i for i, c in enumerate(written) if c == MEDIA)
    assert [written[first - 1], written[first + 1], written[third - 1], written[third + 1]] == ["[", "]"] * 2
    assert written.count("[") == written.count("]") == 2


def test_tags_refuse_items_that_are_not_there_and_text_spans() -> None:
    with pytest.raises(CoreheadError, match=r"doc: items \[3\] are not all there: there are 3"):
        tagged(pages(*SAME), [3])
    with pytest.raises(CoreheadError, match="text: tags would move its text spans"):
        tagged(KINDS[3], [])


def test_uniform_slices_are_exact_for_pages_of_one_size(family: LoadedModel) -> None:
    batch = encode(family, [pages(*SAME, target=(0, 2))])
    found = uniform_slices(visual(family, batch), 3, [2, 0])
    assert set(exact(batch)) <= set(found.tolist())
    newlines = set(found.tolist()) - set(exact(batch))
    assert len(newlines) == (2 if family.model.config.model_type == "llava_onevision" else 0)


def test_uniform_slices_miss_pages_of_mixed_sizes(families: dict[str, LoadedModel]) -> None:
    for name in ("qwen3_vl", "internvl"):  # LLaVA-OneVision gives several pages the same number of tokens
        batch = encode(families[name], [pages(*MIXED)])
        found = uniform_slices(visual(families[name], batch), 3, [1])
        assert set(found.tolist()) != set(exact(batch))


@pytest.mark.parametrize("frames", [4, 5])
def test_uniform_slices_of_a_clip(families: dict[str, LoadedModel], frames: int) -> None:
    """One frame as target: exact where frames have tokens of their own, wrong where two share them."""
    sample = Sample("clip", "when", "When?", "1", (clip(frames=frames),), (Frames(3, 4),))
    for name, loaded in families.items():
        batch = encode(loaded, [sample])
        found = uniform_slices(visual(loaded, batch), frames, [3]).tolist()
        if name == "internvl" or name == "llava_onevision":
            assert found == exact(batch)
        elif frames == 4:
            assert set(found) < set(exact(batch))  # half of the pair
        else:
            assert set(found) & set(exact(batch))
            assert set(found) - set(exact(batch))  # it reaches into the next pair


def test_cumulative_offsets_are_exact_where_blocks_are_counted_right(
    families: dict[str, LoadedModel],
) -> None:
    loaded = families["internvl"]
    sample = pages(*MIXED, target=(0, 2))
    batch = encode(loaded, [sample])
    counts = [
        loaded.processor.image_processor.get_number_of_image_patches(h, w, {"crop_to_patches": True})
        for w, h in MIXED
    ]
    positions = visual(loaded, batch)
    assert cumulative_offsets(positions, counts, 9, [2, 0]).tolist() == exact(batch)
    careless = [count - 1 if count > 1 else 1 for count in counts]  # the thumbnails are forgotten
    missed = cumulative_offsets(positions, careless, 9, [2])
    target = encode(loaded, [pages(*MIXED, target=(2,))])
    assert set(missed.tolist()) != set(exact(target))


def test_cumulative_offsets_by_hand() -> None:
    positions = np.array([2, 3, 4, 5, 8, 9, 10, 11, 12, 13])
    assert cumulative_offsets(positions, [2, 1, 2], 2, [1]).tolist() == [8, 9]
    assert cumulative_offsets(positions, [2, 1, 2], 2, [2, 0]).tolist() == [2, 3, 4, 5, 10, 11, 12, 13]
    assert cumulative_offsets(positions, [2, 1, 2], 2, []).tolist() == []
    assert uniform_slices(positions, 3, [1]).tolist() == [5, 8, 9]
