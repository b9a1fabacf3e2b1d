"""Teacher-forced evaluation against real greedy generation and token-by-token probabilities."""

from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
import torch
from tiny import KINDS, SAMPLES, generate

from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import Evaluation, evaluate
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel


@pytest.fixture(scope="module")
def greedy(tiny: LoadedModel, batch: Batch) -> list[tuple[int, ...]]:
    """What the model writes by itself: one, three and five tokens."""
    rows = generate(tiny, batch, tokens=5).tolist()
    return [tuple(row[:n]) for row, n in zip(rows, (1, 3, 5), strict=True)]


def evaluated(loaded: LoadedModel, batch: Batch, answers: list[tuple[int, ...]]) -> Evaluation:
    return evaluate(loaded, [replace(batch, answers=tuple(answers))], progress=False)


def test_what_generation_writes_counts_as_correct(
    tiny: LoadedModel, batch: Batch, greedy: list[tuple[int, ...]]
) -> None:
    assert evaluated(tiny, batch, greedy).correct.tolist() == [True, True, True]


@pytest.mark.parametrize(("row", "place"), [(0, 0), (1, 0), (1, 2), (2, 3), (2, 4)])
def test_one_other_token_counts_as_wrong(
    tiny: LoadedModel, batch: Batch, greedy: list[tuple[int, ...]], row: int, place: int
) -> None:
    answers = [list(answer) for answer in greedy]
    answers[row][place] = (answers[row][place] + 1) % 100
    correct = evaluated(tiny, batch, [tuple(answer) for answer in answers]).correct
    assert np.flatnonzero(~correct).tolist() == [row]


def naive_logprob(loaded: LoadedModel, inputs: dict[str, Any], answer: tuple[int, ...]) -> float:
    """Append one token at a time, without padding or cache, and add up the log-probabilities."""
    total = 0.0
    for token in answer:
        with torch.inference_mode():
            logits = loaded.model(**inputs, use_cache=False).logits[0, -1]
        total += float(logits.double().log_softmax(-1)[token])
        for name, value in {"input_ids": token, "attention_mask": 1, "mm_token_type_ids": 0}.items():
            if name in inputs:
                inputs[name] = torch.cat([inputs[name], torch.tensor([[value]])], 1)
    return total


def test_logprob_is_the_sum_over_the_answers_tokens(tiny: LoadedModel, batch: Batch) -> None:
    expected = [
        naive_logprob(tiny, dict(encode(tiny, [sample]).inputs), answer)
        for sample, answer in zip(SAMPLES, batch.answers, strict=True)
    ]
    result = evaluate(tiny, [batch], progress=False)
    np.testing.assert_allclose(result.logprob, expected, atol=2e-3, rtol=1e-4)


def test_every_family_and_kind_of_sample_agrees_with_one_token_at_a_time(family: LoadedModel) -> None:
    batch = encode(family, KINDS)
    assert max(map(len, batch.answers)) > 1
    expected = [
        naive_logprob(family, dict(encode(family, [sample]).inputs), answer)
        for sample, answer in zip(KINDS, batch.answers, strict=True)
    ]
    result = evaluate(family, [batch], progress=False)
    np.testing.assert_allclose(result.logprob, expected, atol=2e-3, rtol=1e-4)


def test_what_any_family_writes_counts_as_correct(family: LoadedModel) -> None:
    batch = encode(family, KINDS)
    tokenizer = family.processor.tokenizer
    special = set(tokenizer.all_special_ids)  # the placeholder of a picture cannot be read back
    rows = generate(family, batch, tokens=4).tolist()
    texts = [tuple(takewhile(lambda token: token not in special, row)) for row in rows]
    texts = [text or tuple(row[:1]) for text, row in zip(texts, rows, strict=True)]
    assert sum(map(len, texts)) > 10
    assert evaluated(family, batch, texts).correct.all()


def test_an_empty_answer_is_refused_by_name(tiny: LoadedModel) -> None:
    batch = encode(tiny, [SAMPLES[0], replace(SAMPLES[1], answer="")])
    with pytest.raises(CoreheadError, match="b: the gold answer is empty"):
        evaluate(tiny, [batch], progress=False)


def test_batches_are_put_together_in_order(tiny: LoadedModel, batch: Batch) -> None:
    parts = [encode(tiny, SAMPLES[:1]), encode(tiny, SAMPLES[1:])]
    apart, together = evaluate(tiny, parts, progress=False), evaluate(tiny, [batch], progress=False)
    np.testing.assert_allclose(apart.logprob, together.logprob, atol=2e-3, rtol=1e-4)
    assert apart.task.tolist() == [s.task for s in SAMPLES]


def test_evaluation_runs_inside_operators(tiny: LoadedModel, batch: Batch) -> None:
    before = evaluate(tiny, [batch], progress=False)
    with ZeroAblation([])(tiny.model):
        np.testing.assert_array_equal(evaluate(tiny, [batch], progress=False).logprob, before.logprob)
    with ZeroAblation([(0, 0), (1, 1)])(tiny.model):  # type: ignore[list-item]
        assert not np.allclose(evaluate(tiny, [batch], progress=False).logprob, before.logprob)


def test_accuracy_overall_and_by_task() -> None:
    task = np.array(["shape", "colour", "shape", "colour", "shape"])
    result = Evaluation(np.array([True, False, True, True, False]), np.zeros(5), task)
    assert result.accuracy == pytest.approx(0.6)
    assert result.by_task() == {"shape": pytest.approx(2 / 3), "colour": pytest.approx(0.5)}
