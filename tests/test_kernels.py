"""The CPU kernels of hybrid attention, cut into parts or not, against attention with a mask."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hybrid import make_case

from corehead_lib.attention import plain
from corehead_lib.heads import Head
from corehead_lib.hybrid import causal as causal_module
from corehead_lib.hybrid.causal import attend, causal
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.hybrid.stream import crossover, stream


def tensors(heads: int, groups: int, rows: int, keys: int, layout: str = "heads") -> tuple[torch.Tensor, ...]:
    """query (H, Tq, D), key and value (G, Tk, D), stored head by head or, as a model does, token by token."""
    random = torch.Generator().manual_seed(rows + 100 * keys)
    shapes = ((heads, rows), (groups, keys), (groups, keys))
    if layout == "heads":
        return tuple(torch.randn(h, n, 8, generator=random) for h, n in shapes)
    return tuple(torch.randn(n, h, 8, generator=random).transpose(0, 1) for h, n in shapes)


def masked(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int, sinks: int
) -> torch.Tensor:
    rows, keys = query.shape[1], key.shape[1]
    j = torch.arange(keys)
    i = j[keys - rows :, None]
    return attend(query, key, value, 0.3, mask=(j <= i) & ((i - j < window) | (j < sinks)))


@given(
    heads=st.sampled_from([(1, 1), (3, 3), (4, 2), (6, 1)]),
    rows=st.integers(2, 70),
    before=st.sampled_from([0, 0, 1, 30]),
    layout=st.sampled_from(["heads", "tokens"]),
)
@settings(max_examples=60, deadline=None)
def test_a_triangle_in_parts_equals_the_whole(
    heads: tuple[int, int], rows: int, before: int, layout: str
) -> None:
    q, k, v = tensors(*heads, rows, rows + before, layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(causal_module, "_balanced", lambda heads, rows: False)
        found = causal(q, k, v, 0.3)
    torch.testing.assert_close(found, masked(q, k, v, rows + before, 0), atol=1e-5, rtol=1e-5)


@given(
    heads=st.sampled_from([(1, 1), (4, 2), (7, 1), (40, 20)]),
    rows=st.integers(1, 900),
    before=st.sampled_from([0, 0, 1, 300]),
    window=st.integers(1, 150),
    sinks=st.integers(0, 20),
    layout=st.sampled_from(["heads", "tokens"]),
)
@settings(max_examples=60, deadline=None)
def test_blocks_of_their_real_size_equal_a_mask(
    heads: tuple[int, int], rows: int, before: int, window: int, sinks: int, layout: str
) -> None:
    q, k, v = tensors(*heads, rows, rows + before, layout)
    found = torch.full((rows, heads[0], 8), torch.nan)
    stream(found, q, k, v, window, sinks, 0.3)
    expected = masked(q, k, v, window, sinks).transpose(0, 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("error")
def test_memory_is_used_again_only_by_blocks_of_the_same_size() -> None:
    q, k, v = tensors(16, 8, 200, 200)
    found = q.new_empty(q.shape).transpose(0, 1)
    with (
        torch.inference_mode()
    ):  # the last block is short; its run of keys is padded to the length of the others
        stream(found, q, k, v, 16, 0, 0.3)
    torch.testing.assert_close(found, masked(q, k, v, 16, 0).transpose(0, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rows", "keys"), [(1500, 1500), (1200, 1300)])
def test_gradients_flow_through_all_of_it(rows: int, keys: int) -> None:
    """Also where the kernels would be put together by denominators, which carry none."""
    grads = []
    for reference in (True, False):
        q, k, v = (x.requires_grad_() for x in tensors(3, 1, rows, keys))
        found = torch.zeros(rows, 3, 8)
        if reference:
            found = masked(q, k, v, 50, 3).transpose(0, 1) + masked(q, k, v, keys, 0).transpose(0, 1)
        else:
            stream(found, q, k, v, 50, 3, 0.3)
            found = found + causal(q, k, v, 0.3).transpose(0, 1)
        found.square().sum().backward()
        grads.append((q.grad, k.grad, v.grad))
    torch.testing.assert_close(grads[1], grads[0], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_near_as_it_can_be(dtype: torch.dtype) -> None:
    q, k, v = (x.to(dtype) for x in tensors(3, 1, 1500, 1500))
    found = torch.zeros(1500, 3, 8, dtype=dtype)
    stream(found, q, k, v, 50, 3, 0.3)
    expected = masked(q.float(), k.float(), v.float(), 50, 3).transpose(0, 1)
    torch.testing.assert_close(found.float(), expected, atol=2e-2, rtol=2e-2)


def test_short_prompts_fall_back_if_asked_to() -> None:
    least = crossover(window=16, sinks=4, group=2, dense=0.25)
    for length, falls_back in ((least - 1, True), (least, False)):
        case = make_case(1, 2, 2, length, 0, window=16, sinks=4, dense=[0], padding=[0])
        found = HybridAttention([Head(0, 0)], 16, 4, fall_back=True).attend(case.call, plain)
        assert torch.equal(found, plain(case.call)) == falls_back
        assert not torch.equal(case.run(), plain(case.call))


def test_the_crossover_grows_with_what_streaming_costs() -> None:
    assert crossover(256, 16, 4) == 2 * (256 + 16 + 64)
    assert crossover(512, 16, 4) > crossover(256, 16, 4)
    assert crossover(256, 16, 4, dense=0.5) == 2 * crossover(256, 16, 4)
    assert crossover(256, 16, 4, dense=1.0) > 10**9
