"""Muon (Keller Jordan, 2024) in float32, with all matrices of one shape in one call.

torch.optim.Muon iterates in bfloat16, one matrix at a time. On a CPU without bfloat16 instructions that took three
quarters of a training step; on one with them, small matrices make it no faster than this.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, as in torch
STEPS = 5


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Pull the singular values of (N, rows, columns) matrices to about one, by Newton-Schulz iteration."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Orthogonalized momentum for matrices: as torch.optim.Muon with its defaults, but in float32.

    lr: of a square matrix; one with more rows than columns gets sqrt(rows / columns) times as much.
    weight_decay: decoupled, per step ``lr * weight_decay`` of each weight.
    """

    def __init__(
        self, matrices: Iterable[torch.Tensor], lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            for (rows, columns), matrices in alike.items():
                updates = []
                for matrix in matrices:
                    assert matrix.grad is not None
                    state = self.state[matrix]
                    mean = state.setdefault("momentum_buffer", torch.zeros_like(matrix))
                    mean.lerp_(matrix.grad, 1 - group["momentum"])
                    updates.append(matrix.grad.lerp(mean, group["momentum"]))
                rate = group["lr"] * max(1, rows / columns) ** 0.5
                for matrix, update in zip(matrices, orthogonalize(torch.stack(updates)), strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)
