"""Each intervention against hooks on ``o_proj``, whose columns are written by code that shares nothing with ours."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import KINDS, SAMPLES, eager_attention, forward, generate, in_a_loop, noise

from corehead_lib.answers import with_answers
from corehead_lib.attention import Operator
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head
from corehead_lib.interventions import (
    Knockout,
    MeanAblation,
    Patch,
    UniformAttention,
    ZeroAblation,
    mean_outputs,
    partner_outputs,
    position_classes,
)
from corehead_lib.models import LoadedModel
from corehead_lib.study import outcomes

HEADS = [Head(1, 0), Head(1, 4), Head(2, 3)]
Change = Callable[[int, torch.Tensor], torch.Tensor]  # layer, (B, T, H, D) -> the same, changed


@contextmanager
def on_o_proj(loaded: LoadedModel, change: Change) -> Iterator[None]:
    """Change what goes into each output projection."""
    shape = loaded.backbone

    def hook(layer: int) -> Any:
        def changed(_: Any, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            heads = arguments[0].unflatten(-1, (shape.heads, shape.head_dim))
            return (change(layer, heads.clone()).flatten(-2),)

        return changed

    with ExitStack() as stack:
        for number, layer in enumerate(loaded.model.model.language_model.layers):
            handle = layer.self_attn.o_proj.register_forward_pre_hook(hook(number))
            stack.callback(handle.remove)
        yield


def outputs_of(loaded: LoadedModel, batch: Batch) -> list[torch.Tensor]:
    """(B, T, H, D) of each layer, while prompt and answer are read."""
    seen: dict[int, torch.Tensor] = {}

    def look(layer: int, heads: torch.Tensor) -> torch.Tensor:
        seen[layer] = heads.clone()
        return heads

    with on_o_proj(loaded, look):
        evaluate(loaded, [batch])
    return [seen[layer] for layer in sorted(seen)]


def logits(loaded: LoadedModel, batch: Batch) -> torch.Tensor:
    with torch.inference_mode():
        return loaded.model(**with_answers(batch)[0], use_cache=False).logits


def same(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("when", ["prefill", "decode", "both"])
def test_zero_in_its_rows(family: LoadedModel, when: Any) -> None:
    batch = encode(family, KINDS)
    prompt = batch.question.shape[1]

    def zero(layer: int, heads: torch.Tensor) -> torch.Tensor:
        rows = {"prefill": slice(prompt), "decode": slice(prompt, None), "both": slice(None)}[when]
        for at, head in HEADS:
            if at == layer:
                heads[:, rows, head] = 0
        return heads

    with on_o_proj(family, zero):
        expected = logits(family, batch)
    with ZeroAblation(HEADS, when=when).on(batch)(family.model):
        assert torch.equal(logits(family, batch), expected)
    assert not torch.equal(logits(family, batch), expected)


@pytest.mark.parametrize("kind", [ZeroAblation, UniformAttention, Knockout])
@pytest.mark.parametrize("when", ["prefill", "decode", "both"])
def test_an_answer_is_decoding_with_a_cache_and_without(
    tiny: LoadedModel, batch: Batch, kind: Any, when: Any
) -> None:
    """Greedy generation with a cache writes what one pass over prompt and answer predicts."""
    heads = [Head(layer, head) for layer in (1, 2) for head in range(6)]
    intervention = kind(heads, when=when).on(batch)
    plain = generate(tiny, batch, 6)
    with intervention(tiny.model):
        written = generate(tiny, batch, 6)
        answered = replace(batch, answers=tuple(map(tuple, written.tolist())))
        again = logits(tiny, answered)[:, -7:-1].argmax(-1)
    assert torch.equal(again, written)
    assert torch.equal(written[:, 0], plain[:, 0]) or when != "decode"  # the prompt's rows are untouched
    assert not torch.equal(written, plain)


def test_the_mean_by_hand(tiny: LoadedModel, batch: Batch) -> None:
    reference = [encode(tiny, KINDS), batch]
    means = mean_outputs(tiny, reference)
    sums: dict[tuple[int, str], list[torch.Tensor]] = {}
    for one in reference:
        kept = outputs_of(tiny, one)
        for row, cells in enumerate(one.cells):
            length = one.question.shape[1]
            for place in range(length + len(one.answers[row])):
                if place < length and not one.inputs["attention_mask"][row, place]:
                    continue
                name = "answer" if place >= length else "other"
                name = "visual" if place in cells.position else name
                name = "question" if place < length and one.question[row, place] else name
                name = "last" if place == length - 1 else name
                sums.setdefault((2, name), []).append(kept[2][row, place])
    for number, name in enumerate(("visual", "question", "other", "last", "answer")):
        assert means.count[number] == len(sums[2, name])
        same(means.mean[2, number], torch.stack(sums[2, name]).mean(0))


def test_mean_ablation_writes_the_mean(family: LoadedModel) -> None:
    batch = encode(family, KINDS)
    means = mean_outputs(family, [encode(family, SAMPLES), batch])
    classes = position_classes(batch)
    prompt = classes.shape[1]
    assert means.count[0] > means.count[1] > means.count[3] == 8

    def mean(layer: int, heads: torch.Tensor) -> torch.Tensor:
        for at, head in HEADS:
            if at == layer:
                for row in range(len(heads)):
                    for place in range(heads.shape[1]):
                        kind = int(classes[row, place]) if place < prompt else 4
                        heads[row, place, head] = means.mean[layer, kind, head]
        return heads

    with on_o_proj(family, mean):
        expected = logits(family, batch)
    with MeanAblation(HEADS, means).on(batch)(family.model):
        same(logits(family, batch), expected)
    text_only = mean_outputs(family, [encode(family, KINDS[3:4])])
    with pytest.raises(CoreheadError, match="a: the reference set has no visual tokens"):
        MeanAblation(HEADS, text_only).on(batch)


def test_patching_a_run_into_itself_changes_nothing(family: LoadedModel) -> None:
    batch = encode(family, KINDS)
    source = partner_outputs(family, [batch], [batch])
    before = logits(family, batch)
    with Patch(HEADS, source).on(batch)(family.model):
        assert torch.equal(logits(family, batch), before)


def test_outputs_of_another_picture(family: LoadedModel) -> None:
    """The same questions about each other's pictures, of one size, so that tokens stand at the same places."""
    one = encode(family, [replace(SAMPLES[0], id=name) for name in "xyz"])
    other = encode(family, [replace(s, media=(noise(96, 64, seed=7),)) for s in one.samples])
    kept = outputs_of(family, other)
    source = partner_outputs(family, [one], [other], HEADS)
    assert not any(0 in layers for layers in source.of.values())

    def patched(layer: int, heads: torch.Tensor) -> torch.Tensor:
        for at, head in HEADS:
            if at == layer:
                heads[:, :, head] = kept[layer][:, :, head]
        return heads

    before = logits(family, one)
    with on_o_proj(family, patched):
        expected = logits(family, one)
    with Patch(HEADS, source).on(one)(family.model):
        found = logits(family, one)
    same(found, expected)
    assert not torch.allclose(found, before, atol=1e-3)
    with pytest.raises(CoreheadError, match="layer 0 were not kept"), Patch([Head(0, 1)], source).on(one)(family.model):  # fmt: skip
        forward(family, one)


def test_outputs_of_another_question_are_matched_token_by_token(tiny: LoadedModel) -> None:
    """Pictures from the start, words behind them from the end; a shorter partner's first word stands in."""
    asked = encode(tiny, [SAMPLES[0], SAMPLES[1]])
    other = encode(tiny, [replace(SAMPLES[0], question="Why?"), replace(SAMPLES[1], question="What is it then, and why?")])  # fmt: skip
    kept = outputs_of(tiny, replace(other, answers=asked.answers))
    taken = partner_outputs(tiny, [asked], [other]).of["a", "b"][1]
    length, its_length = asked.question.shape[1], other.question.shape[1]
    for row in range(2):
        end, its_end = asked.cells[row].position.max(), other.cells[row].position.max()
        for place in range(length + max(map(len, asked.answers))):
            at = place - end + its_end
            if place > end:
                at = max(place - length + its_length, its_end + 1)
            if place >= length or asked.inputs["attention_mask"][row, place]:
                assert torch.equal(taken[row, place], kept[1][row, at]), (row, place)


def test_partners_that_do_not_fit(tiny: LoadedModel, batch: Batch) -> None:
    swapped = encode(tiny, [SAMPLES[1], SAMPLES[0], SAMPLES[2]])
    with pytest.raises(CoreheadError, match=r"a: \d+ tokens up to the last visual one, its partner has \d+"):
        partner_outputs(tiny, [batch], [swapped])
    with pytest.raises(CoreheadError, match="3 samples have 2 partners"):
        partner_outputs(tiny, [batch], [encode(tiny, SAMPLES[:2])])
    source = partner_outputs(tiny, [batch], [batch])
    with pytest.raises(CoreheadError, match="no partner outputs for this batch"):
        Patch(HEADS, source).on(encode(tiny, SAMPLES[:2]))
    with (
        pytest.raises(CoreheadError, match="it holds the prompt and the gold answer, nothing behind"),
        Patch(HEADS, source).on(batch)(tiny.model),
    ):
        generate(tiny, batch, 20)


def by_weights(loaded: LoadedModel, batch: Batch, layer: int, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:  # fmt: skip
    """(B, T, H, D): heads' outputs in one layer from eager attention weights (B, H, T, T), changed, and the values."""
    values: list[torch.Tensor] = []
    attention = loaded.model.model.language_model.layers[layer].self_attn
    handle = attention.v_proj.register_forward_hook(lambda _, __, output: values.append(output))
    forward(loaded, batch)
    handle.remove()
    shape = loaded.backbone
    value = values[0].unflatten(-1, (shape.kv_heads, shape.head_dim)).repeat_interleave(shape.group, 2)
    weights = change(torch.from_numpy(eager_attention(loaded, batch)[layer]))
    return torch.einsum("bhqk,bkhd->bqhd", weights, value.double()).float()


def seen_by(loaded: LoadedModel, batch: Batch, layer: int) -> torch.Tensor:
    seen: list[torch.Tensor] = []

    def look(at: int, heads: torch.Tensor) -> torch.Tensor:
        if at == layer:
            seen.append(heads)
        return heads

    with on_o_proj(loaded, look):
        forward(loaded, batch)
    return seen[0]


def test_uniform_attention_is_the_mean_of_what_may_be_seen(family: LoadedModel) -> None:
    batch = encode(family, SAMPLES)
    real = batch.inputs["attention_mask"].bool()
    layer, heads = 1, [0, 4]

    def even(weights: torch.Tensor) -> torch.Tensor:
        weights = weights.clone()
        may = torch.ones(real.shape[1], real.shape[1]).tril().bool() & real[:, None]
        weights[:, heads] = (may / may.sum(-1, keepdim=True).clamp(min=1))[:, None].double()
        return weights

    expected = by_weights(family, batch, layer, even)
    before = seen_by(family, batch, layer)
    with UniformAttention([Head(layer, head) for head in heads])(family.model):
        found = seen_by(family, batch, layer)
    same(found[real], expected[real])
    others = [1, 2, 3, 5]
    assert torch.equal(found[:, :, others], before[:, :, others])


@pytest.mark.parametrize(
    ("queries", "keys"),
    [("last", "targets"), ("question", "visual"), ("question", "everything"), ("text", "source"), ("all", "question")],
)  # fmt: skip
def test_knockout_cuts_these_edges_alone(family: LoadedModel, queries: Any, keys: Any) -> None:
    batch = encode(family, KINDS)
    real = batch.inputs["attention_mask"].bool()
    layer, heads = 1, [2, 5]
    length = real.shape[1]

    def cut(weights: torch.Tensor) -> torch.Tensor:
        weights = weights.clone()
        targets, gone = batch.targets(), 0
        for row in range(len(weights)):
            evidence = [p for p in range(length) if batch.source[row, p]]
            for q in range(length):
                asks = {
                    "last": q == length - 1,
                    "question": bool(batch.question[row, q]),
                    "text": q > max(evidence),
                    "all": True,
                }[queries]
                for k in range(length):
                    hidden = {
                        "targets": bool(targets[row, k]),
                        "visual": k in batch.cells[row].position,
                        "source": k in evidence,
                        "question": bool(batch.question[row, k]),
                        "everything": True,
                    }[keys]
                    if asks and hidden and q != k:
                        gone += 1
                        weights[row, heads, q, k] = 0
        assert gone
        return weights / weights.sum(-1, keepdim=True).clamp(min=1e-30)

    expected = by_weights(family, batch, layer, cut)
    before = seen_by(family, batch, layer)
    with Knockout([Head(layer, head) for head in heads], queries, keys).on(batch)(family.model):
        found = seen_by(family, batch, layer)
    same(found[real], expected[real])
    others = [0, 1, 3, 4]
    assert torch.equal(found[:, :, others], before[:, :, others])
    assert not torch.allclose(found[real], before[real], atol=1e-3)


def every(loaded: LoadedModel, batch: Batch) -> dict[str, Callable[[Any], Operator]]:
    means, source = mean_outputs(loaded, [batch]), partner_outputs(loaded, [batch], [batch])
    return {
        "zero": ZeroAblation,
        "zero in decoding": lambda heads: ZeroAblation(heads, when="decode"),
        "mean": lambda heads: MeanAblation(heads, means),
        "patch": lambda heads: Patch(heads, source),
        "uniform": UniformAttention,
        "uniform in the prompt": lambda heads: UniformAttention(heads, when="prefill"),
        "knockout": Knockout,
        "of the last to all": lambda heads: Knockout(heads, "last", "visual", when="prefill"),
    }


def test_nothing_is_left_behind(family: LoadedModel) -> None:
    """To the bit: after use, after an exception, nested, from a thread and a task."""
    batch = encode(family, KINDS)
    before = forward(family, batch)
    kinds = {
        name: make(HEADS).on(batch)  # type: ignore[attr-defined]
        for name, make in every(family, batch).items()
    }
    for intervention in kinds.values():
        other: list[torch.Tensor] = []
        with intervention(family.model):
            forward(family, batch)
            thread = threading.Thread(target=lambda kept=other: kept.append(forward(family, batch)))
            thread.start()
            thread.join()
        assert torch.equal(other[0], before)
        assert torch.equal(forward(family, batch), before)
        with pytest.raises(KeyboardInterrupt), intervention(family.model):
            raise KeyboardInterrupt
        assert torch.equal(forward(family, batch), before)
    with ExitStack() as stack:
        for intervention in kinds.values():
            stack.enter_context(intervention(family.model))
        forward(family, batch)
    assert torch.equal(forward(family, batch), before)

    async def task() -> torch.Tensor:
        with kinds["zero"](family.model):
            return await asyncio.to_thread(forward, family, batch)

    changed = in_a_loop(task())
    assert not torch.equal(changed, before)
    assert torch.equal(forward(family, batch), before)


def test_many_sets_at_once_equal_one_by_one_for_every_kind(family: LoadedModel) -> None:
    batch = encode(family, KINDS)
    sets = {"a": HEADS, "b": [Head(0, 2), Head(2, 1)], "c": [Head(2, 5)]}
    for name, make in every(family, batch).items():
        table = outcomes(family, [batch], sets, make)
        for which, heads in sets.items():
            with make(heads).on(batch)(family.model):  # type: ignore[attr-defined]
                alone = evaluate(family, [batch])
            rows = table[table["set"] == which]
            torch.testing.assert_close(
                torch.tensor(rows.logprob.to_numpy()), torch.tensor(alone.logprob), atol=2e-4, rtol=1e-4,
                msg=f"{name}, {which}",
            )  # fmt: skip


def test_what_is_refused(tiny: LoadedModel, batch: Batch) -> None:
    cases: list[tuple[Any, str]] = [
        (ZeroAblation(HEADS, when="decode"), r"ZeroAblation must know the batch: write \.on\(batch\)"),
        (Knockout(HEADS), "Knockout must know the batch"),
        (ZeroAblation(HEADS, when="never").on(batch), "use 'prefill', 'decode' or 'both'"),  # type: ignore[arg-type]
        (UniformAttention([Head(9, 9)]), "Layer 9, head 9 does not exist"),
    ]
    for intervention, message in cases:
        with pytest.raises(CoreheadError, match=message), intervention(tiny.model):
            pass
    for arguments in (("nobody",), ("last", "nothing")):
        with pytest.raises(CoreheadError, match="use '"):
            Knockout(HEADS, *arguments).on(batch)
    with (
        pytest.raises(CoreheadError, match=r"call \.on with the batch that is run"),
        Knockout(HEADS).on(encode(tiny, SAMPLES[:1]))(tiny.model),
    ):
        forward(tiny, batch)
    with pytest.raises(CoreheadError, match="no reference set"):
        mean_outputs(tiny, [])
