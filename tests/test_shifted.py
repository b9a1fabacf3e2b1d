"""Moved targets: as many tokens, every place as likely; and p-values that are right for heads that know and for heads that do not."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.ram import measure_ram
from corehead_lib.study import shifted_targets
from corehead_lib.study.shifted import shifted


def test_targets_move_along_the_source_as_on_a_ring() -> None:
    source = torch.tensor([[0, 1, 0, 1, 1, 1], [1, 1, 0, 0, 0, 0]]).bool()
    targets = torch.tensor([[0, 1, 0, 0, 0, 1], [1, 1, 0, 0, 0, 0]]).bool()
    moved = shifted(targets, source, 4000, np.random.default_rng(0))
    assert not (moved & ~source).any()
    assert torch.equal(moved[:, 1], targets[1].expand(4000, -1))
    seen = Counter(tuple(row.nonzero().flatten().tolist()) for row in moved[:, 0])
    assert set(seen) == {(1, 5), (1, 3), (3, 4), (4, 5)}  # the last and the first are neighbours
    assert all(abs(number - 1000) < 150 for number in seen.values())
    with pytest.raises(CoreheadError, match="no source tokens"):
        shifted(targets, source & ~targets, 1, np.random.default_rng(0))


def test_ram_is_that_of_measure_ram(tiny: LoadedModel, batch: Batch) -> None:
    table = shifted_targets(tiny, [batch], "question", draws=19)
    ram = measure_ram(tiny, [batch], "question").ram
    assert len(table) == ram.size
    np.testing.assert_allclose(table.ram.to_numpy().reshape(ram.shape), ram, atol=1e-6)
    assert table.p.between(1 / 20, 1).all()
    ordered = table.sort_values(
        "p"
    )  # Benjamini and Hochberg by hand: p x heads / rank, never above what comes behind
    raised = (ordered.p * len(table) / np.arange(1, len(table) + 1))[::-1].cummin()[::-1].clip(upper=1)
    np.testing.assert_allclose(ordered.p_adjusted, raised)
    with pytest.raises(CoreheadError, match="no batches"):
        shifted_targets(tiny, [])


def test_heads_that_know_are_found_and_heads_that_do_not_are_not(
    monkeypatch: pytest.MonkeyPatch, tiny: LoadedModel, batch: Batch
) -> None:
    """10 heads of 400 lean to the evidence; the others look anywhere, unevenly, so that their RAM varies."""
    rng = np.random.default_rng(1)
    own = batch.targets().numpy()
    knowing = (own / own.sum(1, keepdims=True))[:, None]

    def pretended(_: Any, batch: Batch, targets: torch.Tensor, queries: str) -> np.ndarray:
        assert queries == "last"
        looks = rng.dirichlet(np.full(batch.question.shape[1], 0.1), (len(batch.samples), 20, 20))
        looks[:, 0, :10] = 0.2 * looks[:, 0, :10] + 0.8 * knowing
        return np.einsum("kbt,blht->kblh", targets.numpy().astype(float), looks)

    monkeypatch.setattr("corehead_lib.study.shifted.mass", pretended)
    table = shifted_targets(tiny, [batch] * 12, draws=999)
    knows = (table.layer == 0) & (table["head"] < 10)
    assert (table.p_adjusted[knows] < 0.05).all()
    assert not (table.p_adjusted[~knows] < 0.05).any()
    assert 0.02 < (table.p[~knows] < 0.05).mean() < 0.08
