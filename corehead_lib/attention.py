"""One attention function for every family, and the operators that watch or change it.

transformers calls one function per attention layer (its AttentionInterface). Ours runs the plain
sdpa kernel inside a stack of operators, last entered outermost. An operator is a context manager
on a model: it switches the language model's layers to our function, and undoes itself, also after
an exception. The vision tower is never touched.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from corehead_lib.errors import CoreheadError

NAME = "core_head"


@dataclass(frozen=True)
class Call:
    """What one attention layer asks for: B samples, H query heads, G KV heads, D head width.

    ``key`` and ``value`` hold the cache too; ``mask`` is None for a plain causal prefill, else bool
    with True where attention is allowed.
    """

    layer: int
    query: torch.Tensor  # (B, H, Tq, D), after RoPE
    key: torch.Tensor  # (B, G, Tk, D), after RoPE
    value: torch.Tensor  # (B, G, Tk, D)
    mask: torch.Tensor | None  # (B, 1, Tq, Tk)
    scaling: float
    module: torch.nn.Module
    extra: dict[str, Any]


Attend = Callable[[Call], torch.Tensor]  # returns (B, Tq, H, D)


class Operator:
    """Something that runs inside attention. Override ``attend``; call with a model to switch it on."""

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        """Compute the heads' outputs (B, Tq, H, D), usually by calling ``inner(call)``."""
        return inner(call)

    def begin(self, model: PreTrainedModel) -> None:
        """Check the model and clear old results; called on entering."""

    @property
    def active(self) -> bool:
        """Whether this operator is at work on some model now."""
        return any(self is other for stack in _STACKS.values() for other in stack)

    @contextmanager
    def __call__(self, model: PreTrainedModel) -> Iterator[Self]:
        """Let this operator act on ``model`` within the ``with`` block."""
        self.begin(model)
        config = model.config.get_text_config()
        before = config._attn_implementation
        if id(config) not in _STACKS:
            if before != "sdpa":
                raise CoreheadError(f"The language model runs {before!r} attention; load it with 'sdpa'.")
            _switch(model, NAME)
        stack = _STACKS.setdefault(id(config), [])
        stack.append(self)
        try:
            yield self
        finally:
            del stack[max(i for i, other in enumerate(stack) if other is self)]  # by identity, not ==
            if not stack:
                del _STACKS[id(config)]
                _switch(model, "sdpa")


_STACKS: dict[int, list[Operator]] = {}  # per language-model config, the operators now at work


def _switch(model: PreTrainedModel, name: str) -> None:
    """Set the attention of the language model alone, and make sure that it took."""
    model.set_attn_implementation({"text_config": name})
    if model.config.get_text_config()._attn_implementation != name:  # a wrong key is ignored in silence
        raise CoreheadError(f"Could not switch the attention of {type(model).__name__} to {name!r}.")


def plain(call: Call) -> torch.Tensor:
    """Run transformers' own sdpa attention: the path of an untouched model, bit for bit."""
    output, _ = sdpa_attention_forward(
        call.module, call.query, call.key, call.value, call.mask, scaling=call.scaling, **call.extra
    )
    return output


def _nest(operators: list[Operator]) -> Attend:
    """Fold a stack of operators into one function."""
    attend: Attend = plain
    for operator in operators:
        attend = _wrap(operator, attend)
    return attend


def _wrap(operator: Operator, inner: Attend) -> Attend:
    return lambda call: operator.attend(call, inner)


def core_head_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # vision towers pass it by this name
    scaling: float | None = None,
    **extra: Any,
) -> tuple[torch.Tensor, None]:
    """The function registered with transformers; see integrations/sdpa_attention.py for the contract."""
    call = Call(
        layer=int(module.layer_idx),  # type: ignore[arg-type]
        query=query,
        key=key,
        value=value,
        mask=attention_mask,
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        module=module,
        extra=extra,
    )
    return _nest(_STACKS.get(id(module.config), []))(call), None


def allowed(call: Call, rows: torch.Tensor) -> torch.Tensor:
    """Which keys the query ``rows`` (R,) may see: bool (B or 1, 1, R, Tk), causal and unpadded."""
    if call.mask is not None:
        return call.mask[:, :, rows, : call.key.shape[2]]
    queries, keys = call.query.shape[2], call.key.shape[2]
    offset = keys - queries  # keys that the cache held already
    return (torch.arange(keys, device=rows.device) <= rows[:, None] + offset)[None, None]


AttentionInterface.register(NAME, core_head_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)  # without it, padding and causality are dropped silently
