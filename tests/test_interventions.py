"""Ablating heads against zeroing the same columns in front of the output projection."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from tiny import eager_attention, forward, generate

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.ram_operator import RetrievalAttentionMass

SOME = [Head(0, 5), Head(1, 0), Head(1, 3), Head(2, 2)]


@contextmanager
def columns_zeroed(loaded: LoadedModel, heads: Collection[Head]) -> Iterator[None]:
    """The reference: hooks that zero the heads' columns of each output projection's input."""
    width = loaded.backbone.head_dim

    def hook(layer: int) -> Any:
        def zero(_: torch.nn.Module, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            columns = arguments[0].clone()
            for at, head in heads:
                if at == layer:
                    columns[..., head * width : (head + 1) * width] = 0
            return (columns,)

        return zero

    with ExitStack() as stack:
        for number, layer in enumerate(loaded.model.model.language_model.layers):
            stack.enter_context(removing(layer.self_attn.o_proj.register_forward_pre_hook(hook(number))))
        yield


@contextmanager
def removing(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def test_ablating_nothing_changes_nothing(tiny: LoadedModel, batch: Batch) -> None:
    before = forward(tiny, batch)
    with ZeroAblation([])(tiny.model):
        assert torch.equal(forward(tiny, batch), before)


@pytest.mark.parametrize("heads", [[head] for head in SOME] + [SOME], ids=str)
def test_ablation_equals_zeroed_columns(tiny: LoadedModel, batch: Batch, heads: list[Head]) -> None:
    before = forward(tiny, batch)
    with columns_zeroed(tiny, heads):
        expected = forward(tiny, batch)
    with ZeroAblation(heads)(tiny.model):
        ablated = forward(tiny, batch)
    assert torch.equal(ablated, expected)
    assert not torch.equal(ablated, before)
    assert torch.equal(forward(tiny, batch), before)


def test_ablation_acts_in_every_step_of_generation(tiny: LoadedModel, batch: Batch) -> None:
    heads = [Head(layer, head) for layer in range(tiny.backbone.layers) for head in (0, 1, 4, 5)]
    with columns_zeroed(tiny, heads):
        expected = generate(tiny, batch, tokens=8)
    with ZeroAblation(heads)(tiny.model):
        ablated = generate(tiny, batch, tokens=8)
    assert torch.equal(ablated, expected)
    assert not torch.equal(ablated[:, 1:], generate(tiny, batch, tokens=8)[:, 1:])


def test_nested_ablations_add_up(tiny: LoadedModel, batch: Batch) -> None:
    with ZeroAblation(SOME)(tiny.model):
        expected = forward(tiny, batch)
    with ZeroAblation(SOME[:2])(tiny.model), ZeroAblation(SOME[2:])(tiny.model):
        assert torch.equal(forward(tiny, batch), expected)


def test_attention_of_an_ablated_model_can_be_watched(tiny: LoadedModel, batch: Batch) -> None:
    with columns_zeroed(tiny, SOME):
        weights = torch.from_numpy(eager_attention(tiny, batch)).permute(1, 0, 2, 3, 4)  # (B, L, H, T, T)
    expected = torch.einsum("blht,bt->blh", weights[:, :, :, -1], batch.targets().double())
    watch = RetrievalAttentionMass(batch.last, batch.targets())
    with ZeroAblation(SOME)(tiny.model), watch(tiny.model):
        forward(tiny, batch)
    torch.testing.assert_close(watch.mass.double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("head", [Head(3, 0), Head(0, 6), Head(-1, 0), Head(0, -1)])
def test_an_unknown_head_is_refused(tiny: LoadedModel, head: Head) -> None:
    message = f"Layer {head.layer}, head {head.head} does not exist: the model has 3 layers of 6 heads"
    with pytest.raises(CoreheadError, match=message), ZeroAblation([Head(0, 0), head])(tiny.model):
        pass
