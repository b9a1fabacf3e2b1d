"""Devices that are not there: "cpu:1", "cpu:2", ..., for tests of models that lie on several GPUs.

All numbers stay in the memory of the one CPU. But inside ``Elsewhere`` each tensor says where it would lie, and tensors of two
places do not meet, nor do they become arrays before they come home ("cpu"): errors are those that GPUs would give.
"""

from collections.abc import Callable
from typing import Any

import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map_only
from transformers import PreTrainedModel

HOME = torch.device("cpu")
MOVES = (torch.as_tensor, torch.Tensor.copy_)  # between any two places
INDEXED = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
ARRAYS = (torch.Tensor.numpy, torch.Tensor.__array__)


def place(tensor: torch.Tensor) -> torch.device:
    """Where a tensor says that it lies."""
    return getattr(tensor, "_place", HOME)


def put(tensor: torch.Tensor, where: torch.device) -> torch.Tensor:
    """Say where a tensor lies."""
    tensor._place = where  # type: ignore[attr-defined]
    return tensor


class Elsewhere(TorchFunctionMode):
    """Watches all that torch is asked for, from Python."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func == torch.Tensor.device.__get__:
            return place(args[0])
        if func in (torch.Tensor.to, torch.Tensor.cpu):
            return _moved(func, *args, **kwargs)
        if func is torch.autograd.grad:  # each gradient lies where what it is of lies
            return tuple(put(x, place(of)) for x, of in zip(func(*args, **kwargs), args[1], strict=True))
        if func in ARRAYS and place(args[0]) != HOME:
            raise TypeError(f"can't convert {place(args[0])} device type tensor to numpy")
        wanted = kwargs.pop("device", None)
        tensors = [x for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)]
        here = place(tensors[0]) if tensors else HOME
        if func not in MOVES:
            here = _together(func, tensors)
        where = here if wanted is None else torch.device(wanted)
        return tree_map_only(torch.Tensor, lambda x: put(x, where), func(*args, **kwargs))


def _together(func: Callable, tensors: list[torch.Tensor]) -> torch.device:
    """The one place of all tensors, but for single numbers, and for indices, which may be at home."""
    bound = [x for x in tensors if x.ndim or place(x) != HOME]
    if func in INDEXED:
        bound = [x for x in bound if x is tensors[0] or place(x) != HOME or x.is_floating_point()]
    found = {place(x) for x in bound}
    if len(found) > 1:
        raise RuntimeError(f"{func.__name__}: expected all tensors to be on the same device, found {found}")
    return found.pop() if found else HOME


def _moved(func: Callable, tensor: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
    """What ``to`` or ``cpu`` return."""
    where = HOME if func is torch.Tensor.cpu else named.pop("device", None)
    named.pop("non_blocking", None)
    kept: list[Any] = []
    for one in rest:
        if isinstance(one, torch.Tensor):
            where, one = place(one), one.dtype
        if isinstance(one, torch.dtype | bool):
            kept.append(one)
        elif one is not None:
            where = one
    where = place(tensor) if where is None else torch.device(where)
    made = torch.Tensor.to(tensor, *kept, **named) if kept or named else tensor
    if made is tensor and where == place(tensor):
        return tensor
    return put(made.clone() if made is tensor else made, where)


def scatter(model: PreTrainedModel) -> None:
    """Give each layer of the language model a device of its own, and all the rest the first or the last, with accelerate's hooks."""
    text = model.get_decoder()
    where = {model: "cpu:1", **{layer: f"cpu:{n + 1}" for n, layer in enumerate(text.layers)}}
    where |= {text.embed_tokens: "cpu:1", text.norm: f"cpu:{len(text.layers)}"}
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())  # tied weights are copied
    where[head] = f"cpu:{len(text.layers)}"
    for part, device in where.items():
        for tensor in (*part.parameters(), *part.buffers()):
            put(tensor, torch.device(device))
    for part, device in where.items():
        hook = AlignDevicesHook(device, io_same_device=part is model)
        hook.init_hook = lambda module: module  # all is in its place
        add_hook_to_module(part, hook)
