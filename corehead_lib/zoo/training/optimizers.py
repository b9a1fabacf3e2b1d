"""Muon for hidden matrices, AdamW for the rest, and the rates of both along a run."""

import torch

from corehead_lib.zoo.training.muon import Muon


def split_parameters(model: torch.nn.Module) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Split into hidden matrices (for Muon) and everything else (for AdamW)."""
    matrices: list[torch.Tensor] = []
    others: list[torch.Tensor] = []
    for name, parameter in model.named_parameters():
        hidden = parameter.ndim == 2 and not any(w in name for w in ("embed", "lm_head"))
        (matrices if hidden else others).append(parameter)
    return matrices, others


def make_optimizers(model: torch.nn.Module, train: dict) -> list[torch.optim.Optimizer]:
    """Muon for hidden matrices, with weight decay, and AdamW for the rest; peak rates from ``train``."""
    matrices, others = split_parameters(model)
    return [
        Muon(matrices, lr=train["muon"], weight_decay=train["weight_decay"]),
        torch.optim.AdamW(others, lr=train["adamw"], betas=(0.9, 0.98), weight_decay=0.0),
    ]


def learning_rate(step: int, left: int | None, train: dict) -> float:
    """Share of the peak rate: linear warm-up, constant, then linear to zero over the last ``cooldown`` steps.

    left: steps that are left, None as long as that is unknown.
    """
    return min(
        1.0, (step + 1) / train["warmup"], (train["cooldown"] if left is None else left) / train["cooldown"]
    )


def update(model: torch.nn.Module, optimizers: list[torch.optim.Optimizer], share: float) -> None:
    """Take one step along the gradient, at that share of the peak rates."""
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"] = share * optimizer.defaults["lr"]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
