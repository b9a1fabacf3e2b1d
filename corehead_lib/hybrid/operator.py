"""Hybrid attention: a few heads stay dense, all others stream (sinks and a causal window).

A streaming query at place i sees key j when j <= i and either i - j < window or j is one of the
first ``sinks`` real tokens (StreamingLLM, arXiv 2309.17453; the paper's "[i-w, i+w]" is causal in
a decoder). The work of a streaming head grows with the length, not with its square. The kernels are in
causal.py and stream.py, on CUDA in cuda.py; cache.py trims what streaming heads no longer see.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from threading import get_ident
from typing import ClassVar, Protocol

import torch
from torch.nn.functional import pad
from transformers import PreTrainedModel

from corehead_lib.attention import Attend, Call, Operator, plain
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head
from corehead_lib.hybrid import cuda as hybrid_cuda
from corehead_lib.hybrid.causal import causal
from corehead_lib.hybrid.padding import Padding, Places
from corehead_lib.hybrid.stream import crossover, stream
from corehead_lib.interventions import check_heads, heads_of_layer


class CacheLayer(Protocol):
    """What hybrid attention asks of the cache of one layer; cache.py has it."""

    keys: torch.Tensor  # (B, G, T, D), or of the ``full`` groups alone once trimmed
    full: list[int]
    near: list[int]
    near_keys: torch.Tensor | None  # of the other groups, once trimmed

    def seen(self, places: Places) -> tuple[torch.Tensor, torch.Tensor, Places]: ...
    def trim(self, places: Places) -> None: ...


@dataclass
class HybridAttention(Operator):
    """Keeps ``dense`` heads on the plain kernel and lets all others stream; it replaces the kernel.

    window: keys that a streaming query sees, itself included (>= 1).
    sinks: first real tokens that every query sees (>= 0).
    dense_rows: the last rows of the prompt (such as the question) that stay dense in every head; 0
        for none.
    fall_back: leave prompts dense that are too short to gain (``stream.crossover``). They take no longer than
        without this operator, but are no longer what the rule above says; decoding always streams.

    Raises CoreheadError for numbers out of range, unknown heads, and, when run, for a static cache or for
    a mask that is more than causal with padding.
    """

    replaces_kernel: ClassVar[bool] = True

    dense: Collection[Head]
    window: int
    sinks: int = 4
    dense_rows: int = 0
    fall_back: bool = False
    _padding: Padding = field(default_factory=Padding, init=False, repr=False, compare=False)
    # by thread and layer, between the update of a cache and the attention that follows
    _cached: dict[tuple[int, int], CacheLayer] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def begin(self, model: PreTrainedModel) -> None:
        for key in [key for key in tuple(self._cached) if key[0] == get_ident()]:
            del self._cached[key]
        check_heads(self.dense, model)
        if self.window < 1 or self.sinks < 0 or self.dense_rows < 0:
            raise CoreheadError(
                f"window={self.window}, sinks={self.sinks}, dense_rows={self.dense_rows}: "
                "the window holds at least the token itself, the others are not negative."
            )

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        layer = self._cached.pop((get_ident(), call.layer), None)
        if layer is not None and layer.keys is not call.key:
            layer = None  # left behind by a forward pass that failed
        group = int(call.module.num_key_value_groups)  # type: ignore[arg-type]
        if layer is None and call.key.shape[1] * group != call.query.shape[1]:
            raise CoreheadError(
                "An operator changed the keys of a trimmed cache, whose other part it cannot see: "
                "use the default cache beside it."
            )
        places = self._padding.places(call)
        dense = heads_of_layer(self.dense, call.layer)
        if layer is not None and layer.near_keys is not None:
            output = self._attend_trimmed(call, places, dense, layer)
        elif self._all_dense(call, places, dense):
            output = plain(call)
        elif call.query.is_cuda and call.query.shape[2] > 1:
            output = hybrid_cuda.attend(call, places, dense, self.window, self.sinks, self.dense_rows)
        else:
            output = self._attend(call.query, call.key, call.value, places, dense, call.scaling)
        if layer is not None:
            layer.trim(places)
        return output

    def kernel(self, call: Call) -> torch.Tensor:
        """This operator's attention by itself, to call without a model: (B, Tq, H, D)."""
        return self.attend(call, plain)

    def hand_over(self, index: int, layer: CacheLayer) -> None:
        """Take the cache of layer ``index``, which has just been updated, for the attention that follows."""
        self._cached[get_ident(), index] = layer

    def _all_dense(self, call: Call, places: Places, dense: list[int]) -> bool:
        """Whether no query would see less in a streaming head, or not enough less to gain."""
        heads, queries, keys = call.query.shape[1], call.query.shape[2], call.key.shape[2]
        longest = max(end - begin for begin, end in places)
        if len(dense) == heads or longest <= self.window + self.sinks:
            return True
        group = heads // call.key.shape[1]
        least = crossover(self.window, self.sinks, group, len(dense) / heads)
        return self.fall_back and queries == keys and longest < least

    def _attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        places: Places,
        dense: list[int],
        scaling: float,
    ) -> torch.Tensor:
        """(B, Tq, H, D), sample by sample, so that none of them needs a mask; zeros for padding."""
        queries, group = query.shape[2], query.shape[1] // key.shape[1]
        offset = key.shape[2] - queries  # keys that the cache held already
        groups = [head // group for head in dense]
        made = []
        for b, (begin, end) in enumerate(places):
            rows = slice(max(begin - offset, 0), end - offset)
            q, k, v = query[b, :, rows], key[b, :, begin:end], value[b, :, begin:end]
            # memory of its own: autograd forgets writes into views of views
            out = q.new_empty(q.transpose(0, 1).shape)
            stream(out, q, k, v, self.window, self.sinks, scaling)
            if dense:
                out[:, dense] = causal(q[dense], k[groups], v[groups], scaling).transpose(0, 1)
            if self.dense_rows and queries > 1:
                last = min(self.dense_rows, len(out))
                out[-last:] = causal(q[:, -last:], k, v, scaling).transpose(0, 1)
            made.append(
                out if len(out) == queries else pad(out, (0, 0, 0, 0, rows.start, queries - rows.stop))
            )
        return torch.stack(made) if len(made) > 1 else made[0][None]

    def _attend_trimmed(
        self, call: Call, places: Places, dense: list[int], layer: CacheLayer
    ) -> torch.Tensor:
        """The same, from a cache that has dropped what no head of a group sees any more."""
        heads, queries = call.query.shape[1], call.query.shape[2]
        if self.dense_rows and queries > 1:
            raise CoreheadError(
                f"dense_rows={self.dense_rows}, but the cache was trimmed after the first part of the prompt: "
                "run the whole prompt in one pass, or use dense_rows=0."
            )
        group = heads // (len(layer.full) + len(layer.near))
        full, near = (
            [g * group + i for g in groups for i in range(group)] for groups in (layer.full, layer.near)
        )
        output = call.query.new_empty(call.query.transpose(1, 2).shape)
        if full:
            dense = [full.index(head) for head in dense]
            output[:, :, full] = self._attend(
                call.query[:, full], call.key, call.value, places, dense, call.scaling
            )
        keys, values, places = layer.seen(places)
        output[:, :, near] = self._attend(call.query[:, near], keys, values, places, [], call.scaling)
        return output
