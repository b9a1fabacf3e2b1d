"""The FlexAttention path: its mask and blocks pair by pair, its outputs by FlexAttention's own uncompiled reference."""

import pytest
import torch
from test_hybrid import Case, make_case
from torch.nn.attention.flex_attention import flex_attention

from corehead_lib.hybrid import cuda as hybrid_cuda
from corehead_lib.hybrid.padding import Padding

SHAPES = [  # queries, cached, window, sinks, padding, dense rows
    (300, 0, 40, 4, [0, 0], 0),
    (300, 0, 150, 0, [70, 0], 0),
    (300, 0, 5, 9, [130, 299], 33),
    (256, 0, 128, 16, [0, 0], 1),
    (200, 150, 40, 4, [9, 170], 7),
    (1, 400, 40, 4, [0, 30], 7),
]


def a_case(queries: int, cached: int, window: int, sinks: int, padding: list[int], dense_rows: int) -> Case:
    return make_case(2, 2, 2, queries, cached, window, sinks, [1], padding, dense_rows, explicit=any(padding))


def outputs(case: Case, kernel: object) -> torch.Tensor:
    operator = case.operator
    dense = [head.head for head in operator.dense]
    places = Padding().places(case.call)
    return hybrid_cuda.attend(
        case.call, places, dense, operator.window, operator.sinks, operator.dense_rows, kernel
    )


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_equal_the_cpu_path(shape: tuple[int, int, int, int, list[int], int]) -> None:
    case = a_case(*shape)
    output = outputs(case, flex_attention)
    torch.testing.assert_close(output[case.real], case.run()[case.real], atol=1e-4, rtol=1e-4)
    assert output.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_hide_no_pair_and_show_none(shape: tuple[int, int, int, int, list[int], int]) -> None:
    """A pair that is seen lies in some block; a block that is not looked into holds no pair that is hidden."""
    case = a_case(*shape)
    queries, cached, window, sinks, _, dense_rows = shape
    keys, places = queries + cached, Padding().places(case.call)
    mask = hybrid_cuda.block_mask(
        places, 4, queries, keys, [1], window, sinks, dense_rows, torch.device("cpu")
    )
    some, every = (
        blocks(mask.kv_num_blocks, mask.kv_indices),
        blocks(mask.full_kv_num_blocks, mask.full_kv_indices),
    )
    b, h, q, k = (torch.arange(n) for n in (2, 4, queries, keys))
    seen = mask.mask_mod(b[:, None, None, None], h[:, None, None], q[:, None], k)
    assert not (some & every).any()
    for block_q in range(some.shape[2]):
        for block_k in range(some.shape[3]):
            rows = slice(128 * block_q, 128 * block_q + 128)
            columns = slice(128 * block_k, 128 * block_k + 128)
            within = seen[:, :, rows, columns].flatten(2)
            looked_at = some[:, :, block_q, block_k] | every[:, :, block_q, block_k]
            assert not (within.any(-1) & ~looked_at).any()
            assert (within.all(-1) | ~every[:, :, block_q, block_k]).all()


def test_most_blocks_of_streaming_heads_are_skipped_and_most_dense_ones_need_no_look() -> None:
    mask = hybrid_cuda.block_mask([(0, 4096)], 2, 4096, 4096, [0], 256, 16, 0, torch.device("cpu"))
    some = blocks(mask.kv_num_blocks, mask.kv_indices)
    every = blocks(mask.full_kv_num_blocks, mask.full_kv_indices)
    per_head = (some | every).sum((0, 2, 3))
    assert per_head.tolist() == [32 * 33 // 2, 1 + 2 + 3 + 29 * 4]
    assert some[0, 0].sum() == 32


def blocks(number: torch.Tensor | None, index: torch.Tensor | None) -> torch.Tensor:
    """(B, H, query blocks, key blocks) bool from FlexAttention's lists."""
    assert number is not None
    assert index is not None
    listed = torch.arange(index.shape[-1]) < number[..., None]
    return torch.zeros(index.shape, dtype=torch.bool).scatter(-1, index.long(), listed)
