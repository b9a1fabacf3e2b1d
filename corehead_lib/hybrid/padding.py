"""Where the real tokens of each sample are, read from the mask that transformers made."""

from weakref import ref

import torch

from corehead_lib.attention import Call
from corehead_lib.errors import CoreheadError

Places = list[tuple[int, int]]  # per sample, its first real token and the end of its real tokens
ROWS_AT_ONCE = 1024


class Padding:
    """Reads masks, and remembers the last one, because all layers of a forward pass share it."""

    def __init__(self) -> None:
        self._last: tuple[ref[torch.Tensor], Places] | None = None  # one value, so that threads never mix two

    def places(self, call: Call) -> Places:
        """Per sample, (begin, end) among the keys; all keys where there is no mask.

        Raises CoreheadError where "causal, from begin to end" is not what the mask says: for a static cache,
        padding on the right with a cache, packed samples, or a mask of one's own.
        """
        queries, keys = call.query.shape[2], call.key.shape[2]
        if call.mask is None:
            if 1 < queries < keys:  # transformers leaves the mask out here for an empty static cache alone
                raise _static(queries, keys)
            return [(0, keys)] * len(call.query)
        last = self._last
        if last is None or last[0]() is not call.mask:
            self._last = last = ref(call.mask), _read(call.mask, queries, keys)
        return last[1]


def _read(mask: torch.Tensor, queries: int, keys: int) -> Places:
    if mask.dtype != torch.bool or mask.shape[1] != 1:
        raise CoreheadError(
            f"Hybrid attention got a mask of {mask.dtype} and shape {tuple(mask.shape)}: "
            "give the model a 2-D attention_mask of ones and zeros."
        )
    last = mask[:, 0, -1]
    count = last.sum(-1)
    begin = torch.where(count > 0, last.int().argmax(-1), 0)
    end = begin + count
    if queries < keys and not bool((end == keys).all()):
        raise _static(queries, keys)
    column = torch.arange(keys, device=mask.device)
    real = (column >= begin[:, None]) & (column < end[:, None])
    for rows in torch.arange(keys - queries, keys, device=mask.device).split(ROWS_AT_ONCE):
        expected = (column <= rows[:, None]) & real[:, None]
        start = int(rows[0]) - (keys - queries)
        if not torch.equal(mask[:, 0, start : start + len(rows)].expand(len(real), -1, -1), expected):
            raise CoreheadError(
                "Hybrid attention got a mask that is more than causal with padding on one side (packed samples, "
                "padding in the middle, or a mask of its own kind): run each sequence by itself."
            )
    return list(zip(begin.tolist(), end.tolist(), strict=True))


def _static(queries: int, keys: int) -> CoreheadError:
    return CoreheadError(
        f"Hybrid attention got {queries} queries and {keys} keys, the last of them not in use: a static cache, or "
        "padding on the right. Use the default cache (cache_implementation=None) or HybridCache, and pad on the left."
    )
