"""Low-rank adapters (LoRA, arXiv 2106.09685): a frozen linear layer learns a small change."""

from collections.abc import Iterable

import torch
from torch import nn

ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj")


class Adapter(nn.Module):
    """A frozen linear layer plus a change of low rank, ``up @ down``, which is zero at first."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.base(hidden) + hidden @ self.down.T @ self.up.T


def adapt(layers: Iterable[nn.Module], rank: int) -> None:
    """Give all projections of each layer's attention an adapter, in place."""
    for layer in layers:
        for name in ADAPTED:
            base = getattr(layer.self_attn, name)
            setattr(layer.self_attn, name, Adapter(base, rank).to(base.weight.device))
