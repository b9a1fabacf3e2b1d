"""Attention alone: what it takes on random tensors, kernel by kernel, and what arithmetic allows."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from corehead_lib.attention import Attend, Call, plain
from corehead_lib.heads import Head
from corehead_lib.hybrid.cost import take_turns
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.models import Backbone


def random_call(shape: Backbone, length: int, device: str = "cpu", dtype: str = "float32") -> Call:
    """One causal prefill of ``length`` tokens as an attention layer asks for it, in random numbers."""
    random = torch.Generator().manual_seed(length)
    query, key, value = (
        torch.randn(1, heads, length, shape.head_dim, generator=random).to(device, getattr(torch, dtype))
        for heads in (shape.heads, shape.kv_heads, shape.kv_heads)
    )
    module: Any = SimpleNamespace(num_key_value_groups=shape.group, is_causal=True, training=False)
    return Call(0, query, key, value, None, shape.head_dim**-0.5, module, {})


def compare_attention(
    shape: Backbone,
    lengths: Sequence[int],
    kernels: Mapping[str, Attend],
    device: str = "cpu",
    dtype: str = "float32",
    rounds: int = 3,
) -> list[dict[str, Any]]:
    """Run one layer's attention by several kernels, taking turns, ``rounds`` times after a warm-up.

    kernels: functions of a Call, such as ``attention.plain``.

    Returns rows of kernel, length, seconds (the fastest round), peak_bytes (the highest, beyond
    queries, keys and values).
    """
    rows: list[dict[str, Any]] = []
    for length in lengths:
        call = random_call(shape, length, device, dtype)
        with torch.inference_mode():
            turns = {name: partial(kernel, call) for name, kernel in kernels.items()}
            costs = take_turns(turns, call.query.device, rounds)
        rows += [
            {"kernel": name, "length": length, "seconds": cost.seconds, "peak_bytes": cost.extra_bytes}
            for name, cost in costs.items()
        ]
    return rows


def arithmetic_limit(length: int, heads: int, dense: int, window: int, sinks: int) -> float:
    """How many times fewer query-key pairs there are if all but ``dense`` of ``heads`` heads stream."""
    seen = np.arange(1, length + 1)  # keys up to each query
    streaming = np.minimum(seen, window) + np.clip(seen - window, 0, sinks)
    return float(heads * seen.sum() / (dense * seen.sum() + (heads - dense) * streaming.sum()))


def main() -> None:
    """Compare hybrid attention on this machine's GPU with that on its CPU, then time long prompts."""
    if not torch.cuda.is_available():
        raise SystemExit("This machine has no CUDA GPU that torch can use.")
    print(torch.cuda.get_device_name(), torch.__version__)
    shape, operator = (
        Backbone(1, 16, 8, 128),
        HybridAttention([Head(0, 3), Head(0, 8)], 256, 16, dense_rows=9),
    )
    for length, dtype, atol in ((1000, "float32", 2e-2), (4096, "bfloat16", 3e-2)):  # TF32, bfloat16
        cpu, gpu = random_call(shape, length), random_call(shape, length, "cuda", dtype)
        with torch.inference_mode():
            error = (operator.kernel(gpu).float().cpu() - operator.kernel(cpu)).abs().max()
        print(f"{length} tokens, {dtype}: largest difference {error:.4f}", "ok" if error < atol else "WRONG")
        if not error < atol:
            raise SystemExit(1)
    kernels = {"dense": plain, "hybrid": operator.kernel}
    for row in compare_attention(shape, [2048, 8192, 32768], kernels, "cuda", "bfloat16"):
        print(row)


if __name__ == "__main__":
    main()
