"""The one attention function: padding is seen, only the language model is switched, everything is undone."""

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace

import pytest
import torch
from tiny import SAMPLES, eager, forward, generate
from transformers import AttentionInterface

from corehead_lib import attention
from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel


@dataclass
class Scale(Operator):
    """Multiplies what comes from within, then adds: the order of two of these shows in the result."""

    times: float
    plus: float = 0.0
    log: list[int] = field(default_factory=list)

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        self.log.append(call.layer)
        return inner(call) * self.times + self.plus


@pytest.fixture(autouse=True)
def everything_is_undone(tiny: LoadedModel) -> Iterator[None]:
    yield
    assert implementation(tiny) == "sdpa"
    assert not attention._LIVE
    assert attention._MINE.get() == ()


def implementation(loaded: LoadedModel) -> str:
    return loaded.model.config.get_text_config()._attn_implementation


def padding_error(loaded: LoadedModel, batch: Batch) -> float:
    """Largest change in the last token's logits when the samples run one by one, unpadded."""
    alone = [forward(loaded, encode(loaded, [sample]))[0, -1] for sample in SAMPLES]
    return float((forward(loaded, batch)[:, -1] - torch.stack(alone)).abs().max())


def test_a_left_padded_batch_equals_unpadded_samples(tiny: LoadedModel, batch: Batch) -> None:
    with Operator()(tiny.model):
        assert padding_error(tiny, batch) < 1e-3


def test_a_name_without_mask_function_fails_that_check(tiny: LoadedModel, batch: Batch) -> None:
    """The trap: transformers then passes no mask at all, and padding is attended to in silence."""
    AttentionInterface.register("no_mask", attention.core_head_attention)
    try:
        tiny.model.set_attn_implementation({"text_config": "no_mask"})
        assert padding_error(tiny, batch) > 0.1
    finally:
        tiny.model.set_attn_implementation({"text_config": "sdpa"})
        del AttentionInterface._global_mapping["no_mask"]
    assert "no_mask" not in AttentionInterface().valid_keys()
    assert AttentionInterface()["sdpa"] is attention.core_head_attention


def test_attention_is_causal(tiny: LoadedModel) -> None:
    one = encode(tiny, SAMPLES[:1])
    ids = one.inputs["input_ids"].clone()
    ids[0, -1] = 5
    changed = replace(one, inputs={**one.inputs, "input_ids": ids})
    with Operator()(tiny.model):
        before, after = forward(tiny, one), forward(tiny, changed)
    assert torch.equal(before[:, :-1], after[:, :-1])
    assert not torch.equal(before[:, -1], after[:, -1])


def test_the_plain_operator_is_bit_identical_to_sdpa(tiny: LoadedModel, batch: Batch) -> None:
    expected, written = forward(tiny, batch), generate(tiny, batch)
    with Operator()(tiny.model):
        assert torch.equal(forward(tiny, batch), expected)
        assert torch.equal(generate(tiny, batch), written)


def test_sdpa_agrees_with_eager(tiny: LoadedModel, batch: Batch) -> None:
    real = batch.inputs["attention_mask"].bool()
    with eager(tiny):
        expected = forward(tiny, batch)[real]
    torch.testing.assert_close(forward(tiny, batch)[real], expected, atol=1e-3, rtol=1e-4)


def test_an_operator_is_undone_after_an_exception(tiny: LoadedModel, batch: Batch) -> None:
    before = forward(tiny, batch)
    with suppress(KeyError), Scale(0)(tiny.model):
        during = forward(tiny, batch)
        raise KeyError
    assert not torch.equal(during, before)
    assert implementation(tiny) == "sdpa"
    assert torch.equal(forward(tiny, batch), before)


def test_an_operator_is_undone_after_an_exception_inside_the_forward_pass(
    tiny: LoadedModel, batch: Batch
) -> None:
    class Broken(Operator):
        def attend(self, call: Call, inner: Attend) -> torch.Tensor:
            raise KeyError(call.layer)

    before = forward(tiny, batch)
    with pytest.raises(KeyError), Broken()(tiny.model):
        forward(tiny, batch)
    assert torch.equal(forward(tiny, batch), before)


def test_the_last_operator_entered_is_outermost(tiny: LoadedModel, batch: Batch) -> None:
    with Scale(2)(tiny.model), Scale(1, plus=1)(tiny.model):
        twice_then_plus = forward(tiny, batch)
    with Scale(2, plus=1)(tiny.model):
        assert torch.equal(forward(tiny, batch), twice_then_plus)
    with Scale(2, plus=2)(tiny.model):
        assert not torch.equal(forward(tiny, batch), twice_then_plus)


def test_leaving_the_inner_block_leaves_the_outer_operator_at_work(tiny: LoadedModel, batch: Batch) -> None:
    with Scale(0.5)(tiny.model):
        alone = forward(tiny, batch)
        with Scale(0)(tiny.model):
            assert not torch.equal(forward(tiny, batch), alone)
        assert torch.equal(forward(tiny, batch), alone)


def test_equal_operators_are_told_apart(tiny: LoadedModel, batch: Batch) -> None:
    first, second = Scale(0.5), Scale(0.5)
    assert first == second
    with first(tiny.model):
        with Scale(1, plus=1)(tiny.model), second(tiny.model):
            pass
        with Scale(1, plus=1)(tiny.model):
            with second(tiny.model):
                pass
            inside = forward(tiny, batch)
    with Scale(0.5, plus=1)(tiny.model):
        assert torch.equal(forward(tiny, batch), inside)


def test_only_the_language_model_is_reached(family: LoadedModel) -> None:
    operator = Scale(1)
    with operator(family.model):
        forward(family, encode(family, SAMPLES))
    assert operator.log == list(range(family.backbone.layers))


def test_another_model_is_left_alone(tiny: LoadedModel, batch: Batch) -> None:
    other = replace(tiny, model=deepcopy(tiny.model))
    expected = forward(tiny, batch)
    with Scale(0)(tiny.model):
        assert torch.equal(forward(other, batch), expected)


def test_a_model_in_eager_attention_is_refused(tiny: LoadedModel) -> None:
    message = "'eager' attention; load it with 'sdpa'"
    with eager(tiny), pytest.raises(CoreheadError, match=message), Operator()(tiny.model):
        pass


def test_an_operator_that_refuses_the_model_changes_nothing(tiny: LoadedModel) -> None:
    class Refuses(Operator):
        def begin(self, model: object) -> None:
            raise CoreheadError("no")

    with pytest.raises(CoreheadError, match="no"), Refuses()(tiny.model):
        pass
    assert implementation(tiny) == "sdpa"
