"""Whose operator is it? Each belongs to one model and to the thread or task that entered it, and leaves no trace."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import SAMPLES, forward, generate, in_a_loop
from transformers import Cache, DynamicCache

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.hybrid.cache import HybridCache
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.ram_operator import RetrievalAttentionMass

HEADS = [Head(1, 2), Head(2, 4)]
DENSE = [Head(0, 1), Head(1, 0), Head(1, 5)]

OPERATORS: dict[str, Callable[[Batch], Operator]] = {
    "ablation": lambda batch: ZeroAblation(HEADS),
    "hybrid": lambda batch: HybridAttention(DENSE, window=6, sinks=2),
    "ram": lambda batch: RetrievalAttentionMass(batch.question, batch.targets()),
}


def under(operator: Operator, loaded: LoadedModel, batch: Batch) -> torch.Tensor:
    with operator(loaded.model):
        return forward(loaded, batch)


@pytest.mark.parametrize("name", OPERATORS)
def test_outputs_before_and_after_are_bit_identical(family: LoadedModel, name: str) -> None:
    batch = encode(family, SAMPLES)
    before, written = forward(family, batch), generate(family, batch)
    operator = OPERATORS[name](batch)
    assert torch.equal(under(operator, family, batch), before) == (name == "ram")
    with suppress(KeyError), operator(family.model), OPERATORS["ablation"](batch)(family.model):
        forward(family, batch)
        raise KeyError
    assert torch.equal(forward(family, batch), before)
    assert torch.equal(generate(family, batch), written)


def together(*jobs: Callable[[], Any]) -> list[list[Any]]:
    """Run the jobs eight times each, one thread for each job, all started at once."""
    start = threading.Barrier(len(jobs))

    def work(job: Callable[[], Any]) -> list[Any]:
        start.wait()
        return [job() for _ in range(8)]

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(work, job) for job in jobs]]


def test_each_thread_sees_its_own_operators(family: LoadedModel) -> None:
    batch = encode(family, SAMPLES)
    operators: list[Callable[[], Operator]] = [
        Operator,
        lambda: ZeroAblation(HEADS[:1]),
        lambda: ZeroAblation(HEADS[1:]),
        lambda: HybridAttention(DENSE, window=6, sinks=2),
    ]
    alone = [under(make(), family, batch) for make in operators]

    def job(make: Callable[[], Operator]) -> Callable[[], torch.Tensor]:
        return lambda: under(make(), family, batch)

    for expected, found in zip(alone, together(*map(job, operators)), strict=True):
        assert all(torch.equal(one, expected) for one in found)


def test_a_thread_without_operators_runs_the_plain_model(tiny: LoadedModel, batch: Batch) -> None:
    expected = forward(tiny, batch)
    with ZeroAblation(HEADS)(tiny.model), ThreadPoolExecutor(1) as pool:
        assert torch.equal(pool.submit(forward, tiny, batch).result(), expected)
        assert not torch.equal(forward(tiny, batch), expected)


def test_each_task_sees_its_own_operators(tiny: LoadedModel, batch: Batch) -> None:
    expected = [under(ZeroAblation([head]), tiny, batch) for head in HEADS]

    async def task(head: Head) -> torch.Tensor:
        with ZeroAblation([head])(tiny.model):
            await asyncio.sleep(0.01)
            return forward(tiny, batch)

    async def tasks() -> list[torch.Tensor]:
        return await asyncio.gather(*map(task, HEADS))

    assert all(map(torch.equal, in_a_loop(tasks()), expected))


def test_a_task_that_outlives_the_block_runs_the_plain_model(tiny: LoadedModel, batch: Batch) -> None:
    async def later(ready: asyncio.Event) -> torch.Tensor:
        await ready.wait()
        return forward(tiny, batch)

    async def main() -> tuple[torch.Tensor, torch.Tensor]:
        with ZeroAblation(HEADS)(tiny.model):
            go, wait = asyncio.Event(), asyncio.Event()
            within, after = asyncio.create_task(later(go)), asyncio.create_task(later(wait))
            go.set()
            inside = await within
        wait.set()
        return inside, await after

    inside, outside = in_a_loop(main())
    assert torch.equal(outside, forward(tiny, batch))
    assert torch.equal(inside, under(ZeroAblation(HEADS), tiny, batch))


def test_one_hybrid_instance_serves_two_models_in_two_threads(tiny: LoadedModel, batch: Batch) -> None:
    other = replace(tiny, model=deepcopy(tiny.model))
    operator = HybridAttention(DENSE, window=6, sinks=2)
    one = encode(tiny, SAMPLES[:1])
    jobs = [
        lambda loaded=loaded, given=given: cached(loaded, given)
        for loaded, given in ((tiny, batch), (other, one))
    ]

    def cached(loaded: LoadedModel, given: Batch) -> torch.Tensor:
        with operator(loaded.model):
            cache = HybridCache(operator, loaded.model)
            options = {"do_sample": False, "min_new_tokens": 3, "max_new_tokens": 3}
            return loaded.model.generate(**given.inputs, **options, past_key_values=cache)

    alone = [job() for job in jobs]
    for expected, found in zip(alone, together(*jobs), strict=True):
        assert all(torch.equal(one, expected) for one in found)


def test_one_measurement_is_not_shared_by_two_blocks(tiny: LoadedModel, batch: Batch) -> None:
    operator = RetrievalAttentionMass(batch.question, batch.targets())
    with operator(tiny.model), pytest.raises(CoreheadError, match="measuring already"), operator(tiny.model):
        pass


@pytest.mark.parametrize("name", OPERATORS)
def test_a_copy_made_inside_a_block_is_a_plain_model(family: LoadedModel, name: str) -> None:
    batch = encode(family, SAMPLES)
    expected = forward(family, batch)
    with OPERATORS[name](batch)(family.model):
        copy = deepcopy(family)
        assert torch.equal(forward(copy, batch), expected)
    assert torch.equal(forward(copy, batch), expected)
    assert copy.model.config.get_text_config()._attn_implementation == "sdpa"
    assert torch.equal(
        under(OPERATORS[name](batch), copy, batch), under(OPERATORS[name](batch), family, batch)
    )


def test_models_that_share_a_config_are_told_apart(family: LoadedModel) -> None:
    batch = encode(family, SAMPLES)
    memo = {id(part.config): part.config for part in family.model.modules() if hasattr(part, "config")}
    other = replace(family, model=deepcopy(family.model, memo))
    assert other.model.config.get_text_config() is family.model.config.get_text_config()
    expected = forward(family, batch)
    with ZeroAblation(HEADS)(family.model):
        assert torch.equal(forward(other, batch), expected)
        assert not torch.equal(forward(family, batch), expected)


def test_ablation_and_hybrid_attention_compose_in_any_order(family: LoadedModel) -> None:
    batch = encode(family, SAMPLES)
    model, found = family.model, []
    ablation, hybrid = ZeroAblation(HEADS), HybridAttention(DENSE, window=6, sinks=2)
    for first, second in ((ablation, hybrid), (hybrid, ablation)):
        with first(model), second(model):
            found.append(forward(family, batch))
    width = family.backbone.head_dim

    def silence(layer: int) -> Callable[[Any, tuple], tuple]:
        places = [h.head * width + i for h in HEADS if h.layer == layer for i in range(width)]
        return lambda module, args: (args[0].index_fill(-1, torch.tensor(places, dtype=torch.long), 0),)

    layers = model.get_decoder().layers
    hooks = [x.self_attn.o_proj.register_forward_pre_hook(silence(i)) for i, x in enumerate(layers)]
    expected = under(hybrid, family, batch)
    for hook in hooks:
        hook.remove()
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], expected)
    assert not torch.equal(found[0], under(hybrid, family, batch))


def test_two_operators_that_replace_the_kernel_are_refused(tiny: LoadedModel, batch: Batch) -> None:
    one, two = HybridAttention(DENSE, window=6), HybridAttention([], window=9)
    with one(tiny.model):
        alone = forward(tiny, batch)
        with pytest.raises(CoreheadError, match="replaces the kernel"), two(tiny.model):
            pass
        assert torch.equal(forward(tiny, batch), alone)
    with one(tiny.model), two(deepcopy(tiny.model)):  # on two models: nothing to refuse
        assert torch.equal(forward(tiny, batch), alone)


class OtherKeys(Operator):
    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        return inner(replace(call, key=call.key.clone()))


def test_changed_keys_beside_a_trimmed_cache_are_refused(tiny: LoadedModel, batch: Batch) -> None:
    operator = HybridAttention(DENSE, window=6)
    with operator(tiny.model), OtherKeys()(tiny.model):
        assert generate(tiny, batch).shape == (3, 6)
    cache = HybridCache(operator, tiny.model)
    with operator(tiny.model):
        tiny.model.generate(**batch.inputs, max_new_tokens=2, past_key_values=cache)
        length = batch.last.shape[1] + 1
        step = {"input_ids": torch.ones(3, 1, dtype=torch.long), "attention_mask": torch.ones(3, length + 1)}
        with (
            OtherKeys()(tiny.model),
            pytest.raises(CoreheadError, match="changed the keys of a trimmed cache"),
        ):
            tiny.model.model.language_model(**step, past_key_values=cache)


def test_gradients_flow_through_a_continued_cache(tiny: LoadedModel) -> None:
    """In parts, with dense and streaming heads, they are those of one pass."""
    model = deepcopy(tiny.model)
    language, operator = model.model.language_model, HybridAttention(DENSE, window=8, sinks=2)
    random = torch.Generator().manual_seed(0)
    ids, weights = torch.randint(0, 300, (2, 60), generator=random), torch.randn(2, 60, 48, generator=random)

    def gradient(cache: Cache, *parts: torch.Tensor) -> torch.Tensor:
        with operator(model):
            made = [language(input_ids=part, past_key_values=cache).last_hidden_state for part in parts]
        wanted = language.layers[0].self_attn.q_proj.weight
        return torch.autograd.grad((torch.cat(made, 1) * weights).sum(), wanted)[0]

    whole = gradient(DynamicCache(), ids)
    for cache in (DynamicCache(), HybridCache(operator, model)):
        parts = gradient(cache, *ids.split([25, 1, 34], 1))
        torch.testing.assert_close(parts, whole, atol=1e-3 * float(whole.abs().max()), rtol=1e-3)


def test_a_model_in_train_mode_is_run_where_nothing_is_random(tiny: LoadedModel, batch: Batch) -> None:
    loaded = deepcopy(tiny)
    expected = under(ZeroAblation(HEADS), loaded, batch)
    loaded.model.train()
    assert torch.equal(under(ZeroAblation(HEADS), loaded, batch), expected)
    loaded.model.model.language_model.layers[1].self_attn.attention_dropout = 0.1
    with pytest.raises(CoreheadError, match=r"train mode.*model.eval\(\)"):
        under(ZeroAblation(HEADS), loaded, batch)
    loaded.model.eval()
    assert torch.equal(under(ZeroAblation(HEADS), loaded, batch), expected)


def test_gradient_checkpointing_is_refused(tiny: LoadedModel) -> None:
    model = deepcopy(tiny.model).train()
    model.activation_checkpointing_enable()
    with pytest.raises(CoreheadError, match="computes attention twice"), Operator()(model):
        pass


class Breaks(Operator):
    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        if call.layer == 1:
            raise KeyError(call.layer)
        return inner(call)


def test_mass_is_refused_after_half_a_pass_and_after_two(tiny: LoadedModel, batch: Batch) -> None:
    operator = RetrievalAttentionMass(batch.question, batch.targets())
    with operator(tiny.model):
        with pytest.raises(KeyError), Breaks()(tiny.model):
            forward(tiny, batch)
        with pytest.raises(CoreheadError, match="a part of a forward pass"):
            _ = operator.mass
        forward(tiny, batch)
    with pytest.raises(CoreheadError, match="more than one forward pass"):
        _ = operator.mass
    with operator(tiny.model):
        forward(tiny, batch)
        once = operator.mass
        forward(tiny, batch)
    with pytest.raises(CoreheadError, match="more than one forward pass"):
        _ = operator.mass
    under(operator, tiny, batch)
    assert torch.equal(operator.mass, once)
