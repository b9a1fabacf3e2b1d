"""Building and training tiny models: real classes, exact labels, and a run that resumes as if never stopped."""

import json
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import RECIPE, RECIPES, noise
from transformers import AutoModelForImageTextToText, AutoProcessor

from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import ZOO, LoadedModel, load_model, zoo_names
from corehead_lib.zoo import began_as_one, treated
from corehead_lib.zoo.training import train
from corehead_lib.zoo.training.build import build
from corehead_lib.zoo.training.families.qwen3_vl import TOKENS
from corehead_lib.zoo.training.lessons import Lesson, answer_labels, make_lesson
from corehead_lib.zoo.training.optimizers import learning_rate, split_parameters
from corehead_lib.zoo.training.resume import is_over
from corehead_lib.zoo.training.train import read_recipe, score, train_model
from corehead_lib.zoo.training.turns import MODALITIES, corpus

MIX = {
    "scenes": {"batch": 2, "questions": 2, "sizes": [96], "things": [1, 2], "tasks": ["shape", "sum"]},
    "haystacks": {"batch": 1, "questions": 2, "facts": [1, 2], "filler": [1, 1], "tasks": ["fact"]},
}
TRAIN: dict[str, Any] = {
    "muon": 0.02,
    "adamw": 0.002,
    "weight_decay": 0.1,
    "warmup": 3,
    "cooldown": 2,
    "stages": [{"steps": 3, "mix": {"scenes": MIX["scenes"]}}, {"steps": 5, "price": 0.01, "mix": MIX}],
}
STEPS = 3 + 5


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two layers, eight steps, a checkpoint every three."""
    monkeypatch.setattr(train, "SAVE_EVERY", 3)
    small = deepcopy(RECIPE)
    small["text"]["num_hidden_layers"] = 2
    return {**small, "train": TRAIN}


class Interruption(Exception):
    pass


def test_a_resumed_run_equals_an_uninterrupted_one(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    summary = train_model("tiny", whole, seed=3, recipe=recipe, progress=False)
    assert summary["steps"] == STEPS

    def stops(*arguments: Any) -> Lesson:
        if arguments[1] == "haystacks" and arguments[-1] == 5:  # two steps after the checkpoint
            raise Interruption
        return make_lesson(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train, "make_lesson", stops)
        with pytest.raises(Interruption):
            train_model("tiny", parts, seed=3, recipe=recipe, progress=False)
    assert (parts / "checkpoint.pt").exists()
    assert not (parts / "model.safetensors").exists()

    train_model("tiny", parts, seed=3, recipe=recipe, progress=False, snapshots=4)
    curve = (whole / "curve.jsonl").read_text()
    assert (parts / "curve.jsonl").read_text() == curve
    assert (parts / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (parts / "checkpoint.pt").exists()
    kept = sorted((parts / "snapshots").iterdir())
    assert [folder.name for folder in kept] == ["00004", "00008"]  # the run was stopped between them
    assert load_model(str(kept[-1])).checksum == load_model(str(whole)).checksum
    assert load_model(str(kept[0])).checksum != load_model(str(whole)).checksum

    lines = [json.loads(line) for line in curve.splitlines()]
    assert [line["step"] for line in lines] == list(range(STEPS))
    assert [line["stage"] for line in lines] == [0] * 3 + [1] * 5
    kinds = [{key.split("/")[0] for key in line if "/" in key} for line in lines]
    assert kinds == [{"scenes"}] * 3 + [{"scenes", "haystacks"}] * 5
    assert summary["recipe"] == "tiny"
    check_loads(whole)


def check_loads(folder: Path) -> None:
    """With transformers' own classes, without code of ours, and it writes."""
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    names = [type(part).__name__ for part in (model, processor, processor.tokenizer)]
    assert names == ["Qwen3VLForConditionalGeneration", "Qwen3VLProcessor", "Qwen2Tokenizer"]
    content = [{"type": "image", "image": noise(64, 96)}, {"type": "text", "text": "How many?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    written = model.generate(**inputs, max_new_tokens=2, min_new_tokens=2, do_sample=False)
    assert written.shape[1] == inputs["input_ids"].shape[1] + 2


CLASSES = {
    "qwen3_vl": ["Qwen3VLForConditionalGeneration", "Qwen3VLProcessor", "Qwen2VLImageProcessor"],
    "internvl": ["InternVLForConditionalGeneration", "InternVLProcessor", "GotOcr2ImageProcessor"],
    "llava_onevision": [
        "LlavaOnevisionForConditionalGeneration",
        "LlavaOnevisionProcessor",
        "LlavaOnevisionImageProcessor",
    ],
}


@pytest.mark.parametrize("name", CLASSES)
def test_every_family_loads_without_code_of_ours_and_writes(
    families: dict[str, LoadedModel], name: str, tmp_path: Path
) -> None:
    built, made = build(RECIPES[name], corpus(), seed=0)
    built.save_pretrained(tmp_path)
    made.save_pretrained(tmp_path)
    processor = AutoProcessor.from_pretrained(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    names = [type(part).__name__ for part in (model, processor, processor.image_processor)]
    assert names == CLASSES[name]
    assert processor.chat_template == made.chat_template
    assert model.config.get_text_config().model_type == {
        "qwen3_vl": "qwen3_vl_text",
        "internvl": "qwen3",
    }.get(name, "qwen2")
    assert model.generation_config.eos_token_id == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    content = [
        {"type": "image", "image": noise(64, 96)},
        {"type": "video", "video": np.stack([np.asarray(noise(48, 48))] * 4)},
        {"type": "text", "text": "How many?"},
    ]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"do_sample_frames": False},
    )
    written = model.generate(**inputs, max_new_tokens=2, min_new_tokens=2, do_sample=False)
    assert written.shape[1] == inputs["input_ids"].shape[1] + 2


@pytest.mark.parametrize("name", CLASSES)
def test_in_every_family_the_same_seed_builds_the_same_model(name: str) -> None:
    one, again, other = (build(RECIPES[name], corpus(), seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_an_unknown_family_cannot_be_built() -> None:
    with pytest.raises(CoreheadError, match=r"no family 'internvl3' to build. Did you mean 'internvl'"):
        build({**RECIPE, "family": "internvl3"}, corpus(), seed=0)


def test_labels_keep_the_answers_and_their_end() -> None:
    # 8 9 opens an answer, 7 closes it
    ids = torch.tensor([[1, 8, 9, 4, 5, 7, 2, 8, 9, 6, 7, 0], [8, 9, 7, 3, 8, 1, 9, 7, 8, 9, 8, 7]])
    expected = torch.full_like(ids, -100)
    expected[0, 3:6] = torch.tensor([4, 5, 7])
    expected[0, 9:11] = torch.tensor([6, 7])
    expected[1, 2] = 7
    expected[1, 10:12] = torch.tensor([8, 7])
    assert torch.equal(answer_labels(ids, [8, 9], 7), expected)


SHOWING = [name for name, kind in MODALITIES.items() if kind.needles]


def lesson(loaded: LoadedModel, modality: str, seed: int = 0, step: int = 0, **more: Any) -> Lesson:
    return make_lesson(loaded.processor, modality, {"batch": 2, "questions": 3, **more}, seed, step)


@pytest.mark.parametrize("modality", SHOWING)
def test_a_lesson_asks_for_answers_and_nothing_else(family: LoadedModel, modality: str) -> None:
    tokenizer = family.processor.tokenizer
    kind = MODALITIES[modality]
    for step in range(3):
        shared: dict[str, Any] = (
            {"frames": [2, 9]} if modality == "clips" else {}
        )  # not every family mixes lengths
        made = lesson(family, modality, step=step, tasks=[*kind.needles, "sum"], **shared)
        for row, tasks in zip(made.labels, made.tasks, strict=True):
            answers = tokenizer.decode(row[row != -100]).split("<|im_end|>")
            assert answers[-1] == ""
            assert len(answers) - 1 == len(tasks)
            for answer, task in zip(answers, tasks, strict=False):
                assert answer.isdigit() or (task == f"{modality}/listing" and answer[-1].isdigit())
        if modality != "haystacks":
            seen = made.inputs["attention_mask"].bool()
            assert made.visual.any(1).all()
            assert not (made.visual & (made.text | ~seen)).any()
            first = made.visual.int().argmax(1, keepdim=True)
            after = torch.arange(seen.shape[1])[None] > first
            assert torch.equal(made.text, seen & after & ~made.visual)
        else:
            assert not made.visual.any()
            assert not made.text.any()


@pytest.mark.parametrize("modality", SHOWING)
def test_of_a_listing_only_the_digits_are_scored(tiny: LoadedModel, modality: str) -> None:
    made = lesson(tiny, modality, listing=1.0)
    assert made.tasks == [[f"{modality}/listing"]] * 2
    for ids, scored, labels in zip(made.inputs["input_ids"], made.scored, made.labels, strict=True):
        words = tiny.processor.tokenizer.convert_ids_to_tokens(ids[labels != -100])
        assert [w for w in words if w.isdigit()] == tiny.processor.tokenizer.convert_ids_to_tokens(
            ids[scored]
        )


def test_a_lesson_depends_on_modality_seed_and_step_alone(tiny: LoadedModel) -> None:
    one, again = lesson(tiny, "scenes", 4, 2), lesson(tiny, "scenes", 4, 2)
    assert torch.equal(one.labels, again.labels)
    assert torch.equal(one.inputs["pixel_values"], again.inputs["pixel_values"])
    for other in (lesson(tiny, "scenes", 5, 2), lesson(tiny, "scenes", 4, 3)):
        assert not np.array_equal(one.inputs["pixel_values"], other.inputs["pixel_values"])


def test_conversations_of_a_lesson_have_as_many_pages(tiny: LoadedModel) -> None:
    numbers = set()
    for step in range(5):
        made = lesson(tiny, "documents", step=step, batch=3, pages=[1, 4])
        pictures = made.inputs["image_grid_thw"].shape[0]
        assert pictures % 3 == 0
        numbers.add(pictures // 3)
    assert numbers <= {1, 2, 3, 4}
    assert len(numbers) > 1


def test_the_gradient_is_the_mean_over_lessons(tiny_folder: Path) -> None:
    model = load_model(str(tiny_folder))
    lessons = [lesson(model, "scenes"), lesson(model, "haystacks")]
    weight = model.model.get_input_embeddings().weight
    gradients = []
    for made in lessons:
        train.learn(model.model, made, 0, 0.0, 1)
        gradients.append(weight.grad.clone())
        weight.grad = None
    for made in lessons:
        train.learn(model.model, made, 0, 0.0, 2)
    torch.testing.assert_close(weight.grad, (gradients[0] + gradients[1]) / 2)


def test_an_answer_is_right_if_all_of_its_tokens_are(tiny: LoadedModel) -> None:
    labels = torch.tensor([[-100, 5, 6, -100, -100, 7, -100], [3, 4, -100, -100, -100, -100, 2]])
    predicted = torch.tensor([[0, 5, 6, 0, 0, 1, 0], [3, 0, 9, 9, 9, 9, 2]])
    tasks = [["shape", "sum"], ["shape", "pair"]]
    judged = score(
        replace(lesson(tiny, "scenes"), labels=labels, scored=labels != -100, tasks=tasks), predicted
    )
    assert judged == {"shape": [True, False], "sum": [False], "pair": [True]}


def test_the_learning_rate_rises_stays_and_falls_at_the_end_of_the_last_stage() -> None:
    shape = {"warmup": 4, "cooldown": 10}
    assert [learning_rate(step, None, shape) for step in (0, 1, 3, 50)] == [0.25, 0.5, 1, 1]
    assert [learning_rate(50, left, shape) for left in (40, 10, 5, 1)] == [1, 1, 0.5, 0.1]


def test_a_stage_ends_when_its_tasks_are_learned_or_after_its_most_steps() -> None:
    stage = {"steps": 300, "until": {"a": 0.5, "b": 0.5}}
    assert not is_over(stage, 200, {"a": 0.6, "b": 0.4})
    assert not is_over(stage, 200, {"a": 0.6})
    assert is_over(stage, 200, {"a": 0.6, "b": 0.5})
    assert not is_over(stage, 99, {"a": 1.0, "b": 1.0})
    assert is_over(stage, 300, {})
    assert not is_over({"steps": 300}, 299, {"a": 1.0})


def test_muon_takes_hidden_matrices_and_adamw_the_rest(tiny: LoadedModel) -> None:
    matrices, others = split_parameters(tiny.model)
    assert len(matrices) + len(others) == len(list(tiny.model.parameters()))
    assert all(p.ndim == 2 for p in matrices)
    embedding = tiny.model.get_input_embeddings().weight
    assert any(p is embedding for p in others)
    assert any(p is tiny.model.model.language_model.layers[0].self_attn.q_proj.weight for p in matrices)


def test_the_tokenizer_keeps_text_and_special_tokens(tiny: LoadedModel) -> None:
    tokenizer = tiny.processor.tokenizer
    for text in (*corpus()[::50], "Ein Würfel, 42 €?", "<|im_start|>user\nWhich?<|im_end|>"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    for token in TOKENS:
        assert tokenizer(token)["input_ids"] == [tokenizer.convert_tokens_to_ids(token)]
    assert len(tokenizer("1234567")["input_ids"]) == 7  # as Qwen's: digit by digit


def test_the_flagship_recipe_has_128_heads() -> None:
    text = read_recipe("tiny-qwen3-vl")["text"]
    assert text["num_hidden_layers"] * text["num_attention_heads"] == 128
    assert sum(text["rope_parameters"]["mrope_section"]) == text["head_dim"] // 2


def test_an_unknown_recipe_is_refused() -> None:
    for name in ("tiny", ".train"):
        with pytest.raises(CoreheadError, match=f"No recipe for '{name}'") as error:
            read_recipe(name)
        assert "'tiny-internvl'" in str(error.value)
        assert "'.train'" not in str(error.value).split(";")[1]


@pytest.mark.parametrize("name", ["tiny-qwen3-vl", "tiny-internvl", "tiny-llava-onevision"])
def test_recipes_know_their_tasks(name: str) -> None:
    for stage in read_recipe(name)["train"]["stages"]:
        for modality, given in stage["mix"].items():
            kind = MODALITIES[modality]
            assert set(given.get("tasks", kind.needles)) <= set(kind.tasks)


@pytest.mark.parametrize(
    "name", ["tiny-qwen3-vl", "tiny-qwen3-vl-l", "tiny-internvl", "tiny-llava-onevision"]
)
def test_nothing_in_a_recipe_shapes_attention(name: str) -> None:
    recipe = read_recipe(name)
    assert not {"qk_norm", "language"} & set(recipe)
    assert all(set(stage) <= {"steps", "until", "mix"} for stage in recipe["train"]["stages"])


@pytest.mark.parametrize("name", zoo_names())
def test_no_shipped_model_but_the_treatment_paid_for_looking(name: str) -> None:
    card = (ZOO / name / "README.md").read_text()
    (recipe,) = re.findall(
        r"^- \*\*Recipe\*\*: `([\w.-]+)` in `corehead_lib/zoo/training/recipe.yaml`", card, re.M
    )
    train = read_recipe(recipe)["train"]
    paid = any("price" in stage for stage in train["stages"])
    assert paid == treated(name) == ("no term on attention" not in card) == (name == "tiny-qwen3-vl-priced")
    assert str(train["cooldown"]) in card
    assert load_model(name).checksum in card


@pytest.mark.parametrize("name", zoo_names())
def test_shipped_models_know_their_worlds(name: str) -> None:
    loaded = load_model(name)
    asked = load_samples("scenes", "evaluation", 40, 0, ("pair", "colour"))
    assert evaluate(loaded, encode_all(loaded, asked)).accuracy > 0.85


def test_who_began_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A treatment and its twin did; another seed, size or family did not, and of models without a card nobody knows."""
    monkeypatch.setattr("corehead_lib.zoo.ZOO", tmp_path)
    runs = {"a": ("tiny-qwen3-vl", 0), "priced": ("tiny-qwen3-vl-priced", 0), "seed": ("tiny-qwen3-vl", 1)}
    runs |= {"s": ("tiny-qwen3-vl-s", 0), "family": ("tiny-internvl", 0)}
    for name, (recipe, seed) in runs.items():
        (tmp_path / name).mkdir()
        line = (
            f"- **Recipe**: `{recipe}` in `corehead_lib/zoo/training/recipe.yaml`, seed {seed}: 1504 steps\n"
        )
        (tmp_path / name / "README.md").write_text(f"# {name}\n\n{line}")
    assert {name for name in runs if began_as_one("a", name)} == {"a", "priced"}
    assert began_as_one("priced", "a")
    assert not began_as_one("a", "elsewhere")
    assert not began_as_one("elsewhere", "elsewhere")
