"""Streaming attention of one sample: sinks and a causal window, in time and memory that grow with its length."""

import torch
from torch.nn.functional import scaled_dot_product_attention

from corehead_lib.hybrid.causal import causal

ROWS = 192  # query rows, of all heads of a KV group, from which the CPU kernel uses its larger tiles
BLOCK = 64  # places that share one run of keys, at least; 48 to 96 measured alike
CHUNK = 64  # runs of keys in one call of the kernel, over all KV groups: they stay in the cache
ALIGN = 16  # float32 numbers in a vector register


def stream(
    output: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    window: int,
    sinks: int,
    scaling: float,
) -> None:
    """Write into ``output`` (Tq, H, D) each query's attention to the first ``sinks`` places and the last ``window``.

    query: (H, Tq, D), the last Tq of Tk places; key, value: (G, Tk, D), G KV heads shared by H heads.

    The first ``window + sinks`` places see all before them. All others are taken in blocks: their keys are the
    sinks and one run of places, cut out of a view. The heads of a KV group are stacked as rows.
    """
    rows, offset = query.shape[1], key.shape[1] - query.shape[1]
    start = min(max(window + sinks - offset, 0), rows)
    if start:
        seen = offset + start
        output[:start] = causal(query[:, :start], key[:, :seen], value[:, :seen], scaling).transpose(0, 1)
    if start < rows == 1:  # a decoding step: no mask, because all in the window is seen
        keys, values = (torch.cat([x[:, :sinks], x[:, -window:]], 1) for x in (key, value))
        output.copy_(causal(query, keys, values, scaling).transpose(0, 1))
        return
    size = block_size(len(query) // len(key))
    chunk = size * max(1, CHUNK // len(key))
    kept: dict[tuple[str, int, int, int], torch.Tensor] = {}  # memory to use again: fresh pages are slow
    while start < rows:
        left = rows - start
        stop = start + (min(chunk, left // size * size) if left >= size else left)
        _blocks(output, query, key, value, start, stop, size, window, sinks, scaling, kept)
        start = stop


def _blocks(
    output: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    start: int,
    stop: int,
    size: int,
    window: int,
    sinks: int,
    scaling: float,
    kept: dict[tuple[str, int, int, int], torch.Tensor],
) -> None:
    """Do the queries from ``start`` to ``stop``: a number of whole blocks, or the one short block at the end."""
    (heads, rows, _), (groups, keys, _) = query.shape, key.shape
    size = min(size, stop - start)
    blocks, offset = (stop - start) // size, keys - rows
    first = start + offset - window + 1  # oldest place that the first query sees
    spare = min(first, -(sinks + window - 1 + size) % ALIGN)  # hidden from all; an odd tail costs more
    run = spare + window - 1 + size

    def copied(name: str, *parts: torch.Tensor) -> torch.Tensor:
        made = torch.cat(parts, 2, out=kept.get((name, blocks, size, run)))
        if not torch.is_grad_enabled():
            kept[name, blocks, size, run] = made
        return made

    def runs(name: str, x: torch.Tensor) -> torch.Tensor:
        """(G, blocks, sinks + run, D)"""
        near = x[:, first - spare : stop + offset].unfold(1, run, size).transpose(2, 3)
        return copied(name, x[:, None, :sinks].expand(-1, blocks, -1, -1), near)

    ahead = torch.arange(run, device=query.device) - torch.arange(size, device=query.device)[:, None] - spare
    mask = query.new_zeros(size, sinks + run)
    mask[:, sinks:].masked_fill_((ahead < 0) | (ahead >= window), -torch.inf)
    stacked = query[:, start:stop].unflatten(0, (groups, -1)).unflatten(2, (blocks, size)).transpose(1, 2)
    done = scaled_dot_product_attention(
        copied("query", stacked).flatten(2, 3),
        runs("key", key),
        runs("value", value),
        attn_mask=mask.repeat(heads // groups, 1),
        scale=scaling,
    )
    done = done.unflatten(2, (-1, size)).permute(1, 3, 0, 2, 4)  # (blocks, size, G, H / G, D)
    output[start:stop].unflatten(0, (blocks, size)).unflatten(2, (groups, -1)).copy_(done)


def block_size(group: int) -> int:
    """Places in a block if ``group`` query heads share a KV head."""
    return max(BLOCK, ROWS // group)


def crossover(window: int, sinks: int, group: int, dense: float = 0.0) -> int:
    """Length from which a prompt gains by streaming all heads but a share ``dense`` of them.

    In a prompt of T tokens a dense head compares T / 2 pairs for each query, a streaming head at most ``window + sinks``
    and a block's own length; dense heads cost both, because their rows are computed twice. Measured on two cores
    with windows of 256, hybrid attention is 1.05 to 1.2 times as fast there, and even with dense at two thirds of it.
    """
    return round(2 * (window + sinks + block_size(group)) / max(1 - dense, 1e-9))
