"""A language model that learns to see: adapters are what they claim, training resumes, cells are found."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_text_models import TEMPLATE
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_utils import PreTrainedModel

from corehead_lib.data import load_samples
from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import LoadedModel
from corehead_lib.text_models import smollm2
from corehead_lib.zoo.sees import NAMED, SEES, load_sees, merge
from corehead_lib.zoo.training import sees
from corehead_lib.zoo.training.lessons import make_lesson
from corehead_lib.zoo.training.tower import FACETS
from corehead_lib.zoo.training.words import DESCRIBED, Words

MIX = {"batch": 2, "listing": 0.5, "questions": 2, "sizes": [96], "things": [2, 3], "anywhere": False}
RECIPE: dict[str, Any] = {
    "sizes": "tiny-internvl",
    "tower": "internvl",
    "rank": 2,
    "rates": {"tower": 0.001, "connector": 0.002, "adapters": 0.01},
    "weight_decay": 0.01,
    "warmup": 1,
    "cooldown": 2,
    "stages": [
        {"kind": "words", "steps": 2, "batch": 2},
        {"kind": "listings", "steps": 1, "mix": MIX},
        {"kind": "questions", "adapters": True, "steps": 3, "mix": MIX},
    ],
}
LATTICE: dict[str, Any] = {"size": (96, 96), "anywhere": False}


@pytest.fixture(scope="module")
def language(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained Llama whose tokenizer has the tokens that SmolLM2 has to spare."""
    folder = tmp_path_factory.mktemp("language")
    tiny.processor.tokenizer.save_pretrained(folder)
    tokenizer = type(tiny.processor.tokenizer).from_pretrained(folder)
    tokenizer.add_special_tokens({"extra_special_tokens": [*NAMED.values()]})
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.1,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return str(folder)


def logits(model: PreTrainedModel, loaded: LoadedModel) -> torch.Tensor:
    lesson = make_lesson(loaded.processor, "scenes", MIX, 3, 0)
    with torch.inference_mode():
        return model(**lesson.inputs, use_cache=False).logits


def test_each_thing_of_a_lattice_is_one_visual_token(language: str) -> None:
    loaded = sees.begin(RECIPE, language, 0, "cpu")
    batch = encode(loaded, load_samples("scenes", "tuning", 6, 0, **LATTICE))
    assert batch.visual.sum(1).tolist() == [9] * 6
    for row, (sample, targets) in enumerate(zip(batch.samples, batch.targets(), strict=True)):
        (place,) = targets.nonzero()[:, 0].tolist()
        (number,) = (batch.cells[row].position == place).nonzero()[0]
        box = sample.evidence[0]
        assert batch.cells[row].box[number].tolist() == [box.x0, box.y0, box.x1, box.y1]  # type: ignore[union-attr]


def test_merged_adapters_do_what_adapters_did(language: str, tmp_path: Path) -> None:
    sees.train(tmp_path, language, recipe=RECIPE, progress=False)
    adapted = sees.begin(RECIPE, language, 0, "cpu")
    weights = {key: w.float() for key, w in load_file(tmp_path / "learned.safetensors").items()}
    assert any(w.abs().max() > 0 for key, w in weights.items() if key.endswith(".up"))
    untouched = logits(adapted.model.eval(), adapted)
    adapted.model.load_state_dict(weights, strict=False)
    seeing, reading = load_sees(folder=tmp_path, language=language)
    found, wanted = logits(seeing.model, seeing), logits(adapted.model, adapted)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found, untouched, atol=1e-2)
    assert reading.model.model is seeing.model.model.language_model


def test_training_goes_on_where_it_stopped(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    sees.train(whole, language, recipe=RECIPE, progress=False)
    monkeypatch.setattr(sees, "SAVE_EVERY", 2)
    plain, calls = sees.answer, []

    def killed(*given: object) -> sees.Learned:
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sees, "answer", killed)
    with pytest.raises(KeyboardInterrupt):
        sees.train(halves, language, recipe=RECIPE, progress=False)
    monkeypatch.setattr(sees, "answer", plain)
    sees.train(halves, language, recipe=RECIPE, progress=False)
    assert (whole / "curve.jsonl").read_text() == (halves / "curve.jsonl").read_text()
    one, other = (load_file(folder / "learned.safetensors") for folder in (whole, halves))
    assert one.keys() == other.keys()  # not the files' bytes: safetensors writes metadata in any order
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_language_model_itself_does_not_learn(language: str, tmp_path: Path) -> None:
    frozen = {**RECIPE, "stages": RECIPE["stages"][:2]}
    sees.train(tmp_path, language, recipe=frozen, progress=False)
    kept = load_file(tmp_path / "learned.safetensors")
    assert not any("language_model" in key for key in kept)
    _, reading = load_sees(folder=tmp_path, language=language)
    before = LlamaForCausalLM.from_pretrained(language)
    for (name, one), other in zip(
        before.state_dict().items(), reading.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


def test_words_ask_for_the_sum_of_the_embeddings(language: str) -> None:
    loaded = sees.begin(RECIPE, language, 0, "cpu")
    words = Words(loaded.model, loaded.processor.tokenizer)
    labels = {facet: torch.tensor([len(FACETS[facet]) - 1, 2]) for facet in DESCRIBED}
    table, told = loaded.model.get_input_embeddings().weight, loaded.processor.tokenizer
    named = [[FACETS[facet][k] for facet in DESCRIBED] for k in (-1, 2)]
    ids = [
        [told(w if w.isdigit() else f" {w}", add_special_tokens=False)["input_ids"][0] for w in some]
        for some in named
    ]
    exact = torch.stack([table[some].sum(0) for some in ids]).detach()
    apart = [words(seen, labels)[0] for seen in (exact, exact + 1)]
    probed = [
        sum(torch.nn.functional.cross_entropy(words.probes[f](seen), labels[f]) for f in DESCRIBED)
        for seen in (exact, exact + 1)
    ]
    torch.testing.assert_close(apart[0], probed[0])
    torch.testing.assert_close(apart[1] - probed[1], torch.tensor(table.shape[1] / words.spread))


def test_what_does_not_fit_is_refused(language: str, tmp_path: Path) -> None:
    with pytest.raises(CoreheadError, match="makes it"):
        load_sees(folder=tmp_path, language=language)
    sees.train(tmp_path, language, recipe={**RECIPE, "stages": RECIPE["stages"][:1]}, progress=False)
    seeing, _ = load_sees(folder=tmp_path, language=language)
    with pytest.raises(CoreheadError, match="other parts"):
        merge(seeing.model, {"model.nothing.weight": torch.zeros(1)})
    with pytest.raises(CoreheadError, match="does not fit"):
        merge(seeing.model, {"model.language_model.layers.9.down": torch.zeros(2, 2)})
    other = LlamaForCausalLM.from_pretrained(language)
    torch.nn.init.normal_(other.lm_head.weight)
    other.save_pretrained(language)
    with pytest.raises(CoreheadError, match="another language model"):
        load_sees(folder=tmp_path, language=language)


@pytest.mark.skipif(smollm2() is None, reason="SmolLM2 is not installed: `make real` installs it")
@pytest.mark.parametrize("end", ["", "-seed1", "-frozen"])
def test_smollm2_sees(end: str) -> None:
    folder = SEES.with_name(SEES.name + end)
    seeing, _ = load_sees(folder=folder)
    samples = load_samples("scenes", "tuning", 24, 0, **LATTICE, things=(3, 6))
    found = evaluate(seeing, [encode(seeing, samples)])
    card = (folder / "README.md").read_text().partition("## Accuracy")[2]
    names, said = (re.findall(r"[\w.]+", line) for line in re.findall(r"^\| (?!---).*$", card, re.M)[:2])
    told = dict(zip(names, map(float, said), strict=True))
    assert all(right >= told[task] - 0.25 for task, right in found.by_task().items())
    assert end == "-frozen" or min(told.values()) > 0.9


def test_a_frozen_run_has_no_adapters(language: str) -> None:
    loaded = sees.begin(sees.frozen(RECIPE), language, 0, "cpu")
    assert not [name for name in sees.learned(loaded.model) if name.endswith(sees.LOW_RANK)]
    assert sees.frozen(RECIPE)["stages"][2]["kind"] == "questions"
