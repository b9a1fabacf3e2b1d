"""One attention function for every family, and the operators that watch or change it.

transformers looks up one function per attention layer (its AttentionInterface). Ours stands there in the
place of "sdpa" and runs that very kernel, inside the operators that are at work on the layer's model. An
operator is a context manager: it belongs to the model it was called with and to the thread or asyncio
task that entered it, and nothing is written on the model. So copies made inside a block, models that
share a config, other threads and vision towers run as if it were not there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import RLock
from typing import Any, ClassVar, Self

import torch
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from corehead_lib.errors import CoreheadError


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
    """Something that runs inside attention. Override ``attend``; call with a model to switch it on.

    The last one entered is outermost; one that replaces the kernel is innermost, whenever it was entered.
    """

    replaces_kernel: ClassVar[bool] = False  # ``attend`` does not call ``inner``

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        """Compute the heads' outputs (B, Tq, H, D), usually by calling ``inner(call)``."""
        return inner(call)

    def begin(self, model: PreTrainedModel) -> None:
        """Check the model and clear old results; called on entering."""

    @property
    def active(self) -> bool:
        """Whether this operator is at work on some model now, for this thread or task."""
        return any(entry.operator is self for entry in _MINE.get() if entry in _LIVE)

    @property
    def busy(self) -> bool:
        """Whether it is at work for anybody."""
        return any(entry.operator is self for entry in tuple(_LIVE))

    @contextmanager
    def __call__(self, model: PreTrainedModel) -> Iterator[Self]:
        """Let this operator act on ``model`` within the ``with`` block, in the thread or task that enters it.

        Raises CoreheadError where it could not act: another attention than sdpa, parts dropped at random or
        computed again in another thread while training, and a second operator that replaces the kernel.
        """
        entry = _Entry(self, attention_layers(model))
        _check(self, model, entry)
        with _LOCK:
            self.begin(model)
            _LIVE.add(entry)
        _MINE.set((*_MINE.get(), entry))
        try:
            yield self
        finally:
            _LIVE.discard(entry)  # also for tasks that were started inside and run on
            _MINE.set(tuple(other for other in _MINE.get() if other is not entry))


@dataclass(frozen=True, eq=False)
class _Entry:
    """One ``with`` block of one operator."""

    operator: Operator
    layers: frozenset[int]  # identities of the model's attention modules


_MINE: ContextVar[tuple[_Entry, ...]] = ContextVar("operators", default=())  # in the order of entering
_LIVE: set[_Entry] = set()  # those of all threads
_LOCK = RLock()


def attention_layers(model: PreTrainedModel) -> frozenset[int]:
    """Identities of the language model's modules that call the attention function."""
    return frozenset(id(part) for part in model.get_decoder().modules() if hasattr(part, "layer_idx"))


def _check(operator: Operator, model: PreTrainedModel, entry: _Entry) -> None:
    kind = model.config.get_text_config()._attn_implementation
    if kind != "sdpa":
        raise CoreheadError(f"The language model runs {kind!r} attention; load it with 'sdpa'.")
    if AttentionInterface().get_interface("sdpa", plain) is not core_head_attention or not entry.layers:
        raise CoreheadError(
            f"The attention of {type(model).__name__} cannot be reached: another package took its place."
        )
    if model.training and getattr(model, "is_activation_checkpointing", False):
        raise CoreheadError(
            "Gradient checkpointing computes attention twice, the second time perhaps in another thread, where "
            "operators do not act: call model.activation_checkpointing_disable() first."
        )
    if model.training and _drops(model):
        raise CoreheadError(
            "The model is in train mode and drops some of what it computes at random: call model.eval() first."
        )
    if operator.replaces_kernel:
        others = [e.operator for e in _MINE.get() if e in _LIVE and e.layers & entry.layers]
        if any(other.replaces_kernel for other in others):
            raise CoreheadError(
                f"{type(operator).__name__} replaces the kernel, and so does an operator that is at work on this "
                "model already: leave its block first."
            )


def _drops(model: torch.nn.Module) -> bool:
    """Whether dropout of any kind is set anywhere in the model."""
    rates = (
        getattr(part, name, 0) for part in model.modules() for name in ("p", "dropout", "attention_dropout")
    )
    return any(isinstance(rate, float) and rate > 0 for rate in rates)


def plain(call: Call) -> torch.Tensor:
    """Run transformers' own sdpa attention: the path of an untouched model, bit for bit."""
    output, _ = sdpa_attention_forward(
        call.module, call.query, call.key, call.value, call.mask, scaling=call.scaling, **call.extra
    )
    return output


def _nest(operators: list[Operator]) -> Attend:
    """Fold operators, in the order of entering, into one function."""
    attend: Attend = plain
    for operator in sorted(operators, key=lambda operator: not operator.replaces_kernel):
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
    mine = [e.operator for e in _MINE.get() if e in _LIVE and id(module) in e.layers] if _LIVE else []
    if not mine:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **extra)
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
    return _nest(mine)(call), None


def allowed(call: Call, rows: torch.Tensor) -> torch.Tensor:
    """Which keys the query ``rows`` (R,) may see: bool (B or 1, 1, R, Tk), causal and unpadded."""
    if call.mask is not None:
        return call.mask[:, :, rows, : call.key.shape[2]]
    queries, keys = call.query.shape[2], call.key.shape[2]
    offset = keys - queries  # keys that the cache held already
    return (torch.arange(keys, device=rows.device) <= rows[:, None] + offset)[None, None]


AttentionInterface.register("sdpa", core_head_attention)  # under this name, so that masks stay sdpa's own
