"""Teacher-forced evaluation against real greedy generation and token-by-token probabilities."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
import torch
from tiny import KINDS, SAMPLES, generate

from corehead_lib.chance import Chance, chance, is_control
from corehead_lib.data import load_samples
from corehead_lib.encode import Batch, encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import Evaluation, ends, evaluate
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.samples import Sample


@pytest.fixture(scope="module")
def greedy(tiny: LoadedModel, batch: Batch) -> list[tuple[int, ...]]:
    """What the model writes by itself: one, three and five tokens."""
    rows = generate(tiny, batch, tokens=5).tolist()
    return [tuple(row[:n]) for row, n in zip(rows, (1, 3, 5), strict=True)]


@contextmanager
def ending(loaded: LoadedModel, tokens: Collection[int]) -> Iterator[None]:
    """Let generation stop at ``tokens``: the untrained model never says its own end."""
    settings = loaded.model.generation_config
    before, settings.eos_token_id = settings.eos_token_id, sorted(tokens)
    try:
        yield
    finally:
        settings.eos_token_id = before


def evaluated(loaded: LoadedModel, batch: Batch, answers: list[tuple[int, ...]]) -> Evaluation:
    """With the tokens that the model writes next as ends, so that only the answers decide."""
    rows = generate(loaded, batch, tokens=max(map(len, answers)) + 1).tolist()
    with ending(loaded, {row[len(answer)] for row, answer in zip(rows, answers, strict=True)}):
        return evaluate(loaded, [replace(batch, answers=tuple(answers))])


def test_what_generation_writes_counts_as_correct(
    tiny: LoadedModel, batch: Batch, greedy: list[tuple[int, ...]]
) -> None:
    assert evaluated(tiny, batch, greedy).correct.tolist() == [True, True, True]


def test_the_beginning_of_what_generation_writes_counts_as_wrong(
    tiny: LoadedModel, batch: Batch, greedy: list[tuple[int, ...]]
) -> None:
    rows = generate(tiny, batch, tokens=6).tolist()
    begun = [
        answer[:n] for answer, n in zip(greedy, (1, 2, 5), strict=True)
    ]  # the second goes on for a token
    go_on = {row[len(answer)] for row, answer in zip(rows, begun, strict=True)}
    stops = {rows[0][1], rows[2][5]} - {rows[1][2]}
    assert stops < go_on
    with ending(tiny, stops):
        correct = evaluate(tiny, [replace(batch, answers=tuple(begun))]).correct
    assert correct.tolist() == [row[len(a)] in stops for row, a in zip(rows, begun, strict=True)]
    assert not correct.all()


@pytest.mark.parametrize("gold", ["red", "1"])
def test_a_longer_answer_does_not_pass_for_its_beginning(gold: str) -> None:
    """A trained model answers a digit and stops; asked to have stopped earlier, it is wrong."""
    loaded = load_model("tiny-qwen3-vl")
    samples = load_samples("scenes", "evaluation", 12, 0, tasks=("background",))
    batch = encode(loaded, samples)
    whole = evaluate(loaded, [batch])
    assert whole.correct.all()
    longest = [answer for answer in batch.answers if len(answer) > 1]
    if gold == "red":
        assert longest, "a word of several tokens is needed"
        begun = replace(batch, answers=tuple(answer[:-1] or answer for answer in batch.answers))
        assert evaluate(loaded, [begun]).correct.tolist() == [len(a) == 1 for a in batch.answers]
    else:
        more = replace(batch, answers=tuple((*answer, answer[-1]) for answer in batch.answers))
        assert not evaluate(loaded, [more]).correct.any()


def test_the_end_is_what_the_template_writes_and_where_generation_stops(family: LoadedModel) -> None:
    closing = family.processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert closing in ends(family)
    with ending(family, ()):
        family.model.generation_config.eos_token_id = None
        assert ends(family) == [closing]
    with ending(family, (3, 5)):
        assert ends(family) == sorted({3, 5, closing})


def test_a_model_that_cannot_end_an_answer_is_refused(
    tiny: LoadedModel, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tiny.processor.chat_template.replace("<|im_end|>", "")
    monkeypatch.setattr(tiny.processor, "chat_template", template)
    with ending(tiny, ()):
        tiny.model.generation_config.eos_token_id = None
        with pytest.raises(CoreheadError, match="names no token that ends an answer"):
            evaluate(tiny, [batch])


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["scenes", "documents", "haystacks"])
def test_correct_is_what_generation_writes_up_to_its_end(dataset: str) -> None:
    """Golds: the right one, its beginning, and one with something behind it; judged by the text that is written."""
    loaded = load_model("tiny-llava-onevision")
    for batch in encode_all(loaded, load_samples(dataset, "evaluation", 24, 3), 12):
        length = batch.inputs["input_ids"].shape[1]
        rows = loaded.model.generate(**batch.inputs, do_sample=False, max_new_tokens=16)[:, length:].tolist()
        written = [tuple(takewhile(lambda token: token not in ends(loaded), row)) for row in rows]
        for change in (lambda a: a, lambda a: a[:-1] or a, lambda a: (*a, a[0])):
            golds = tuple(change(answer) for answer in batch.answers)
            expected = [gold == text for gold, text in zip(golds, written, strict=True)]
            assert evaluate(loaded, [replace(batch, answers=golds)]).correct.tolist() == expected


def test_it_is_quiet_unless_asked_or_run_by_the_command(
    tiny: LoadedModel, batch: Batch, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(tiny, [batch])
    evaluate(tiny, [batch], progress=False)
    assert capsys.readouterr().err == ""
    evaluate(tiny, [batch], progress=True)
    assert "evaluate" in capsys.readouterr().err
    monkeypatch.setenv("COREHEAD_PROGRESS", "1")
    evaluate(tiny, [batch])
    assert "evaluate" in capsys.readouterr().err


def asked(answer: str, **more: Any) -> Sample:
    return Sample("x", "t", "?", answer, (), **more)


def test_chance_has_two_lines() -> None:
    digits = tuple("0123456789")
    samples = [
        asked("3", options=digits, visible=("3", "3", "5", "7")),  # two of four things show it
        asked("5", options=digits, visible=("5", "1")),
        asked("3", options=digits),  # nothing is known of what is seen: one in ten
        asked("a word"),  # free text cannot be guessed
    ]
    assert chance(samples).constant == 0.5
    assert chance(samples).option == pytest.approx((0.5 + 0.5 + 0.1 + 0) / 4)
    assert chance(samples).line == 0.5
    assert chance(samples[1:2]) == Chance(1.0, 0.5)
    with pytest.raises(CoreheadError, match="no samples"):
        chance([])


def test_a_random_visible_digit_beats_a_random_digit() -> None:
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(4000):
        seen = tuple(map(str, rng.integers(0, 10, int(rng.integers(3, 9)))))
        samples.append(asked(seen[int(rng.integers(len(seen)))], visible=seen, options=tuple("0123456789")))
    drawn = np.mean([rng.choice(sample.visible) == sample.answer for sample in samples])
    assert chance(samples).option == pytest.approx(drawn, abs=0.03)
    assert chance(samples).option > 0.25


@pytest.mark.parametrize(
    ("right", "number", "line", "control"),
    [
        (90, 90, 0.1, True),
        (9, 90, 0.1, False),  # at chance untouched
        (17, 90, 0.1, False),  # significantly above it (p = 0.008), with nothing to lose
        (3, 10, 0.1, False),  # p = 0.07
        (60, 60, 1.0, False),  # a constant answer does as well
        (0, 0, 0.1, False),
    ],
)
def test_a_control_at_chance_is_none(right: int, number: int, line: float, control: bool) -> None:
    assert is_control([True] * right + [False] * (number - right), line) is control


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
