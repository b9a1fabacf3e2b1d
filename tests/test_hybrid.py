"""Hybrid attention against dense attention with a mask that is written out in full."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SAMPLES, forward, generate

from corehead_lib.attention import Call, plain
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.hybrid import stream
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.models import LoadedModel

DENSE = [Head(0, 1), Head(1, 0), Head(1, 5), Head(2, 4)]


@dataclass
class Case:
    """One attention call of random shape, and how to stream it."""

    call: Call
    padding: list[int]  # per sample, padded places on the left
    operator: HybridAttention
    block: int = 256

    @property
    def real(self) -> torch.Tensor:
        """(B, Tq) bool: the queries that are not padding."""
        keys, queries = self.call.key.shape[2], self.call.query.shape[2]
        place = torch.arange(keys - queries, keys)
        return place >= torch.tensor(self.padding)[:, None]

    def run(self) -> torch.Tensor:
        with mock.patch.multiple(stream, BLOCK=self.block, ROWS=1):
            return self.operator.attend(self.call, plain)

    def reference(self) -> torch.Tensor:
        """Entry by entry which query sees which key, then a softmax in float64: (B, Tq, H, D)."""
        query, key, value = (t.double() for t in (self.call.query, self.call.key, self.call.value))
        batch, heads, queries, _ = query.shape
        keys, group = key.shape[2], heads // key.shape[1]
        dense = {head.head for head in self.operator.dense}
        output = torch.zeros(batch, queries, heads, query.shape[3], dtype=torch.float64)
        for b in range(batch):
            for row in range(queries):
                i = keys - queries + row
                if i < self.padding[b]:
                    continue
                last = queries > 1 and row >= queries - self.operator.dense_rows
                causal = range(self.padding[b], i + 1)
                near = [
                    j
                    for j in causal
                    if i - j < self.operator.window or j - self.padding[b] < self.operator.sinks
                ]
                for head in range(heads):
                    sees = list(causal) if head in dense or last else near
                    logits = key[b, head // group, sees] @ query[b, head, row] * self.call.scaling
                    output[b, row, head] = logits.softmax(0) @ value[b, head // group, sees]
        return output


def make_case(
    batch: int,
    groups: int,
    group: int,
    queries: int,
    cached: int,
    window: int,
    sinks: int,
    dense: list[int],
    padding: list[int],
    dense_rows: int = 0,
    block: int = 256,
    explicit: bool = False,
    width: int = 4,
) -> Case:
    keys, heads = queries + cached, groups * group
    random = torch.Generator().manual_seed(queries * 1000 + cached)
    key, value = (torch.randn(batch, groups, keys, width, generator=random) for _ in range(2))
    query = 3 * torch.randn(batch, heads, queries, width, generator=random)
    mask = None
    if any(padding) or explicit or 1 < queries < keys:  # when transformers makes a mask
        place = torch.arange(keys)
        begin = torch.tensor(padding)[:, None, None]
        mask = ((place <= place[cached:, None]) & (place >= begin))[:, None]
    module: Any = SimpleNamespace(num_key_value_groups=group, is_causal=True, training=False)
    call = Call(0, query, key, value, mask, width**-0.5, module, {})
    operator = HybridAttention([Head(0, head) for head in dense], window, sinks, dense_rows)
    return Case(call, padding, operator, block)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    groups, group, batch = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    queries, cached = draw(st.integers(1, 21)), draw(st.sampled_from([0, 0, 1, 7, 12]))
    padding = st.lists(st.integers(0, queries + cached - 1), min_size=batch, max_size=batch)
    return make_case(
        batch,
        groups,
        group,
        queries,
        cached,
        window=draw(st.integers(1, 12)),
        sinks=draw(st.integers(0, 6)),
        dense=draw(st.lists(st.integers(0, groups * group - 1), unique=True)),
        padding=draw(st.just([0] * batch) | padding),
        dense_rows=draw(st.sampled_from([0, 0, 1, 4, 50])),
        block=draw(st.sampled_from([1, 4, 7, 256])),
        explicit=draw(st.booleans()),
    )


@given(cases())
@settings(max_examples=150, deadline=None)
def test_any_shape_equals_the_written_out_mask(case: Case) -> None:
    output, expected = case.run(), case.reference()
    assert output.shape == expected.shape
    assert output.isfinite().all()
    torch.testing.assert_close(output[case.real].double(), expected[case.real], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("queries", "cached"), [(600, 0), (530, 90)])
def test_sequences_of_several_real_blocks(queries: int, cached: int) -> None:
    case = make_case(1, 1, 2, queries, cached, window=40, sinks=4, dense=[1], padding=[9])
    assert queries > 2 * stream.BLOCK
    torch.testing.assert_close(
        case.run()[case.real].double(), case.reference()[case.real], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("window", [3, 30])
def test_padded_rows_are_finite(window: int) -> None:
    case = make_case(2, 2, 2, 20, 0, window, sinks=2, dense=[0], padding=[0, 12], dense_rows=15)
    assert case.run().isfinite().all()


def test_padded_rows_of_streaming_heads_are_zero() -> None:
    case = make_case(2, 2, 2, 20, 0, window=3, sinks=2, dense=[0], padding=[0, 12])
    output = case.run()[:, :, 1:]
    assert (output[~case.real] == 0).all()
    assert (output[case.real] != 0).all()


def test_a_decoding_step_ignores_dense_rows() -> None:
    """One new token is not the question: it streams, as the rest of the answer will."""
    case = make_case(1, 1, 2, 1, 30, window=5, sinks=2, dense=[0], padding=[0], dense_rows=4)
    torch.testing.assert_close(case.run().double(), case.reference(), atol=1e-5, rtol=1e-5)


@pytest.fixture
def layers_and_heads(tiny: LoadedModel) -> list[Head]:
    return [Head(layer, h) for layer in range(tiny.backbone.layers) for h in range(tiny.backbone.heads)]


def test_all_heads_dense_equals_sdpa(tiny: LoadedModel, batch: Batch, layers_and_heads: list[Head]) -> None:
    expected, written = forward(tiny, batch), generate(tiny, batch)
    with HybridAttention(layers_and_heads, window=1, sinks=0)(tiny.model):
        assert torch.equal(forward(tiny, batch), expected)
        assert torch.equal(generate(tiny, batch), written)


def test_a_window_as_long_as_the_sequence_equals_sdpa(tiny: LoadedModel, batch: Batch) -> None:
    expected = forward(tiny, batch)
    with HybridAttention(DENSE, window=expected.shape[1])(tiny.model):
        assert torch.equal(forward(tiny, batch), expected)


def test_a_window_one_shorter_streams(tiny: LoadedModel, batch: Batch) -> None:
    expected = forward(tiny, batch)
    with HybridAttention(DENSE, window=expected.shape[1] - 1, sinks=0)(tiny.model):
        changed = forward(tiny, batch)
    real = batch.inputs["attention_mask"].bool()
    torch.testing.assert_close(
        changed[:, :-1][real[:, :-1]], expected[:, :-1][real[:, :-1]], atol=1e-3, rtol=1e-3
    )
    longest = batch.inputs["attention_mask"].sum(1).argmax()
    assert not torch.allclose(changed[longest, -1], expected[longest, -1], atol=1e-3)


def test_all_rows_dense_equals_sdpa(tiny: LoadedModel, batch: Batch) -> None:
    real, expected = batch.inputs["attention_mask"].bool(), forward(tiny, batch)
    with HybridAttention([], window=4, dense_rows=expected.shape[1])(tiny.model):
        torch.testing.assert_close(forward(tiny, batch)[real], expected[real], atol=1e-3, rtol=1e-4)


def test_a_left_padded_batch_equals_unpadded_samples(tiny: LoadedModel, batch: Batch) -> None:
    with HybridAttention(DENSE, window=6, sinks=3, dense_rows=2)(tiny.model):
        together = forward(tiny, batch)[:, -1]
        alone = [forward(tiny, encode(tiny, [sample]))[0, -1] for sample in SAMPLES]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("single", [True, False])
def test_decoding_with_a_cache_equals_one_long_prefill(tiny: LoadedModel, batch: Batch, single: bool) -> None:
    prompt = encode(tiny, SAMPLES[:1]) if single else batch
    with HybridAttention(DENSE, window=7, sinks=2)(tiny.model):
        written = generate(tiny, prompt, tokens=5)
        inputs = dict(prompt.inputs)
        for name, tail in {
            "input_ids": written,
            "attention_mask": torch.ones_like(written),
            "mm_token_type_ids": torch.zeros_like(written),
        }.items():
            inputs[name] = torch.cat([inputs[name], tail], 1)
        whole = forward(tiny, replace(prompt, inputs=inputs))
    assert torch.equal(whole[:, -6:-1].argmax(-1), written)
    assert not torch.equal(generate(tiny, prompt, tokens=5), written)


@pytest.fixture
def untouched(tiny: LoadedModel, batch: Batch) -> Iterator[None]:
    before = forward(tiny, batch)
    yield
    assert torch.equal(forward(tiny, batch), before)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("wrong", [{"window": 0}, {"sinks": -1}, {"dense_rows": -1}])
def test_wrong_numbers_are_refused(tiny: LoadedModel, wrong: dict[str, int]) -> None:
    operator = HybridAttention([], **{"window": 4, **wrong})  # type: ignore[arg-type]
    with pytest.raises(CoreheadError, match="window holds at least"), operator(tiny.model):
        pass


def test_an_unknown_dense_head_is_refused(tiny: LoadedModel) -> None:
    with pytest.raises(CoreheadError, match="does not exist"), HybridAttention([Head(3, 0)], 4)(tiny.model):
        pass
