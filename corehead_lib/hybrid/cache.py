"""A cache that keeps, of KV groups without a dense head, only what their streaming heads still see."""

from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from corehead_lib.errors import CoreheadError
from corehead_lib.hybrid.operator import HybridAttention
from corehead_lib.hybrid.padding import Places
from corehead_lib.interventions import heads_of_layer


class HybridCache(Cache):
    """The cache for ``operator`` on ``model``: one for each batch that is generated.

    with operator(model):
        model.generate(**inputs, past_key_values=HybridCache(operator, model))

    A group stays full if any of its heads is dense. The others keep ``sinks + window - 1`` places: what the
    next token will see besides itself. Rotary positions are in the keys, so dropping others changes nothing.
    A layer is trimmed as soon as its prompt has been attended to, so never more than one layer is whole.

    Raises CoreheadError if it is used, once trimmed, without its operator, or cropped.
    """

    def __init__(self, operator: HybridAttention, model: PreTrainedModel) -> None:
        text = model.config.get_text_config()
        group = text.num_attention_heads // text.num_key_value_heads
        layers = []
        for index in range(text.num_hidden_layers):
            full = sorted({head // group for head in heads_of_layer(operator.dense, index)})
            near = [g for g in range(text.num_key_value_heads) if g not in full]
            layers.append(HybridLayer(operator, index, full, near))
        super().__init__(layers=layers)

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values kept."""
        return sum(layer.nbytes for layer in self.layers)


class HybridLayer(DynamicLayer):
    """Keys and values of one layer: all groups (B, G, T, D) at first, then the ``full`` ones and a short rest."""

    keys: torch.Tensor  # (B, G or full groups, T, D)
    values: torch.Tensor

    def __init__(self, operator: HybridAttention, index: int, full: list[int], near: list[int]) -> None:
        super().__init__()
        self.operator, self.index, self.full, self.near = operator, index, full, near
        self.near_keys: torch.Tensor | None = None  # (B, near groups, sinks + window - 1, D)
        self.near_values: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add keys and values; return those of all groups, or of the full ones once the others are trimmed."""
        active = self.operator.active
        if self.near_keys is not None:
            if not active:
                raise CoreheadError(
                    "This cache was trimmed for hybrid attention and no longer holds all keys: go on inside "
                    "the `with` block of the operator that it was made for."
                )
            keys, values, _ = self.seen([])
            self.near_keys = torch.cat([keys, key_states[:, self.near]], 2)
            self.near_values = torch.cat([values, value_states[:, self.near]], 2)
            key_states, value_states = key_states[:, self.full], value_states[:, self.full]
        if active:
            self.operator.hand_over(self.index, self)
        return super().update(key_states, value_states, *args, **kwargs)

    def seen(self, places: Places) -> tuple[torch.Tensor, torch.Tensor, Places]:
        """Keys and values of the trimmed groups, and where each sample's begin and end among them."""
        assert self.near_keys is not None
        assert self.near_values is not None
        length = self.near_keys.shape[2]
        return self.near_keys, self.near_values, [(max(0, length - (e - b)), length) for b, e in places]

    def trim(self, places: Places) -> None:
        """Drop what no coming query of a streaming group can see; ``places`` as Padding.places gives them."""
        keep = self.operator.sinks + self.operator.window - 1
        if self.near_keys is None:
            if not self.near or self.keys.shape[2] <= keep:
                return
            self.near_keys, self.near_values = self.keys[:, self.near], self.values[:, self.near]
            self.keys, self.values = self.keys[:, self.full], self.values[:, self.full]
        keys, values, places = self.seen(places)
        if keys.shape[2] > keep:
            self.near_keys, self.near_values = (self._shorten(x, places, keep) for x in (keys, values))

    def _shorten(self, x: torch.Tensor, places: Places, keep: int) -> torch.Tensor:
        """Sinks and the newest places of each sample; padding stays on the left of a short one."""
        short = x.new_empty(*x.shape[:2], keep, x.shape[3])
        for b, (begin, end) in enumerate(places):
            sinks = self.operator.sinks if end - begin > keep else 0
            short[b, :, :sinks] = x[b, :, begin : begin + sinks]
            short[b, :, sinks:] = x[b, :, end - keep + sinks : end]
        return short

    @property
    def nbytes(self) -> int:
        kept = (self.keys, self.values, self.near_keys, self.near_values)
        return sum(x.nbytes for x in kept if x is not None)

    def get_seq_length(self) -> int:
        return self.keys.shape[2] if self.is_initialized and self.keys.ndim == 4 else 0

    @property
    def is_croppable(self) -> bool:
        return self.near_keys is None

    def crop(self, tokens_to_remove: int) -> None:
        if self.near_keys is not None and tokens_to_remove:
            raise CoreheadError("A trimmed cache cannot go back: what was dropped would be needed again.")
        super().crop(tokens_to_remove)

    def reset(self) -> None:
        self.near_keys = self.near_values = None
        super().reset()

    def offload(self) -> None:
        raise CoreheadError("HybridCache does not offload: it is small; use it without offloading.")

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        self._pick(lambda x: x.index_select(0, beam_idx.to(x.device)))

    def batch_repeat_interleave(self, repeats: int) -> None:
        self._pick(lambda x: x.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        self._pick(lambda x: x[indices])

    def _pick(self, change: Any) -> None:
        """Change the batch dimension of all that is kept."""
        for name in ("keys", "values", "near_keys", "near_values"):
            kept = getattr(self, name)
            if kept is not None and kept.ndim == 4:
                setattr(self, name, change(kept))
