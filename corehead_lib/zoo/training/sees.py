"""Teach a pretrained language model to see: its own weights stay as they are; tower, connector and adapters learn.

Stages of three kinds. *words*: without the language model, the connector learns to give for each cell the sum of the word embeddings
that describe it. *listings*: cross-entropy on lists of what a picture shows, in random order. *questions*: cross-entropy on answers.
Nothing here looks at attention.
"""

import json
import time
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from corehead_lib.models import LoadedModel, geometry
from corehead_lib.text_models import SMOLLM2, load_text_model
from corehead_lib.zoo.sees import assemble
from corehead_lib.zoo.training.adapters import adapt
from corehead_lib.zoo.training.lessons import Lesson, make_lesson
from corehead_lib.zoo.training.resume import Run
from corehead_lib.zoo.training.tower import TOWERS
from corehead_lib.zoo.training.train import read_recipe, score
from corehead_lib.zoo.training.words import Words, say

RECIPE = Path(__file__).with_name("sees.yaml")
SAVE_EVERY = 20  # steps
MINE = ("model.vision_tower.", "model.multi_modal_projector.")
LOW_RANK = (".down", ".up")
Learned = tuple[float, dict[str, float]]  # loss, and accuracy by task


def begin(recipe: dict, language: str, seed: int, device: str) -> LoadedModel:
    """The model before its first lesson: tower of a tiny InternVL, random connector, adapters that change nothing."""
    text = load_text_model(language, device)
    torch.manual_seed(seed)
    model, processor = assemble(text, read_recipe(recipe["sizes"]))
    tower = {k: w.float() for k, w in load_file(TOWERS / f"{recipe['tower']}.safetensors").items()}
    model.load_state_dict({k: w for k, w in tower.items() if k.startswith(MINE[0])}, strict=False)
    if any(stage.get("adapters") for stage in recipe["stages"]):
        adapt(model.model.language_model.layers, recipe["rank"])
    return LoadedModel("sees", model.train(), processor, geometry(model.config), text.checksum)


def frozen(recipe: dict) -> dict:
    """The same recipe without adapters."""
    stages = [{key: value for key, value in stage.items() if key != "adapters"} for stage in recipe["stages"]]
    return recipe | {"stages": stages}


def learned(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Everything but the language model's own weights."""
    return {k: w for k, w in model.state_dict().items() if k.startswith(MINE) or k.endswith(LOW_RANK)}


def answer(loaded: LoadedModel, mix: dict, seed: int, step: int) -> Learned:
    """Add to the gradient what one batch of conversations gives."""
    lesson = make_lesson(loaded.processor, "scenes", mix, seed, step)
    loss, predicted = judged(loaded.model, lesson)
    loss.backward()
    return loss.item(), {task: sum(v) / len(v) for task, v in score(lesson, predicted).items()}


def judged(model: PreTrainedModel, lesson: Lesson) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy on the labels, and the prediction for each of them, -1 elsewhere."""
    inputs = {k: v.to(model.device) for k, v in lesson.inputs.items() if k != "attention_mask"}
    hidden = model.model(**inputs, use_cache=False).last_hidden_state  # padding stands on the right
    asked = lesson.labels[:, 1:] != -100
    logits = model.lm_head(hidden[:, :-1][asked.to(model.device)])
    predicted = torch.full_like(lesson.labels, -1)
    predicted[:, 1:][asked] = logits.argmax(-1).cpu()
    return cross_entropy(logits, lesson.labels[:, 1:][asked].to(model.device)), predicted


def make_optimizer(model: PreTrainedModel, words: Words, recipe: dict) -> torch.optim.Optimizer:
    """AdamW, with a peak rate for each part."""
    parts: dict[str, list[nn.Parameter]] = {part: [] for part in recipe["rates"]}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            place = [name.startswith(prefix) for prefix in MINE]
            parts["tower" if place[0] else "connector" if place[1] else "adapters"].append(weight)
    parts["connector"] += words.parameters()
    groups = [{"params": some, "peak": recipe["rates"][part], "lr": 0.0} for part, some in parts.items()]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=recipe["weight_decay"])


def rate(recipe: dict, stage: int, step: int) -> float:
    """Share of the peak rates at a step of a stage: each begins slowly; the words and the last one end slowly."""
    stages = recipe["stages"]
    steps, alone = stages[stage]["steps"], stages[stage]["kind"] == "words"
    cooldown = steps // 2 if alone else recipe["cooldown"]
    ends = alone or stage == len(stages) - 1
    return min(1.0, (step + 1) / recipe["warmup"], (steps - step) / cooldown if ends else 1.0)


def train(
    out: Path,
    language: str = SMOLLM2,
    seed: int = 0,
    device: str = "cpu",
    recipe: dict | None = None,
    progress: bool = True,
) -> dict:
    """Train into the folder ``out``, going on from ``out/checkpoint.pt`` if that is there; return the summary.

    Writes ``curve.jsonl`` (one line a step), ``learned.safetensors`` (float16) and ``summary.json``.
    """
    recipe = recipe or yaml.safe_load(RECIPE.read_text())
    run = Run(out, recipe["stages"], 0.1, "sees", progress)
    loaded = begin(recipe, language, seed, device)
    model = loaded.model
    words = Words(model, loaded.processor.tokenizer).to(device)
    optimizer = make_optimizer(model, words, recipe)
    if run.saved:
        model.load_state_dict(run.saved["model"], strict=False)
        words.load_state_dict(run.saved["words"])
        optimizer.load_state_dict(run.saved["optimizer"])
    low_rank = [weight for name, weight in model.named_parameters() if name.endswith(LOW_RANK)]
    while stage := run.stage:
        started, step = time.perf_counter(), run.state["step"]
        for weight in low_rank:
            weight.requires_grad_(bool(stage.get("adapters")))
        if stage["kind"] == "words":
            loss, right = say(loaded, words, stage["batch"], seed, step)
        else:
            loss, right = answer(loaded, stage["mix"], seed, step)
        _update(optimizer, rate(recipe, run.state["stage"], run.state["stage_step"]))
        run.note(started, loss, right)
        if run.state["step"] % SAVE_EVERY == 0 or not run.state["stage_step"]:
            kept = {"words": words.state_dict(), "optimizer": optimizer.state_dict()}
            run.save(model=learned(model), **kept)
    facts = {"language": loaded.checksum, "sizes": json.dumps(_sizes(recipe))}
    halves = {key: weight.detach().half().cpu().contiguous() for key, weight in learned(model).items()}
    save_file(halves, out / "learned.safetensors", metadata=facts)
    summary = {"seed": seed, **run.cost, "training_accuracy": run.state["average"]}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return summary


def _sizes(recipe: dict) -> dict:
    return {key: value for key, value in read_recipe(recipe["sizes"]).items() if key in ("vision", "tiles")}


def _update(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
        group["lr"] = share * group["peak"]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def main() -> None:
    """The command ``python -m corehead_lib.zoo.training.sees``."""
    import argparse

    parser = argparse.ArgumentParser(
        description="Teach SmolLM2 to see; a second call goes on where the first stopped."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--language", default=SMOLLM2, help="the language model: this one, a folder, or a hub id"
    )
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="stages and rates")
    parser.add_argument(
        "--frozen", action="store_true", help="no adapters: the language model stays as it is"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    recipe = yaml.safe_load(given.recipe.read_text())
    if given.frozen:
        recipe = frozen(recipe)
    print(json.dumps(train(given.out, given.language, given.seed, given.device, recipe), indent=1))


if __name__ == "__main__":
    main()
