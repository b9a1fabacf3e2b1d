"""The trimmed cache against the whole one, under the same operator."""

from typing import Any

import pytest
import torch
from tiny import SAMPLES, forward, generate
from transformers import DynamicCache

from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.models import LoadedModel
from corehead_lib.ram_operator import RetrievalAttentionMass

DENSE = [Head(0, 1), Head(1, 0), Head(1, 5)]  # of 2 groups: one full in layer 0, both in 1, none in 2


def written(loaded: LoadedModel, batch: Batch, tokens: int = 12, **options: Any) -> tuple[Any, torch.Tensor]:
    """Greedy tokens (B, T), and the logits of each step (B, T, vocabulary)."""
    made = loaded.model.generate(
        **batch.inputs,
        do_sample=False,
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        output_logits=True,
        return_dict_in_generate=True,
        **options,
    )
    return made.sequences, torch.stack(made.logits, 1)


@pytest.mark.parametrize("window", [1, 2, 7, 30, 1000])
@pytest.mark.parametrize("sinks", [0, 3])
def test_generation_equals_the_whole_cache(tiny: LoadedModel, batch: Batch, window: int, sinks: int) -> None:
    operator = HybridAttention(DENSE, window, sinks)
    with operator(tiny.model):
        tokens, logits = written(tiny, batch)
        cache = HybridCache(operator, tiny.model)
        trimmed_tokens, trimmed_logits = written(tiny, batch, past_key_values=cache)
    assert torch.equal(trimmed_tokens, tokens)
    torch.testing.assert_close(trimmed_logits, logits, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("window", [5, 25, 45])
def test_a_padded_batch_equals_its_samples_alone(tiny: LoadedModel, batch: Batch, window: int) -> None:
    """The window is shorter than all samples, or only than some."""
    operator = HybridAttention(DENSE, window, sinks=3)
    with operator(tiny.model):
        _, together = written(tiny, batch, past_key_values=HybridCache(operator, tiny.model))
        for index, sample in enumerate(SAMPLES):
            _, alone = written(
                tiny, encode(tiny, [sample]), past_key_values=HybridCache(operator, tiny.model)
            )
            torch.testing.assert_close(together[index], alone[0], atol=2e-3, rtol=1e-3)


def test_only_what_streaming_groups_see_is_kept(tiny: LoadedModel, batch: Batch) -> None:
    operator = HybridAttention(DENSE, window=6, sinks=3)
    cache, whole = HybridCache(operator, tiny.model), DynamicCache()
    with operator(tiny.model):
        written(tiny, batch, past_key_values=cache)
        written(tiny, batch, past_key_values=whole)
    length = whole.get_seq_length()
    assert [cache.get_seq_length(layer) for layer in range(3)] == [length] * 3
    full = 3  # of 6 groups
    place = 2 * 4 * len(SAMPLES) * tiny.backbone.head_dim
    assert cache.nbytes == place * (full * length + (6 - full) * (6 + 3 - 1))
    assert sum(x.nbytes for layer in whole.layers for x in (layer.keys, layer.values)) == place * 6 * length


@pytest.mark.parametrize("window", [4, 12])
def test_a_prompt_in_parts_equals_one_pass(tiny: LoadedModel, window: int) -> None:
    language = tiny.model.model.language_model
    ids = torch.randint(0, 300, (2, 60), generator=torch.Generator().manual_seed(0))
    operator = HybridAttention(DENSE, window, sinks=2)
    with operator(tiny.model), torch.inference_mode():
        expected = language(input_ids=ids).last_hidden_state
        cache = HybridCache(operator, tiny.model)
        parts = [language(input_ids=part, past_key_values=cache) for part in ids.split([25, 1, 14, 20], 1)]
    found = torch.cat([part.last_hidden_state for part in parts], 1)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_beams_follow_their_own_keys(tiny: LoadedModel, batch: Batch) -> None:
    operator = HybridAttention(DENSE, window=6, sinks=2)
    options = {"num_beams": 3, "do_sample": False, "min_new_tokens": 6, "max_new_tokens": 6}
    with operator(tiny.model):
        expected = tiny.model.generate(**batch.inputs, **options)
        cache = HybridCache(operator, tiny.model)
        assert torch.equal(tiny.model.generate(**batch.inputs, **options, past_key_values=cache), expected)


def test_dense_rows_concern_the_prompt_alone(tiny: LoadedModel, batch: Batch) -> None:
    operator = HybridAttention(DENSE, window=6, sinks=2, dense_rows=4)
    with operator(tiny.model):
        expected = written(tiny, batch)[1]
        found = written(tiny, batch, past_key_values=HybridCache(operator, tiny.model))[1]
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_without_its_operator_the_cache_is_an_ordinary_one(tiny: LoadedModel, batch: Batch) -> None:
    cache = HybridCache(HybridAttention(DENSE, window=6), tiny.model)
    assert torch.equal(written(tiny, batch, past_key_values=cache)[0], written(tiny, batch)[0])


def test_a_trimmed_cache_is_refused_without_its_operator(tiny: LoadedModel, batch: Batch) -> None:
    operator = HybridAttention(DENSE, window=6)
    cache = HybridCache(operator, tiny.model)
    token = torch.ones(len(SAMPLES), 1, dtype=torch.long)
    with operator(tiny.model):
        generate_into(tiny, batch, cache)
    with pytest.raises(CoreheadError, match="trimmed for hybrid attention"), torch.inference_mode():
        tiny.model(input_ids=token, past_key_values=cache)
    with pytest.raises(CoreheadError, match="cannot go back"):
        cache.crop(-2)
    assert not any(layer.is_croppable for layer in (cache.layers[0], cache.layers[2]))


def generate_into(loaded: LoadedModel, batch: Batch, cache: HybridCache) -> None:
    with torch.inference_mode():
        loaded.model(**batch.inputs, past_key_values=cache)


def test_a_second_prompt_with_dense_rows_is_refused(tiny: LoadedModel) -> None:
    language = tiny.model.model.language_model
    operator = HybridAttention(DENSE, window=6, dense_rows=3)
    cache, ids = HybridCache(operator, tiny.model), torch.ones(2, 30).long()
    with operator(tiny.model), torch.inference_mode():
        language(input_ids=ids, past_key_values=cache)
        with pytest.raises(CoreheadError, match="in one pass"):
            language(input_ids=ids[:, :2], past_key_values=cache)


def test_a_reset_cache_serves_again(tiny: LoadedModel, batch: Batch) -> None:
    operator = HybridAttention(DENSE, window=6)
    cache = HybridCache(operator, tiny.model)
    with operator(tiny.model):
        first = written(tiny, batch, past_key_values=cache)[0]
        cache.reset()
        assert cache.get_seq_length() == 0
        assert torch.equal(written(tiny, batch, past_key_values=cache)[0], first)


@pytest.mark.parametrize("single", [True, False])
def test_a_static_cache_is_refused(tiny: LoadedModel, batch: Batch, single: bool) -> None:
    prompt = encode(tiny, SAMPLES[:1]) if single else batch
    with HybridAttention(DENSE, window=6)(tiny.model), pytest.raises(CoreheadError, match="a static cache"):
        tiny.model.generate(**prompt.inputs, max_new_tokens=3, cache_implementation="static")


def test_padding_on_the_right_is_right_without_a_cache_and_refused_with_one(tiny: LoadedModel) -> None:
    language = tiny.model.model.language_model
    ids = torch.randint(0, 300, (2, 40), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(40) < torch.tensor([40, 25])[:, None]).long()
    with HybridAttention(DENSE, window=6, dense_rows=3)(tiny.model), torch.inference_mode():
        made = language(input_ids=ids, attention_mask=mask, use_cache=True)
        alone = language(input_ids=ids[1:, :25], use_cache=False)
        torch.testing.assert_close(
            made.last_hidden_state[1:, :25], alone.last_hidden_state, atol=1e-3, rtol=1e-3
        )
        mask = torch.cat([mask, torch.ones(2, 1).long()], 1)
        with pytest.raises(CoreheadError, match="pad on the left"):
            language(input_ids=ids[:, :1], attention_mask=mask, past_key_values=made.past_key_values)


def test_a_pass_that_failed_leaves_nothing_behind(tiny: LoadedModel, batch: Batch) -> None:
    """RAM, entered last, refuses the batch after the cache was updated and before attention ran."""
    operator = HybridAttention(DENSE, window=6)
    cache, wrong = HybridCache(operator, tiny.model), torch.ones(2, 9, dtype=torch.bool)
    with operator(tiny.model):
        expected = forward(tiny, batch)
        with RetrievalAttentionMass(wrong, wrong)(tiny.model), pytest.raises(CoreheadError, match="encode"):
            generate_into(tiny, batch, cache)
        assert torch.equal(forward(tiny, batch), expected)


def test_packed_samples_are_refused(tiny: LoadedModel) -> None:
    language = tiny.model.model.language_model
    place = torch.arange(30)
    packed = (place <= place[:, None]) & (place // 15 == place[:, None] // 15)
    with HybridAttention(DENSE, window=6)(tiny.model), pytest.raises(CoreheadError, match="packed"):
        language(input_ids=torch.ones(1, 30).long(), attention_mask=packed[None, None], use_cache=False)


def test_a_float_mask_is_refused(tiny: LoadedModel) -> None:
    language = tiny.model.model.language_model
    mask = torch.zeros(1, 1, 30, 30)
    with (
        HybridAttention(DENSE, window=6)(tiny.model),
        pytest.raises(CoreheadError, match="2-D attention_mask"),
    ):
        language(input_ids=torch.ones(1, 30).long(), attention_mask=mask, use_cache=False)


def test_generate_needs_no_change(tiny: LoadedModel, batch: Batch) -> None:
    """All heads dense: the cache stays whole, and the operator changes nothing."""
    every = [Head(layer, head) for layer in range(3) for head in range(6)]
    operator = HybridAttention(every, window=4)
    expected = generate(tiny, batch, tokens=5)
    with operator(tiny.model):
        found, _ = written(tiny, batch, 5, past_key_values=HybridCache(operator, tiny.model))
    assert torch.equal(found[:, -5:], expected)
