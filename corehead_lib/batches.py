"""A list of batches that need not fit into memory: what is too much is encoded again whenever it is asked for."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, overload

import torch

from corehead_lib.samples import Sample


class HasInputs(Protocol):
    """What is known here of a batch: the model's inputs, by name."""

    @property
    def inputs(self) -> Any: ...


Batch = TypeVar("Batch", bound=HasInputs, covariant=True)


class Batches(Sequence[Batch]):
    """Batches in order, indexed and sliced like a list.

    The first ones are encoded at once and kept, until their tensors fill ``budget`` bytes; each of the others is encoded
    when it is asked for, every time, and not kept. So a small set runs many times without preprocessing it again,
    and pages of long documents run at all.
    """

    def __init__(
        self, groups: Sequence[Sequence[Sample]], make: Callable[[Sequence[Sample]], Batch], budget: float
    ) -> None:
        self._groups, self._make = groups, make
        self._kept: list[Batch] = []
        used = 0
        for group in groups:
            if used >= budget:
                break
            self._kept.append(make(group))
            tensors = (t for t in self._kept[-1].inputs.values() if isinstance(t, torch.Tensor))
            used += sum(t.numel() * t.element_size() for t in tensors)

    def __len__(self) -> int:
        return len(self._groups)

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> "Batches[Batch]": ...
    def __getitem__(self, index: int | slice) -> "Batch | Batches[Batch]":
        if isinstance(index, slice):
            part = Batches(self._groups[index], self._make, budget=0)
            kept = self._kept[index] if index.start in (None, 0) and index.step in (None, 1) else []
            part._kept = kept
            return part
        place = range(len(self))[index]  # also refuses what is out of range
        return self._kept[place] if place < len(self._kept) else self._make(self._groups[place])
