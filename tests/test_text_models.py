"""Language models without eyes: what is found of a text, and silenced in it, is what plain loops find."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from corehead_lib.data import load_samples
from corehead_lib.encode import encode, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import ends, evaluate
from corehead_lib.heads import Head
from corehead_lib.interventions import ZeroAblation
from corehead_lib.models import LoadedModel
from corehead_lib.ram import mass
from corehead_lib.study import outcomes
from corehead_lib.text_models import SMOLLM2, begun, load_text_model, multiple_choice, smollm2

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def blind(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """An untrained Llama with the tiny models' tokenizer, saved and loaded."""
    folder = tmp_path_factory.mktemp("blind")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tiny.processor.tokenizer),
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tiny.processor.tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return load_text_model(str(folder))


def test_parts_of_a_text_are_found(blind: LoadedModel) -> None:
    (sample,) = load_samples("haystacks", "tuning", 1, 0, facts=(3, 3))
    batch = encode(blind, [sample])
    ids = batch.inputs["input_ids"][0]
    said = blind.processor.tokenizer.decode(ids[batch.targets()[0]])
    span = sample.evidence[0]
    assert sample.context[span.start : span.stop] in said  # type: ignore[union-attr]
    assert sample.question in blind.processor.tokenizer.decode(ids[batch.question[0]])
    assert not batch.visual.any()


def test_mass_is_that_of_eager_attention(blind: LoadedModel) -> None:
    (batch,) = encode_all(blind, load_samples("haystacks", "tuning", 1, 0), 1)
    found = mass(blind, batch, batch.targets(), "last")[0]
    eager = LlamaForCausalLM.from_pretrained(
        blind.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    with torch.inference_mode():
        weights = eager(**batch.inputs, output_attentions=True).attentions
    wanted = [layer[0, :, -1][:, batch.targets()[0]].sum(-1).numpy() for layer in weights]
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-5)


def test_silenced_together_is_silenced_one_by_one(blind: LoadedModel) -> None:
    batches = encode_all(blind, load_samples("haystacks", "tuning", 5, 0), 3)
    sets = {"early": [Head(0, 1), Head(2, 3)], "late": [Head(2, 0), Head(2, 5)], "middle": [Head(1, 4)]}
    table = outcomes(blind, batches, sets)
    plain = {"none": evaluate(blind, batches).logprob}
    for name, heads in sets.items():
        with ZeroAblation(heads)(blind.model):
            plain[name] = evaluate(blind, batches).logprob
    for name, wanted in plain.items():
        np.testing.assert_allclose(table[table["set"] == name].logprob, wanted, atol=1e-4)
    assert not np.allclose(plain["none"], plain["early"], atol=1e-2)


def test_a_choice_is_among_the_options_alone(blind: LoadedModel) -> None:
    (batch,) = encode_all(blind, load_samples("haystacks", "tuning", 3, 0), 3)
    found = evaluate(multiple_choice(blind, DIGITS), [batch])
    with torch.inference_mode():
        logits = blind.model(**batch.inputs, logits_to_keep=1).logits[:, -1]
    ids = [blind.processor.tokenizer(d, add_special_tokens=False)["input_ids"][0] for d in DIGITS]
    among = logits[:, ids].log_softmax(-1)
    gold = [DIGITS.index(sample.answer) for sample in batch.samples]
    np.testing.assert_allclose(found.logprob, among[range(3), gold], atol=1e-4)
    assert found.correct.tolist() == (among.argmax(1) == torch.tensor(gold)).tolist()
    assert evaluate(blind, [batch]).logprob.sum() < found.logprob.sum()
    with pytest.raises(CoreheadError, match="not one token"):
        multiple_choice(blind, ["7", "a long answer"])


def test_an_answer_that_is_begun_ends_the_prompt(blind: LoadedModel) -> None:
    (sample,) = load_samples("haystacks", "tuning", 1, 0)
    plain, words = encode(blind, [sample]), encode(begun(blind, "The 7"), [sample])
    said = [blind.processor.tokenizer.decode(batch.inputs["input_ids"][0]) for batch in (plain, words)]
    assert said[1] == said[0] + "The 7"
    assert words.last[0, -1]
    np.testing.assert_array_equal(words.targets()[0, : plain.last.shape[1]], plain.targets()[0])
    assert ends(begun(blind, "The 7")) == ends(blind)


def test_what_cannot_be_is_said(blind: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = load_samples("scenes", "tuning", 1, 0)[0]
    with pytest.raises(CoreheadError):
        encode(blind, [scene])
    with pytest.raises(CoreheadError, match="Cannot load"):
        load_text_model(str(tmp_path))
    monkeypatch.setattr("corehead_lib.text_models.find_spec", lambda name: None)
    with pytest.raises(CoreheadError, match="make real"):
        load_text_model()


@pytest.mark.skipif(smollm2() is None, reason="SmolLM2 is not installed: `make real` installs it")
@pytest.mark.slow
def test_smollm2_finds_a_fact() -> None:
    loaded = load_text_model(SMOLLM2, dtype="bfloat16")
    assert (loaded.backbone.layers, loaded.backbone.heads) == (30, 9)
    tokens = loaded.processor.tokenizer.convert_ids_to_tokens(ends(loaded))
    assert "<|im_end|>" in tokens
    some = load_samples("haystacks", "tuning", 16, 0, facts=(2, 2), filler=(1, 1))
    some = [replace(s, question=s.question.replace("is on", "does hold")) for s in some]
    found = evaluate(multiple_choice(loaded, DIGITS), encode_all(begun(loaded, "It holds "), some, 16))
    assert found.logprob.mean() > np.log(0.1) + 0.5
