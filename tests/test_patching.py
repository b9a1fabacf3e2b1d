"""Activation patching: what must come out when everything, or nothing, is put in; and the partners."""

from dataclasses import replace

import pytest
from tiny import KINDS, SAMPLES, noise

from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import Head
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Sample
from corehead_lib.study import other_picture, other_question, patching, with_partners

EVERY = [Head(layer, head) for layer in range(3) for head in range(6)]


def test_all_heads_of_the_clean_run_restore_it(family: LoadedModel) -> None:
    """Behind the picture both prompts have the same tokens; with all heads' outputs there is nothing else that differs."""
    samples = [replace(SAMPLES[0], id=str(n), media=(noise(96, 64, n),)) for n in range(4)]
    clean = [encode(family, samples[:2]), encode(family, samples[2:])]
    turned = [replace(s, media=(noise(96, 64, 9 - n),), answer="wrong") for n, s in enumerate(samples)]
    corrupted = [encode(family, turned[:2]), encode(family, turned[2:])]
    table = patching(family, clean, corrupted, {"all": EVERY, "late": EVERY[12:], "one": [Head(1, 1)]})
    assert list(table.columns) == ["direction", "set", "heads", "accuracy", "logprob", "samples", "effect"]
    effect = table.set_index(["direction", "set"]).effect
    level = table.set_index(["direction", "set"]).logprob
    assert level["into clean", "none"] == pytest.approx(evaluate(family, clean).logprob.mean(), abs=1e-4)
    assert level["into clean", "none"] != pytest.approx(level["into corrupted", "none"], abs=1e-2)
    for direction in ("into clean", "into corrupted"):
        assert effect[direction, "none"] == 0
        assert effect[direction, "all"] == pytest.approx(1, abs=5e-3)
        assert abs(effect[direction, "one"]) > 1e-4
        assert effect[direction, "late"] not in (0, 1)
    same = patching(family, clean, clean, {"all": EVERY})
    assert same.effect.isna().all()


def picture(number: int, answer: str = "", **changes: object) -> Sample:
    return replace(
        SAMPLES[0], id=str(number), media=(noise(96, 64, number),), answer=answer or str(number), **changes  # type: ignore[arg-type]
    )  # fmt: skip


def test_partners_have_another_picture_or_another_question() -> None:
    samples = [picture(n, group="g" if n < 2 else "") for n in range(6)]
    samples.append(replace(picture(7), media=(noise(40, 40),), question="Why?"))
    with pytest.raises(CoreheadError, match="7: no other sample can be its partner"):
        other_picture(samples)
    assert with_partners(samples) == samples[:6]
    assert with_partners(samples[:2]) == []  # one group
    changed = other_picture(samples[:6])
    for before, after in zip(samples, changed, strict=False):
        assert (after.id, after.question, after.answer, after.evidence) == (before.id, before.question, before.answer, ())  # fmt: skip
        partner = next(s for s in samples if s.media == after.media)
        assert partner.answer != before.answer
        assert not before.group or partner.group != before.group
    assert [s.media for s in other_picture(samples[:6])] == [s.media for s in changed]
    asked = other_question(samples)
    assert [s.question for s in asked] == ["Why?"] * 6 + [samples[0].question]
    assert all(a.media == s.media and a.answer == s.answer for a, s in zip(asked, samples, strict=True))
    with pytest.raises(CoreheadError, match="0: no other sample"):
        other_question(samples[:6])


def test_layouts_must_agree() -> None:
    text = [replace(KINDS[3], id=str(n), answer=str(n)) for n in range(2)]
    clip = [replace(KINDS[2], id="clip"), KINDS[0]]
    assert len(other_picture(text)) == 2
    with pytest.raises(CoreheadError, match="clip: no other sample"):
        other_picture(clip)
    four = [picture(n) for n in range(4)]
    pictures = {four.index(next(f for f in four if f.media == s.media)) for seed in range(20) for s in other_picture(four, seed)[:1]}  # fmt: skip
    assert pictures == {1, 2, 3}
