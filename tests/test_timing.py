"""The timing of attention alone: its arithmetic against counted pairs, its rows against the book's columns."""

import pytest
import torch

from corehead_lib.attention import plain
from corehead_lib.heads import Head
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.hybrid.timing import arithmetic_limit, compare_attention
from corehead_lib.models import Backbone


@pytest.mark.parametrize(
    ("length", "window", "sinks"), [(1, 1, 0), (9, 3, 2), (9, 3, 0), (12, 8, 6), (5, 9, 4)]
)
def test_the_limit_counts_pairs(length: int, window: int, sinks: int) -> None:
    place = torch.arange(length)
    causal = place <= place[:, None]
    streaming = causal & ((place[:, None] - place < window) | (place < sinks))
    expected = 4 * causal.sum() / (causal.sum() + 3 * streaming.sum())
    assert arithmetic_limit(length, 4, 1, window, sinks) == pytest.approx(float(expected))


def test_one_row_for_each_kernel_and_length() -> None:
    operator = HybridAttention([Head(0, 0)], window=8, sinks=2)
    kernels = {"dense": plain, "hybrid": operator.kernel}
    rows = compare_attention(Backbone(1, 4, 2, 8), [16, 32], kernels, rounds=1)
    assert [(row["kernel"], row["length"]) for row in rows] == [
        (kernel, length) for length in (16, 32) for kernel in ("dense", "hybrid")
    ]
    assert all(row["seconds"] > 0 and row["peak_bytes"] >= 0 for row in rows)
