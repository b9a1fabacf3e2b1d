"""Retrieval Attention Mass against a naive sum over the weights of eager attention."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import KINDS, SAMPLES, eager_attention, forward, generate, save_tiny

from corehead_lib import ram_operator
from corehead_lib.answers import with_answers
from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import RamScores, RetrievalAttentionMass, mass, measure_ram


def naive(attention: np.ndarray, queries: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """The definition, term by term: (B, layers, heads)."""
    layers, batch, heads = attention.shape[:3]
    mass = np.zeros((batch, layers, heads))
    for b in range(batch):
        rows = queries[b].nonzero().flatten().tolist()
        columns = targets[b].nonzero().flatten().tolist()
        for layer in range(layers):
            for head in range(heads):
                total = 0.0
                for row in rows:
                    for column in columns:
                        total += attention[layer, b, head, row, column]
                mass[b, layer, head] = total / len(rows)
    return mass


def observe(loaded: LoadedModel, batch: Batch, queries: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    with RetrievalAttentionMass(queries, targets)(loaded.model) as operator:
        forward(loaded, batch)
    return operator.mass


def test_the_reference_is_far_from_even_and_groups_heads(tiny: LoadedModel, batch: Batch) -> None:
    attention = eager_attention(tiny, batch)[:, :, :, -1]
    assert tiny.backbone.group == 3
    assert np.median(attention.max(-1)) > 0.1
    assert np.ptp(naive(eager_attention(tiny, batch), batch.question, batch.targets())) > 0.2


@pytest.mark.parametrize("rows", ["question", "last"])
@pytest.mark.parametrize("overlap", ["any", "centre"])
def test_a_left_padded_batch_equals_the_definition(
    tiny: LoadedModel, batch: Batch, rows: str, overlap: str
) -> None:
    queries, targets = getattr(batch, rows), batch.targets(overlap)  # type: ignore[arg-type]
    expected = naive(eager_attention(tiny, batch), queries, targets)
    np.testing.assert_allclose(observe(tiny, batch, queries, targets).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_single_sample_equals_the_definition(tiny: LoadedModel, batch: Batch, index: int) -> None:
    alone = encode(tiny, SAMPLES[index : index + 1])
    mass = observe(tiny, alone, alone.question, alone.targets())
    expected = naive(eager_attention(tiny, alone), alone.question, alone.targets())
    np.testing.assert_allclose(mass.numpy(), expected, atol=1e-5)
    together = observe(tiny, batch, batch.question, batch.targets())
    np.testing.assert_allclose(mass[0].numpy(), together[index].numpy(), atol=1e-5)


@pytest.mark.parametrize("rows", ["question", "last"])
def test_every_family_and_kind_of_sample_equals_the_definition(family: LoadedModel, rows: str) -> None:
    """An image, several, a clip, a text and a mixture, in one batch and each for itself."""
    batch = encode(family, KINDS)
    queries = getattr(batch, rows)
    expected = naive(eager_attention(family, batch), queries, batch.targets())
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(observe(family, batch, queries, batch.targets()).numpy(), expected, atol=1e-5)
    scores = measure_ram(family, [encode(family, [s]) for s in KINDS], queries=rows, progress=False)
    np.testing.assert_allclose(scores.target, expected, atol=1e-5)
    source = naive(eager_attention(family, batch), queries, batch.source)
    np.testing.assert_allclose(scores.visual, source, atol=1e-5)
    np.testing.assert_allclose(scores.share, batch.targets().sum(1) / batch.source.sum(1), rtol=1e-6)


@pytest.mark.parametrize("kv_heads", [1, 3, 6])
def test_other_groups_of_heads(tmp_path: Path, kv_heads: int) -> None:
    loaded = load_model(str(save_tiny(tmp_path, kv_heads)))
    batch = encode(loaded, SAMPLES[:2])
    mass = observe(loaded, batch, batch.question, batch.targets())
    expected = naive(eager_attention(loaded, batch), batch.question, batch.targets())
    np.testing.assert_allclose(mass.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 5, 1000])
def test_any_rows_and_columns_in_any_chunks(
    tiny: LoadedModel, batch: Batch, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(ram_operator, "ROWS_AT_ONCE", at_once)
    real = batch.inputs["attention_mask"].bool()
    random = torch.Generator().manual_seed(at_once)
    queries = (torch.rand(real.shape, generator=random) < 0.3) & real
    targets = (torch.rand(real.shape, generator=random) < 0.3) & real
    expected = naive(eager_attention(tiny, batch), queries, targets)
    np.testing.assert_allclose(observe(tiny, batch, queries, targets).numpy(), expected, atol=1e-5)


def test_several_target_sets_at_once(tiny: LoadedModel, batch: Batch) -> None:
    sets = [batch.targets(), batch.targets("centre"), batch.visual]
    together = observe(tiny, batch, batch.question, torch.stack(sets))
    apart = torch.stack([observe(tiny, batch, batch.question, targets) for targets in sets])
    assert together.shape == (3, 3, tiny.backbone.layers, tiny.backbone.heads)
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_all_tokens_together_hold_all_the_mass(tiny_folder: Path, dtype: str) -> None:
    """Also in bfloat16, because the softmax is taken in float32."""
    loaded = load_model(str(tiny_folder), dtype=dtype)
    batch = encode(loaded, SAMPLES)
    mass = observe(loaded, batch, batch.question, torch.ones_like(batch.question))
    assert mass.dtype == torch.float32
    torch.testing.assert_close(mass, torch.ones_like(mass), atol=1e-5, rtol=0)


@pytest.mark.parametrize("several", [True, False])
def test_the_forward_pass_is_bit_identical(tiny: LoadedModel, batch: Batch, several: bool) -> None:
    given = batch if several else encode(tiny, SAMPLES[:1])
    before = forward(tiny, given)
    with RetrievalAttentionMass(given.question, given.targets())(tiny.model):
        during = forward(tiny, given)
    assert torch.equal(before, during)
    assert torch.equal(before, forward(tiny, given))


def test_generation_inside_measures_the_prompt_alone(tiny: LoadedModel, batch: Batch) -> None:
    expected = observe(tiny, batch, batch.question, batch.targets())
    with RetrievalAttentionMass(batch.question, batch.targets())(tiny.model) as operator:
        written = generate(tiny, batch)
    assert torch.equal(written, generate(tiny, batch))
    torch.testing.assert_close(operator.mass, expected, atol=1e-6, rtol=0)


def test_two_observers_nest(tiny: LoadedModel, batch: Batch) -> None:
    outer = RetrievalAttentionMass(batch.question, batch.targets())
    inner = RetrievalAttentionMass(batch.last, batch.visual)
    with outer(tiny.model), inner(tiny.model):
        forward(tiny, batch)
    torch.testing.assert_close(outer.mass, observe(tiny, batch, batch.question, batch.targets()))
    torch.testing.assert_close(inner.mass, observe(tiny, batch, batch.last, batch.visual))


def test_entering_again_forgets_the_old_result(tiny: LoadedModel, batch: Batch) -> None:
    operator = RetrievalAttentionMass(batch.question, batch.targets())
    with operator(tiny.model):
        forward(tiny, batch)
    with operator(tiny.model), pytest.raises(CoreheadError, match="No forward pass"):
        _ = operator.mass


def test_a_result_before_any_forward_pass_is_refused(batch: Batch) -> None:
    with pytest.raises(CoreheadError, match="No forward pass"):
        _ = RetrievalAttentionMass(batch.question, batch.targets()).mass


@pytest.mark.parametrize("which", ["query", "target"])
def test_one_sample_without_queries_or_targets_is_refused(
    tiny: LoadedModel, batch: Batch, which: str
) -> None:
    masks = {"query": batch.question.clone(), "target": batch.targets()}
    masks[which][1] = False
    operator = RetrievalAttentionMass(masks["query"], masks["target"])
    with pytest.raises(CoreheadError, match=f"no {which} token"), operator(tiny.model):
        pass


def test_masks_of_different_shape_are_refused(tiny: LoadedModel, batch: Batch) -> None:
    operator = RetrievalAttentionMass(batch.question, batch.targets()[:, 1:])
    with pytest.raises(CoreheadError, match="batch, tokens"), operator(tiny.model):
        pass


def test_masks_of_another_batch_are_refused(tiny: LoadedModel, batch: Batch) -> None:
    other = encode(tiny, SAMPLES[:2])
    operator = RetrievalAttentionMass(other.question, other.targets())
    with operator(tiny.model), pytest.raises(CoreheadError, match="encode the same batch"):
        forward(tiny, batch)


@pytest.mark.parametrize("queries", ["question", "last"])
def test_measure_ram_puts_the_batches_together(tiny: LoadedModel, batch: Batch, queries: str) -> None:
    batches = [encode(tiny, SAMPLES[:1]), encode(tiny, SAMPLES[1:])]
    scores = measure_ram(tiny, batches, queries=queries, progress=False)
    attention, rows = eager_attention(tiny, batch), getattr(batch, queries)
    np.testing.assert_allclose(scores.target, naive(attention, rows, batch.targets()), atol=1e-5)
    np.testing.assert_allclose(scores.visual, naive(attention, rows, batch.visual), atol=1e-5)
    share = [m.sum() / len(c) for m, c in zip(batch.targets().numpy(), batch.cells, strict=True)]
    np.testing.assert_allclose(scores.share, share, rtol=1e-6)


def written(loaded: LoadedModel, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Eager attention over prompts and answers, (layers, B, heads, T, T), and the rows that predict the answers."""
    inputs = with_answers(batch)[0]
    attention = eager_attention(loaded, replace(batch, inputs=inputs))
    length, rows = batch.last.shape[1], np.zeros(inputs["input_ids"].shape, dtype=bool)
    for row, answer in enumerate(batch.answers):
        assert inputs["input_ids"][row, length : length + len(answer)].tolist() == list(answer)
        for place in range(len(answer)):
            rows[row, length - 1 + place] = True
    return attention, rows


def test_all_queries_from_one_pass(family: LoadedModel) -> None:
    batches = [encode(family, SAMPLES[:1]), encode(family, SAMPLES[1:])]
    passes = []
    hook = family.model.register_forward_hook(lambda *_: passes.append(1))
    scores = measure_ram(family, batches, ("answer", "question", "last"), progress=False)
    hook.remove()
    assert len(passes) == len(batches)
    assert list(scores) == ["answer", "question", "last"]
    for query, found in scores.items():
        alone = measure_ram(family, batches, query, progress=False)
        for kind in ("target", "visual", "share"):
            np.testing.assert_allclose(getattr(found, kind), getattr(alone, kind), atol=1e-5)
    batch = encode(family, SAMPLES)
    attention, rows = written(family, batch)
    longer = rows.shape[1] - batch.last.shape[1]
    assert longer == max(map(len, batch.answers)) > min(map(len, batch.answers))
    target = torch.nn.functional.pad(batch.targets(), (0, longer))
    np.testing.assert_allclose(
        scores["answer"].target, naive(attention, torch.from_numpy(rows), target), atol=1e-5
    )


def test_an_answer_of_one_token_is_predicted_by_the_last_prompt_token(tiny: LoadedModel) -> None:
    batch = encode(tiny, SAMPLES[:1])
    assert len(batch.answers[0]) == 1
    scores = measure_ram(tiny, [batch], ("last", "answer"), progress=False)
    np.testing.assert_array_equal(scores["last"].target, scores["answer"].target)


def test_an_empty_answer_has_no_rows(tiny: LoadedModel) -> None:
    batch = encode(tiny, [replace(SAMPLES[0], answer="")])
    assert measure_ram(tiny, [batch], "last", progress=False).target.shape == (1, 3, 6)
    with pytest.raises(CoreheadError, match="a: the gold answer is empty"):
        measure_ram(tiny, [batch], "answer", progress=False)


def test_unknown_queries_and_no_batches_are_refused(tiny: LoadedModel, batch: Batch) -> None:
    with pytest.raises(CoreheadError, match=r"queries='lats'.*Did you mean 'last'"):
        measure_ram(tiny, [batch], "lats", progress=False)
    with pytest.raises(CoreheadError, match="no batches"):
        measure_ram(tiny, [], progress=False)


def test_attention_that_is_no_number_is_refused(tiny: LoadedModel, batch: Batch) -> None:
    """As where a model overflows in half precision: it must not look like heads that never look."""
    loaded = deepcopy(tiny)
    with torch.no_grad():
        loaded.model.model.language_model.layers[1].self_attn.q_norm.weight[0] = float("nan")
    with pytest.raises(CoreheadError, match="not a number"):
        measure_ram(loaded, [batch])


def test_mass_takes_any_targets_and_queries(tiny: LoadedModel, batch: Batch) -> None:
    nothing = torch.zeros_like(batch.last)
    sets = torch.stack([batch.targets(), nothing, batch.visual])
    found = mass(tiny, batch, sets, ["last", batch.question])
    assert found.shape == (2, 3, 3, 3, 6)
    assert (found[:, 1] == 0).all()
    attention = eager_attention(tiny, batch)
    for rows, one in zip((batch.last, batch.question), found, strict=True):
        for targets, masses in ((sets[0], one[0]), (sets[2], one[2])):
            np.testing.assert_allclose(masses, naive(attention, rows, targets), atol=1e-5)
    np.testing.assert_array_equal(mass(tiny, batch, sets[0], batch.last), mass(tiny, batch, sets[0], "last"))


def test_measure_ram_hands_views_and_groups_on(families: dict[str, LoadedModel]) -> None:
    internvl, qwen = families["internvl"], families["qwen3_vl"]
    picture = encode(internvl, SAMPLES[:1])  # tiles and a thumbnail
    film = encode(qwen, [KINDS[2]])  # frames in pairs; its evidence starts within one
    for loaded, batch, choice in (
        (internvl, picture, {"views": "whole"}),
        (internvl, picture, {"views": "parts"}),
        (qwen, film, {"groups": "all"}),
    ):
        assert (batch.targets(**choice) != batch.targets()).any()  # type: ignore[arg-type]
        scores = measure_ram(loaded, [batch], progress=False, **choice)
        expected = naive(eager_attention(loaded, batch), batch.question, batch.targets(**choice))  # type: ignore[arg-type]
        np.testing.assert_allclose(scores.target, expected, atol=1e-5)


def test_selectivity_and_lift_by_hand() -> None:
    target, visual = np.array([[[0.2]], [[0.1]]]), np.array([[[0.4]], [[0.8]]])
    scores = RamScores(target, visual, share=np.array([0.25, 0.5]))
    assert scores.ram.item() == pytest.approx(0.15)
    assert scores.selectivity.item() == pytest.approx(0.3 / 1.2)
    assert scores.lift.item() == pytest.approx((0.5 / 0.25 + 0.125 / 0.5) / 2)


def test_even_attention_to_the_picture_has_lift_one() -> None:
    visual = np.full((4, 2, 3), 0.6)
    share = np.array([0.1, 0.2, 0.3, 0.4])
    even = RamScores(visual * share[:, None, None], visual, share)
    np.testing.assert_allclose(even.lift, 1)
