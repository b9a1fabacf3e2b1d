"""Our Muon against torch's own, which iterates in bfloat16."""

import torch

from corehead_lib.zoo.training.muon import Muon, orthogonalize


def test_singular_values_come_close_to_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 8, 8), (2, 16, 4), (2, 4, 16)):
        made = orthogonalize(torch.randn(shape))
        assert made.shape == shape
        values = torch.linalg.svdvals(made)
        assert values.min() > 0.5
        assert values.max() < 1.3


def test_a_step_is_that_of_torch_up_to_its_rounding() -> None:
    torch.manual_seed(0)
    shapes = ((8, 8), (16, 8), (8, 16), (8, 8))
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(weight.detach().clone()) for weight in ours]
    optimizers = [
        Muon(ours, lr=0.02, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1),
    ]
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0)
        assert not torch.equal(one, other)  # torch rounds to bfloat16 on the way
