"""One batch under many interventions: its pictures are seen once, and many head sets share a forward pass.

The rows of a batch are repeated, one block of them for each intervention, and each block gets its own. The model is not
touched: views of it are made, which share its weights and exchange single parts. What stands before the first layer that an
intervention changes is the same for all, so it is computed once.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import BatchFeature, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, ModelOutput

from corehead_lib.attention import Attend, Call, Operator
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError


@dataclass
class PerBlock(Operator):
    """Gives each block of ``rows`` rows of a batch an operator of its own; heads' outputs are computed once for all.

    The operators' masks, if they have any, are those of one block. What an operator hands to its ``inner`` unchanged
    costs nothing; only what it changes (a mask, say) is computed anew, for its block alone.
    """

    operators: Sequence[Operator]
    rows: int

    def begin(self, model: PreTrainedModel) -> None:
        for operator in self.operators:
            operator.begin(model)

    def attend(self, call: Call, inner: Attend) -> torch.Tensor:
        if len(call.query) != self.rows * len(self.operators):
            raise CoreheadError(
                f"{len(call.query)} rows are not {len(self.operators)} blocks of {self.rows}: repeat the batch."
            )
        together = inner(call)
        output = together.clone()
        for number, operator in enumerate(self.operators):
            block = slice(number * self.rows, (number + 1) * self.rows)
            part, known = _rows(call, block), together[block]
            changed = operator.attend(part, _remembering(part, known, inner))
            if changed is not known:
                output[block] = changed
        return output


def _remembering(call: Call, known: torch.Tensor, inner: Attend) -> Attend:
    return lambda asked: known if asked is call else inner(asked)


def _rows(call: Call, rows: slice) -> Call:
    mask = call.mask if call.mask is None or len(call.mask) == 1 else call.mask[rows]
    return replace(call, query=call.query[rows], key=call.key[rows], value=call.value[rows], mask=mask)


def repeat(batch: Batch, times: int) -> Batch:
    """The batch ``times`` over, block after block, without its pixels."""
    kept = {
        name: value.repeat(times, 1)
        for name, value in batch.inputs.items()
        if name in ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")
    }
    return replace(
        batch,
        samples=batch.samples * times,
        inputs=BatchFeature(kept),
        cells=batch.cells * times,
        question=batch.question.repeat(times, 1),
        last=batch.last.repeat(times, 1),
        answers=batch.answers * times,
        context=np.tile(batch.context, (times, 1, 1)),
    )


def view(module: nn.Module, **children: nn.Module) -> Any:
    """A module with the same weights, buffers and settings, and other ``children``; the original stays as it is."""
    other = copy.copy(module)
    other.__dict__["_modules"] = {**module._modules, **children}
    hooked = module.__dict__.get("forward")
    if isinstance(hooked, partial):  # accelerate's, which moves what goes in to where the weights are
        other.__dict__["forward"] = partial(hooked.func, other)
        other.__dict__["_old_forward"] = MethodType(type(other).forward, other)
    return other


class Replay(nn.Module):
    """Stands in for ``model.model``: its first call sees a batch, later ones repeat it ``times`` over from layer ``start`` on.

    ``keep``: the layers that a later call may start from; the states in front of them are kept.
    """

    base: Any
    shell: ModelOutput  # what the family's model returns

    def __init__(self, base: Any, keep: Iterable[int] = ()) -> None:
        super().__init__()
        if not hasattr(base, "language_model") and not hasattr(base, "layers"):
            raise CoreheadError(f"{type(base).__name__} has no language_model, so no batch can be repeated.")
        self.__dict__["base"] = base  # not a child: it is a part of the model already
        self.keep = set(keep)
        self.times, self.start = 1, 0
        self.arguments: dict[str, Any] = {}
        self.states: dict[int, torch.Tensor] = {}

    def forward(self, **inputs: Any) -> ModelOutput:
        base = self.base
        language = getattr(base, "language_model", base)
        if not self.arguments and language is base:  # a language model without eyes
            embeds = base.get_input_embeddings()(inputs.pop("input_ids"))
            self.shell = self._listen(**{**inputs, "inputs_embeds": embeds})
        elif not self.arguments:
            listener = view(base.language_model)
            listener.forward = self._listen
            self.shell = view(base, language_model=listener)(**inputs)
        layers: list[nn.Module] = list(language.layers)
        if self.start:
            state = self.states[self.start].repeat(self.times, 1, 1)
            layers[: self.start] = [_Known(state)] * self.start
        elif not self.states:
            layers = [_Watched(layer, n + 1, self) for n, layer in enumerate(layers)]
        arguments = {name: _tile(name, value, self.times) for name, value in self.arguments.items()}
        hidden = view(language, layers=nn.ModuleList(layers))(**arguments).last_hidden_state
        return type(self.shell)(**{**self.shell, "last_hidden_state": hidden})

    def _listen(self, **arguments: Any) -> BaseModelOutputWithPast:
        """Take down what the language model is given."""
        self.arguments = arguments
        return BaseModelOutputWithPast(last_hidden_state=arguments["inputs_embeds"])


def _tile(name: str, value: Any, times: int) -> Any:
    """Repeat one argument of a language model along its batch."""
    if times == 1 or value is None or isinstance(value, bool | int | float | str):
        return value
    if name == "position_ids":
        return value.repeat(*[1] * (value.ndim - 2), times, 1)  # (B, T) or (axes, B, T)
    if isinstance(value, list):  # visual features for several layers, (visual tokens of all rows, width)
        return [_tile(name, one, times) for one in value]
    if name in ("inputs_embeds", "attention_mask", "visual_pos_masks", "deepstack_visual_embeds"):
        return value.repeat(times, *[1] * (value.ndim - 1))
    raise CoreheadError(f"The language model takes {name!r}, which this package cannot repeat yet.")


class _Watched(nn.Module):
    """A layer whose output is kept, if a later call may start behind it."""

    layer: Any
    number: int
    replay: Any

    def __init__(self, layer: nn.Module, number: int, replay: Replay) -> None:
        super().__init__()
        self.__dict__.update(layer=layer, number=number, replay=replay)

    def forward(self, hidden: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        output = self.layer(hidden, *rest, **named)
        if self.number in self.replay.keep:
            self.replay.states[self.number] = output
        return output


class _Known(nn.Module):
    """A layer whose output is known."""

    state: torch.Tensor

    def __init__(self, state: torch.Tensor) -> None:
        super().__init__()
        self.__dict__["state"] = state

    def forward(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.state
